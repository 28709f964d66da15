"""Writes the DagSpec of a DAG: plain data, field by field as `platform/model/dag-spec.ts` says."""

from __future__ import annotations

import datetime as dt
import os

from airflow._light import timezone as timezones
from airflow._light.assets import is_asset_schedule
from airflow._light.baseoperator import AbstractOperator, MappedOperator
from airflow._light.dag import DAG
from airflow._light.graph import TaskGroup
from airflow._light.params import NOTSET
from airflow._light.sensors import BaseSensorOperator
from airflow._light.timetables import Timetable, cron_of, seconds_of, timezone_name

_text_characters_max = 256 * 1024


def write_spec(dag: DAG, level: str, warnings: list[dict]) -> dict:
    """The spec of a checked DAG. What the house cannot do yet is added to `warnings`."""
    start = dag.start_date or dag.default_args.get("start_date") or _earliest(dag)
    end = dag.end_date or dag.default_args.get("end_date")
    return _without_none(
        {
            "dag_id": dag.dag_id,
            "display_name": dag._display_name,
            "description": _text(dag.description),
            "doc_md": _text(_doc_of(dag)),
            "tags": _tags(dag.tags),
            "owners": sorted({str(task.owner) for task in dag.tasks}),
            "level": level,
            "guest": "python",
            "timetable": _timetable(dag, level, warnings),
            "start_date": _moment(start),
            "end_date": _moment(end),
            "timezone": timezone_name(dag.timezone),
            "catchup": bool(dag.catchup) if dag.catchup is not None else level != "3",
            "max_active_runs": int(dag.max_active_runs),
            "max_active_tasks": int(dag.max_active_tasks),
            "max_consecutive_failed_dag_runs": int(dag.max_consecutive_failed_dag_runs),
            "dagrun_timeout_s": _seconds(dag.dagrun_timeout),
            "fail_fast": dag.fail_fast,
            "is_paused_upon_creation": dag.is_paused_upon_creation,
            "params": {key: param.spec() for key, param in dag.params.params().items()},
            "render_template_as_native_obj": dag.render_template_as_native_obj,
            "has_success_callback": bool(dag.on_success_callback),
            "has_failure_callback": bool(dag.on_failure_callback),
            "groups": [_group(group) for group in dag.task_group_dict.values()],
            "tasks": [_task(task, start, end) for task in dag.tasks],
        }
    )


def _task(task: AbstractOperator, start, end) -> dict:
    group = task.task_group
    return _without_none(
        {
            "task_id": task.task_id,
            "display_name": task._task_display_name,
            "operator": task.operator_name,
            "doc_md": _text(task.doc_md or task.doc),
            "owner": str(task.owner),
            "downstream": sorted(task.downstream_task_ids),
            "group": group.group_id if group is not None and not group.is_root else None,
            "trigger_rule": str(task.trigger_rule),
            "retries": task.retries,
            "retry_delay_s": task.retry_delay.total_seconds(),
            "retry_exponential_backoff": _backoff(task.retry_exponential_backoff),
            "max_retry_delay_s": _seconds(task.max_retry_delay),
            "depends_on_past": task.depends_on_past,
            "wait_for_downstream": task.wait_for_downstream,
            "pool": str(task.pool),
            "pool_slots": int(task.pool_slots),
            "queue": str(task.queue),
            "priority_weight": int(task.priority_weight),
            "weight_rule": task.weight_rule if task.weight_rule in ("upstream", "absolute") else "downstream",
            "execution_timeout_s": _seconds(task.execution_timeout),
            "max_active_tis_per_dag": task.max_active_tis_per_dag,
            "max_active_tis_per_dagrun": task.max_active_tis_per_dagrun,
            "start_date": _own_moment(task.start_date, start, later=True),
            "end_date": _own_moment(task.end_date, end, later=False),
            "is_setup": task.is_setup,
            "is_teardown": task.is_teardown,
            "on_failure_fail_dagrun": task.on_failure_fail_dagrun,
            "map": task.map_spec() if isinstance(task, MappedOperator) else None,
            "decides": task.decides,
            "sensor": _sensor(task),
            "has_callbacks": task.has_callbacks,
            "multiple_outputs": bool(task.multiple_outputs),
            "runs_in": "inline" if task.runs_inline else "python",
            "template_fields": [str(field) for field in task.template_fields],
        }
    )


