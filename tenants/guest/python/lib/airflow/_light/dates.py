"""`airflow.utils.dates` of 1.10 and 2.x. Real files also take `datetime` from here, so that name stays."""

from __future__ import annotations

from datetime import datetime, timedelta  # noqa: F401

from dateutil.relativedelta import relativedelta  # noqa: F401

from airflow._light import timezone

cron_presets = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}


def days_ago(n, hour=0, minute=0, second=0, microsecond=0):
    today = timezone.utcnow().replace(hour=hour, minute=minute, second=second, microsecond=microsecond)
    return today - timedelta(days=n)


def date_range(start_date, end_date=None, num=None, delta=None):
    if not isinstance(delta, timedelta):
        raise Exception("date_range takes a timedelta here")
    if num is not None:
        return [start_date + delta * i for i in range(abs(num))]
    dates, moment = [], start_date
    while moment <= (end_date or timezone.utcnow()):
        dates.append(moment)
        moment += delta
    return dates


def round_time(dt, delta, start_date=timezone.make_aware(datetime.min)):
    passed = (timezone.make_aware(dt) - start_date) // delta
    return start_date + delta * passed


def parse_execution_date(execution_date_str):
    return timezone.parse(execution_date_str)


def datetime_to_nano(value):
    return int(value.timestamp() * 1_000_000_000) if value else None
