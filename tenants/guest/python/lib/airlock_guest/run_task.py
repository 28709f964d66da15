"""One attempt: load the DAG, render, execute, push, say how it ended, then the callbacks. The order is Airflow's."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys

from airflow._light import channel, timezone, xcom
from airflow._light.baseoperator import BaseOperator, MappedOperator
from airflow._light.context import build_context, opened, parse_only
from airflow._light.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTerminated,
    AirflowTaskTimeout,
    DownstreamTasksSkipped,
    TaskDeferred,
    TaskNotFound,
    UnmappableXComTypePushed,
    XComForMappingNotPushed,
)
from airflow._light.params import ParamsDict
from airflow._light.run_environment import context_variables, trace_variables
from airflow._light.task_instance import TaskInstance
from airlock_guest import author_errors
from airlock_guest.load_dag_file import load, prepare

_log = logging.getLogger("airflow.task")
_rendered_characters_max = 4096


def run(details: dict, paths) -> int:
    """The exit code. How the attempt ended is in its terminal frame."""
    start = details["airlock"]
    level = start.get("level", "3")
    parse_only(start["dag_id"], start["task_id"])
    ti = TaskInstance(start, level, ti_id=(details.get("ti") or {}).get("id"), log_url=start.get("log_url", ""))
    attempt = Attempt(ti, start, level)
    signal.signal(signal.SIGTERM, attempt.on_terminate)
    os.environ.update(trace_variables(start))
    try:
        prepare(paths.bundle, paths.dags_folder, (details.get("bundle_info") or {}).get("name"))
        attempt.load(os.path.join(paths.bundle, start["dag_file"]))
        with opened(attempt.context):
            attempt.run()
    except BaseException as error:
        attempt.end_with(error)
    return 0


class EndedLate(SystemExit):
    """Asked to end after it had said how it ended: nothing is left to be said."""


class Attempt:
    """One task instance on its way from the DAG file to its terminal frame."""

    def __init__(self, ti: TaskInstance, start: dict, level: str):
        self._ti = ti
        self._start = start
        self._level = level
        self._task: BaseOperator | MappedOperator | None = None
        self._ended = False
        self.context: dict = {}

    def load(self, path: str) -> None:
        dag_id = self._start["dag_id"]
        dag = next((dag for dag in reversed(load(path)) if dag.dag_id == dag_id), None)
        if dag is None:
            raise AirflowFailException(f"the DAG {dag_id!r} is not in {self._start['dag_file']} when a task loads it")
        self.take(dag)

    def take(self, dag) -> None:
        dag_id, task_id = self._start["dag_id"], self._start["task_id"]
        if not dag.has_task(task_id):
            raise TaskNotFound(f"the task {task_id!r} is not in the DAG {dag_id!r} when it is loaded for the run")
        task = dag.get_task(task_id)
        self._ti.task = self._task = task
        self._ti.params = _params_of(dag, task, self._start["run"])
        self.context = build_context(self._ti, self._level)

    def run(self) -> None:
        ti, context = self._ti, self.context
        if isinstance(self._task, MappedOperator):
            self._task = self._task.unmap(context, ti.map_index)
        else:
            self._task = self._task.prepare_for_execution()
        task = ti.task = self._task
        ti.operator = task.operator_name
        context.update(task=task, inlets=task.inlets, outlets=task.outlets)
        os.environ.update(context_variables(context))
        task.resolve_template_files()
        # An author's own way of rendering is given the environment; ours makes one only where there is text to render.
        own = type(task).render_template_fields is not BaseOperator.render_template_fields
        environment = task.get_template_env() if own else None
        task.render_template_fields(context, environment)
        rendered = _rendered_fields(task)
        if rendered:
            channel.ask({"type": "SetRenderedFields", "rendered_fields": rendered})
        channel.tell({"type": "TaskStarted"})
        task.pre_execute(context)
        self._call(task.on_execute_callback)
        try:
            result = self._execute()
        except DownstreamTasksSkipped as skipping:
            # Operators of providers say it this way.
            ti.skip = {"skipped": [each if isinstance(each, str) else each[0] for each in skipping.tasks]}
            result = None
        task.post_execute(context, result)
        self._push(result)
        if task.map_index_template:
            text = str(task.render_template(task.map_index_template, context, environment))
            channel.ask({"type": "SetRenderedMapIndex", "rendered_map_index": text[:250]})
        success = {"type": "SucceedTask", "task_outlets": [], "outlet_events": []}
        if ti.skip is not None:
            success["skip"] = ti.skip
        self._end(success, "success", task.on_success_callback)

    def _execute(self):
        task, context = self._task, self.context
        method = task.execute
        if self._start.get("next_method"):
            kwargs = xcom.from_wire(self._start.get("next_kwargs") or {})
            method = lambda context: task.resume_execution(self._start["next_method"], kwargs, context)  # noqa: E731
        limit = task.execution_timeout.total_seconds() if task.execution_timeout else self._start.get("execution_timeout_s")
        if not limit:
            return method(context)
        signal.signal(signal.SIGALRM, lambda *_: self._on_timeout(limit))
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            return method(context)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _on_timeout(self, limit: float) -> None:
        self._kill()
        raise AirflowTaskTimeout(f"the task ran longer than its execution_timeout of {limit:g} s")

    def on_terminate(self, _signal, _frame) -> None:
        """The house wants it to stop: the operator ends what it started, within five seconds."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self._ended:
            # Its callbacks took too long.
            raise EndedLate(128 + signal.SIGTERM)
        self._kill()
        raise AirflowTaskTerminated("Task received SIGTERM signal")

    def _kill(self) -> None:
        if isinstance(self._task, BaseOperator):
            try:
                self._task.on_kill()
            except Exception:
                _log.exception("on_kill failed")

    def _push(self, result) -> None:
        task, wants_length = self._task, bool(self._start.get("push_length"))
        if wants_length:
            if result is None:
                raise XComForMappingNotPushed()
            if isinstance(result, (str, bytes)) or not hasattr(result, "__len__"):
                raise UnmappableXComTypePushed(result)
        if result is None or not task.do_xcom_push:
            return
        self._ti.push_result(result, bool(task.multiple_outputs), wants_length)

    def end_with(self, error: BaseException) -> None:
        if isinstance(error, EndedLate):
            return
        if self._ended:
            _log.error("after the task had ended:\n%s", author_errors.traceback_text(error))
            return
        task = self._task
        if isinstance(error, AirflowSkipException):
            if str(error):
                _log.info("%s", error)
            self._end(_state("skipped", author_errors.reason_of(error)), "skipped", _of(task, "on_skipped_callback"))
            return
        if isinstance(error, AirflowRescheduleException):
            at = timezone.coerce_datetime(error.reschedule_date)
            _log.info("Rescheduling task, marking task as UP_FOR_RESCHEDULE until %s", at)
            self._end({"type": "RescheduleTask", "reschedule_date": at}, "up_for_reschedule", [])
            return
        if isinstance(error, TaskDeferred):
            self._end(_deferral(error), "deferred", [])
            return
        reason = author_errors.reason_of(error)
        _log.error("Task failed with exception\n%s", author_errors.traceback_text(error))
        self.context["exception"] = error
        final = isinstance(error, (AirflowFailException, AirflowSensorTimeout))
        if final or not self._ti.is_eligible_to_retry:
            self._end(_state("failed", reason), "failed", _of(task, "on_failure_callback"))
        else:
            self._end({"type": "RetryTask", "reason": reason}, "up_for_retry", _of(task, "on_retry_callback"))

    def _end(self, terminal: dict, state: str, callbacks: list) -> None:
        """The terminal frame first, then the callbacks, for which the house gives 20 seconds."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        self._ti.end_date = timezone.utcnow()
        self._ti.state = state
        self._ended = True
        channel.ask({**terminal, "end_date": self._ti.end_date})
        with opened(self.context):
            self._call(callbacks)

    def _call(self, callbacks: list) -> None:
        for callback in callbacks:
            try:
                callback(self.context)
            except Exception:
                _log.exception("the callback %s failed", getattr(callback, "__name__", callback))


def _of(task, name: str) -> list:
    return getattr(task, name, None) or []


def _state(state: str, reason: str) -> dict:
    return {"type": "TaskState", "state": state, "reason": reason}


def _deferral(error: TaskDeferred) -> dict:
    classpath, kwargs = error.trigger.serialize()
    return {
        "type": "DeferTask",
        "classpath": classpath,
        "trigger_kwargs": xcom.to_wire(kwargs),
        "trigger_timeout": error.timeout.total_seconds() if error.timeout is not None else None,
        "next_method": error.method_name,
        "next_kwargs": xcom.to_wire(error.kwargs or {}),
    }


def _params_of(dag, task, run: dict) -> ParamsDict:
    """Defaults of the DAG, what the house says about this run, defaults of the task, what the run was triggered with."""
    params = ParamsDict(dag.params)
    conf = run.get("conf")
    for source in (run.get("params"), ParamsDict(task.params).params(), conf if isinstance(conf, dict) else None):
        for key, value in (source or {}).items():
            params[key] = value
    params.validate()
    return params


def _rendered_fields(task) -> dict:
    """For the rendered view: bounded, and plain. Nothing where every field is empty."""
    found = {field: getattr(task, field, None) for field in task.template_fields}
    if not any(found.values()):
        return {}
    return {field: _plain(value) for field, value in found.items()}


def _plain(value):
    if value is None or isinstance(value, (bool, int, float)):
        return value
    try:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
    except (TypeError, ValueError):
        text = value = str(value)
    if len(text) > _rendered_characters_max:
        return f"{text[:_rendered_characters_max]}… (truncated, {len(text)} characters)"
    return value if isinstance(value, str) else json.loads(text)