def _sensor(task: AbstractOperator) -> dict | None:
    kind = task.operator_class if isinstance(task, MappedOperator) else type(task)
    if not issubclass(kind, BaseSensorOperator):
        return None
    return {
        "mode": getattr(task, "mode", "poke"),
        "poke_interval_s": _seconds(getattr(task, "poke_interval", 60)),
        "timeout_s": _seconds(getattr(task, "timeout", 7 * 24 * 3600)),
        "soft_fail": bool(getattr(task, "soft_fail", False)),
    }


def _group(group: TaskGroup) -> dict:
    parent = group.parent_group
    return _without_none(
        {
            "group_id": group.group_id,
            "parent": parent.group_id if parent is not None and not parent.is_root else None,
            "tooltip": _text(group.tooltip) or None,
            "prefix_group_id": bool(group.prefix_group_id),
            "map": group.expand_input.map_spec() if group.expand_input is not None else None,
        }
    )


def _timetable(dag: DAG, level: str, warnings: list[dict]) -> dict:
    schedule = dag._schedule
    if schedule is NOTSET:
        # Before 3 a DAG that said nothing ran daily.
        schedule = None if level == "3" else dt.timedelta(days=1)
    if schedule is None:
        return {"kind": "none"}
    if isinstance(schedule, str):
        return _text_schedule(schedule.strip(), dag, level)
    if isinstance(schedule, Timetable):
        spec = schedule.spec()
        if spec is None:
            warnings.append(_warning(dag, f"the timetable {type(schedule).__name__} is not scheduled yet", "give a cron expression"))
        return spec or {"kind": "none"}
    if is_asset_schedule(schedule):
        warnings.append(_warning(dag, "schedules of assets do not start runs yet", "give a cron expression beside, or trigger it"))
        return {"kind": "none"}
    if hasattr(schedule, "days") and hasattr(schedule, "seconds"):
        # As with cron: from 3 on a run is about the moment it fires at, before about the time since the last.
        return {"kind": "delta", "seconds": seconds_of(schedule), **({"interval_s": 0} if level == "3" else {})}
    raise ValueError(f"schedule of {dag.dag_id} is a {type(schedule).__name__}, which is no schedule")


def _text_schedule(text: str, dag: DAG, level: str) -> dict:
    if text in ("@once", "@continuous"):
        return {"kind": text[1:]}
    if text in ("None", ""):
        return {"kind": "none"}
    expression = cron_of(text)
    if expression.startswith("@") or not 5 <= len(expression.split()) <= 7:
        raise ValueError(
            f"the schedule {text!r} of {dag.dag_id} is neither a cron expression of five fields nor a preset such as @daily"
        )
    zone = timezone_name(dag.timezone)
    if level == "3":
        return {"kind": "cron_trigger", "expression": expression, "timezone": zone, "interval_s": 0}
    return {"kind": "cron_interval", "expression": expression, "timezone": zone}


def _warning(dag: DAG, message: str, hint: str) -> dict:
    return {"message": f"{dag.dag_id}: {message}", "hint": hint}


def _doc_of(dag: DAG) -> str | None:
    doc = dag.doc_md
    if isinstance(doc, str) and doc.endswith(".md") and "\n" not in doc:
        try:
            with open(os.path.join(dag.folder, doc), encoding="utf-8") as file:
                return file.read()
        except OSError:
            return doc
    return doc


def _earliest(dag: DAG):
    return min((task.start_date for task in dag.tasks if task.start_date is not None), default=None)


def _own_moment(own, of_dag, later: bool) -> str | None:
    if own is None or of_dag is not None and (own <= of_dag if later else own >= of_dag):
        return None
    return _moment(own)


def _moment(value) -> str | None:
    return None if value is None else timezones.coerce_datetime(value).isoformat()


def _seconds(value) -> float | None:
    if value is None:
        return None
    return seconds_of(value) if hasattr(value, "days") else float(value)


def _backoff(value) -> float:
    if isinstance(value, bool):
        return 2 if value else 0
    return float(value or 0)


def _tags(tags) -> list[str]:
    given = [tags] if isinstance(tags, str) else sorted(tags) if isinstance(tags, (set, frozenset)) else tags or []
    return list(dict.fromkeys(str(tag) for tag in given))


def _text(value) -> str | None:
    return None if value is None else str(value)[:_text_characters_max]


def _without_none(fields: dict) -> dict:
    return {key: value for key, value in fields.items() if value is not None}
