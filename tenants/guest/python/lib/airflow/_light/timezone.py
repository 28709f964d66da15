"""`airflow.utils.timezone`, on pendulum."""

from __future__ import annotations

import datetime as dt

import pendulum

utc = pendulum.UTC
TIMEZONE = utc
DateTime = pendulum.DateTime
DEFAULT_DATE_DISPLAY_FORMAT = "%Y-%m-%dT%H:%M:%S"


def is_localized(value):
    return value.utcoffset() is not None


def is_naive(value):
    return value.utcoffset() is None


def utcnow():
    return as_utc(dt.datetime.now(dt.timezone.utc))


def utc_epoch():
    return pendulum.datetime(1970, 1, 1)


def initial_timezone():
    return utc


def convert_to_utc(value):
    if value is None:
        return None
    return pendulum.instance(make_aware(value, utc)).in_timezone(utc)


def as_utc(value):
    """A pendulum moment in UTC of an aware datetime, without pendulum's slow ways."""
    value = value.astimezone(dt.timezone.utc)
    return pendulum.DateTime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, tzinfo=utc
    )


def make_aware(value, timezone=None):
    if value is None:
        return None
    if is_localized(value):
        return value
    zone = parse_timezone(timezone) if isinstance(timezone, str) else timezone or utc
    return pendulum.instance(value, tz=zone)


def make_naive(value, timezone=None):
    return value.astimezone(timezone or utc).replace(tzinfo=None)


def datetime(*args, **kwargs):
    """A datetime that is always aware."""
    kwargs.setdefault("tzinfo", utc)
    return dt.datetime(*args, **kwargs)


def parse(string, timezone=None, *, strict=False):
    return pendulum.parse(string, tz=timezone or utc, strict=strict)


def coerce_datetime(value, tz=None):
    if value is None:
        return None
    if isinstance(value, str):
        return parse(value)
    if not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    value = make_aware(value)
    moment = value if isinstance(value, pendulum.DateTime) else pendulum.instance(value)
    return moment.in_timezone(tz) if tz else moment


def parse_timezone(name):
    if isinstance(name, int):
        return pendulum.FixedTimezone(name)
    return pendulum.timezone(name)


def local_timezone():
    return pendulum.tz.local_timezone()


def from_timestamp(timestamp, tz=utc):
    return pendulum.from_timestamp(timestamp, tz=tz)


def td_format(td_object):
    from dateutil import relativedelta

    if td_object is None or td_object == dt.timedelta():
        return None
    if isinstance(td_object, (int, float)):
        td_object = dt.timedelta(seconds=td_object)
    delta = relativedelta.relativedelta(seconds=int(td_object.total_seconds())).normalized()
    parts = [
        f"{value}{unit}"
        for value, unit in (
            (delta.years, "Y"), (delta.months, "M"), (delta.days, "d"),
            (delta.hours, "h"), (delta.minutes, "M"), (delta.seconds, "s"),
        )
        if value
    ]  # fmt: skip
    return ":".join(parts) if parts else "<1s"
