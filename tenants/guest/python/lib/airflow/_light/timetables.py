"""Schedules given as objects. They only say what they are: the house reckons when runs are due."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from airflow._light import timezone as timezones


class DataInterval(NamedTuple):
    start: Any
    end: Any

    @classmethod
    def exact(cls, at):
        return cls(at, at)


class TimeRestriction(NamedTuple):
    earliest: Any
    latest: Any
    catchup: bool


class DagRunInfo(NamedTuple):
    run_after: Any
    data_interval: Any

    @classmethod
    def exact(cls, at):
        return cls(at, DataInterval.exact(at))

    @classmethod
    def interval(cls, start, end):
        return cls(end, DataInterval(start, end))

    @property
    def logical_date(self):
        return self.data_interval.start


class Timetable:
    """Base of an author's own timetables. `spec` of one that we know says what the house must do."""

    description = ""
    periodic = True
    can_be_scheduled = True
    run_ordering = ("data_interval_end", "logical_date")
    active_runs_limit = None
    asset_condition = None

    @property
    def summary(self):
        return type(self).__name__

    def serialize(self):
        return {}

    @classmethod
    def deserialize(cls, data):
        return cls()

    def validate(self):
        pass

    def spec(self):
        return None

    def infer_manual_data_interval(self, *, run_after):
        raise NotImplementedError

    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        raise NotImplementedError


class NullTimetable(Timetable):
    can_be_scheduled = False

    def spec(self):
        return {"kind": "none"}


class OnceTimetable(Timetable):
    def spec(self):
        return {"kind": "once"}


class ContinuousTimetable(Timetable):
    active_runs_limit = 1

    def spec(self):
        return {"kind": "continuous"}


class CronDataIntervalTimetable(Timetable):
    def __init__(self, cron, timezone="UTC"):
        self.expression, self.timezone = cron, timezone

    def spec(self):
        return {
            "kind": "cron_interval",
            "expression": cron_of(self.expression),
            "timezone": timezone_name(self.timezone),
        }


class CronTriggerTimetable(Timetable):
    def __init__(self, cron, *, timezone="UTC", interval=dt.timedelta(), run_immediately=False):
        self.expression, self.timezone, self.interval = cron, timezone, interval
        self.run_immediately = run_immediately

    def spec(self):
        return {
            "kind": "cron_trigger",
            "expression": cron_of(self.expression),
            "timezone": timezone_name(self.timezone),
            "interval_s": seconds_of(self.interval),
        }


class DeltaDataIntervalTimetable(Timetable):
    def __init__(self, delta):
        self.delta = delta

    def spec(self):
        return {"kind": "delta", "seconds": seconds_of(self.delta)}


class DeltaTriggerTimetable(DeltaDataIntervalTimetable):
    def __init__(self, delta, *, interval=dt.timedelta()):
        super().__init__(delta)
        self.interval = interval

    def spec(self):
        return {**super().spec(), "interval_s": seconds_of(self.interval)}


class MultipleCronTriggerTimetable(Timetable):
    def __init__(self, *crons, timezone="UTC", interval=dt.timedelta(), run_immediately=False):
        self.timetables = [CronTriggerTimetable(c, timezone=timezone, interval=interval) for c in crons]

    def spec(self):
        return self.timetables[0].spec() if len(self.timetables) == 1 else None


class EventsTimetable(Timetable):
    def __init__(self, event_dates, restrict_to_events=False, presorted=False, description=None):
        self.event_dates = event_dates


class AssetTriggeredTimetable(NullTimetable):
    def __init__(self, assets):
        self.asset_condition = assets


class AssetOrTimeSchedule(Timetable):
    def __init__(self, *, timetable, assets=None, datasets=None):
        self.timetable = timetable
        self.asset_condition = assets or datasets

    def spec(self):
        return self.timetable.spec()


class PartitionMapper:
    pass


_presets = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@quarterly": "0 0 1 */3 *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip


def cron_of(text):
    text = text.strip()
    return _presets.get(text, text)


def seconds_of(delta):
    """Seconds of a timedelta or a relativedelta. Months and years have no length in seconds: ValueError."""
    if isinstance(delta, dt.timedelta):
        return delta.total_seconds()
    if getattr(delta, "years", 0) or getattr(delta, "months", 0):
        raise ValueError("a schedule of months or years must be a cron expression, e.g. '0 0 1 * *'")
    return dt.timedelta(
        days=delta.days, hours=delta.hours, minutes=delta.minutes, seconds=delta.seconds
    ).total_seconds()


def timezone_name(zone):
    """The IANA name. A fixed offset has none but Etc/GMT of whole hours, whose sign is the other way round."""
    if zone is None:
        return "UTC"
    if isinstance(zone, str):
        return zone
    for attribute in ("key", "name", "zone"):
        name = getattr(zone, attribute, None)
        if isinstance(name, str) and not name.startswith(("+", "-")):
            return name
    offset = zone.utcoffset(timezones.utcnow())
    hours, rest = divmod(int(offset.total_seconds()), 3600)
    if rest:
        raise ValueError(f"the time zone {zone} has no name; use a named one such as 'Asia/Kolkata'")
    return "UTC" if hours == 0 else f"Etc/GMT{-hours:+d}"
