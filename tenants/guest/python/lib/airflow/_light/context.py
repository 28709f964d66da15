"""What a template and a callable see: the keys of the DAG's generation."""

from __future__ import annotations

import contextlib
from datetime import timedelta


class Context(dict):
    """A plain dict, so that `**context` is one."""


class Late:
    """A value that is asked of the house when somebody looks at it (`prev_start_date_success` and kin)."""

    def __init__(self, find):
        object.__setattr__(self, "_find", find)
        object.__setattr__(self, "_value", Late)

    def _get(self):
        if self._value is Late:
            object.__setattr__(self, "_value", self._find())
        return self._value

    def __getattr__(self, name):
        return getattr(self._get(), name)

    def __str__(self):
        return str(self._get())

    def __repr__(self):
        return repr(self._get())

    def __format__(self, spec):
        return format(self._get(), spec)

    def __bool__(self):
        return bool(self._get())

    def __hash__(self):
        return hash(self._get())

    def __eq__(self, other):
        return self._get() == _plain(other)

    def __lt__(self, other):
        return self._get() < _plain(other)

    def __le__(self, other):
        return self._get() <= _plain(other)

    def __gt__(self, other):
        return self._get() > _plain(other)

    def __ge__(self, other):
        return self._get() >= _plain(other)

    def __add__(self, other):
        return self._get() + other

    def __sub__(self, other):
        return self._get() - _plain(other)

    def __rsub__(self, other):
        return other - self._get()

    def __iter__(self):
        return iter(self._get())

    def __len__(self):
        return len(self._get())

    def __getitem__(self, key):
        return self._get()[key]


def _plain(value):
    return value._get() if isinstance(value, Late) else value


_open: list = []


@contextlib.contextmanager
def opened(context):
    _open.append(context)
    try:
        yield context
    finally:
        _open.pop()


def get_current_context():
    if not _open:
        raise RuntimeError(
            "Current context was requested but no context was found! "
            "Are you running within an Airflow task?"
        )
    return _open[-1]


class ParsingContext:
    def __init__(self, dag_id=None, task_id=None):
        self.dag_id, self.task_id = dag_id, task_id


_parsing = ParsingContext()


def parse_only(dag_id, task_id):
    global _parsing
    _parsing = ParsingContext(dag_id, task_id)


def get_parsing_context():
    return _parsing


def build_context(ti, level):
    """The context of one attempt. `level` decides about the legacy keys (1.10 and 2) and about a missing logical date."""
    from airflow._light import macros
    from airflow._light.configuration import conf
    from airflow._light.connection import ConnectionAccessor
    from airflow._light.variable import VariableAccessor

    run, task = ti.dag_run, ti.task
    legacy = level != "3"
    logical = run.logical_date
    if logical is None and legacy:
        # Before 3 every run had a logical date.
        logical = run.run_after
    start, end = run.data_interval_start, run.data_interval_end
    if legacy:
        start, end = start or logical, end or logical
    context = Context(
        conn=ConnectionAccessor(),
        dag=task.dag,
        dag_run=run,
        inlets=task.inlets,
        inlet_events=OutletEvents(),
        macros=macros,
        map_index_template=task.map_index_template,
        outlet_events=OutletEvents(),
        outlets=task.outlets,
        params=ti.params,
        prev_data_interval_end_success=Late(lambda: ti.previous_success("data_interval_end")),
        prev_data_interval_start_success=Late(lambda: ti.previous_success("data_interval_start")),
        prev_end_date_success=Late(lambda: ti.previous_success("end_date")),
        prev_start_date_success=Late(lambda: ti.previous_success("start_date")),
        run_id=ti.run_id,
        task=task,
        task_instance=ti,
        task_instance_key_str=f"{ti.dag_id}__{ti.task_id}__{ti.run_id}",
        task_reschedule_count=0,
        test_mode=False,
        ti=ti,
        triggering_asset_events={},
        var={"json": VariableAccessor(True), "value": VariableAccessor(False)},
        templates_dict=None,
    )
    if start is not None:
        context.update(data_interval_start=start, data_interval_end=end)
    if logical is not None:
        ds, ts = logical.strftime("%Y-%m-%d"), logical.isoformat()
        context.update(
            logical_date=logical,
            ds=ds,
            ds_nodash=ds.replace("-", ""),
            ts=ts,
            ts_nodash=logical.strftime("%Y%m%dT%H%M%S"),
            ts_nodash_with_tz=ts.replace("-", "").replace(":", ""),
            task_instance_key_str=f"{ti.dag_id}__{ti.task_id}__{ds.replace('-', '')}",
        )
    if legacy:
        context.update(_legacy_keys(ti, logical, start, end, conf))
        if level == "1.10":
            context.update(END_DATE=context["ds"], end_date=context["ds"], latest_date=context["ds"], tables=None)
    return context


def _legacy_keys(ti, logical, start, end, conf):
    following = _neighbour(ti, logical, end, 1)
    before = _neighbour(ti, logical, start, -1)
    yesterday = (logical - timedelta(1)).strftime("%Y-%m-%d")
    tomorrow = (logical + timedelta(1)).strftime("%Y-%m-%d")
    next_ds = following.strftime("%Y-%m-%d") if following else None
    prev_ds = before.strftime("%Y-%m-%d") if before else None
    return {
        "conf": conf,
        "execution_date": logical,
        "next_execution_date": following,
        "next_ds": next_ds,
        "next_ds_nodash": next_ds and next_ds.replace("-", ""),
        "prev_execution_date": before,
        "prev_ds": prev_ds,
        "prev_ds_nodash": prev_ds and prev_ds.replace("-", ""),
        "prev_execution_date_success": Late(lambda: ti.previous_success("logical_date")),
        "tomorrow_ds": tomorrow,
        "tomorrow_ds_nodash": tomorrow.replace("-", ""),
        "yesterday_ds": yesterday,
        "yesterday_ds_nodash": yesterday.replace("-", ""),
        "triggering_dataset_events": {},
    }


def _neighbour(ti, logical, edge, direction):
    """The next or previous logical date. A manual run has itself on both sides, as in 2.x; else its interval says."""
    if ti.dag_run.run_type == "manual":
        return logical
    if direction > 0:
        return edge
    start, end = ti.dag_run.data_interval_start, ti.dag_run.data_interval_end
    if start is None or end is None:
        return None
    # Exact for hourly to weekly schedules; months differ in length, so step over the boundary and keep the day.
    length = end - start
    previous = start - length
    if 27 <= length.days <= 31 and start.day == end.day:
        return start.subtract(months=1)
    return previous


class OutletEvents:
    """`outlet_events[asset].extra = …` is taken; assets do not schedule yet."""

    def __init__(self):
        self._events = {}

    def __getitem__(self, key):
        return self._events.setdefault(id(key), _OutletEvent(key))

    def __iter__(self):
        return iter(())

    def __len__(self):
        return 0


class _OutletEvent:
    def __init__(self, key):
        self.key, self.extra = key, {}

    def add(self, asset, extra=None):
        self.extra.update(extra or {})

