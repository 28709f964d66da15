"""Sensors: they poke until something is so, either holding their place or giving it back in between."""

from __future__ import annotations

import datetime as dt
import glob
import hashlib
import os
import time
from datetime import timedelta

from airflow._light import channel, timezone
from airflow._light.baseoperator import BaseOperator
from airflow._light.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from airflow._light.operators import BashOperator, EmptyOperator, determine_kwargs, run_callable
from airflow._light.task_instance import task_states

_reschedule_max = timedelta(days=365)


class PokeReturnValue:
    def __init__(self, is_done, xcom_value=None):
        self.is_done, self.xcom_value = is_done, xcom_value

    def __bool__(self):
        return self.is_done


class BaseSensorOperator(BaseOperator):
    ui_color = "#e6f1f2"
    valid_modes = ("poke", "reschedule")

    def __init__(
        self, *, poke_interval=60, timeout=7 * 24 * 3600, soft_fail=False, mode="poke", exponential_backoff=False,
        max_wait=None, silent_fail=False, never_fail=False, deferrable=False, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.poke_interval = _seconds(poke_interval)
        self.timeout = _seconds(timeout)
        self.soft_fail = soft_fail
        self.mode = mode
        self.exponential_backoff = exponential_backoff
        self.max_wait = None if max_wait is None else _seconds(max_wait)
        self.silent_fail = silent_fail
        self.never_fail = never_fail
        if soft_fail and never_fail:
            raise ValueError("soft_fail and never_fail are mutually exclusive")
        if not isinstance(self.poke_interval, (int, float)) or self.poke_interval < 0:
            raise AirflowException("The poke_interval must be a non-negative number")
        if not isinstance(self.timeout, (int, float)) or self.timeout < 0:
            raise AirflowException("The timeout must be a non-negative number")
        if mode not in self.valid_modes:
            raise AirflowException(
                f"The mode must be one of {list(self.valid_modes)}, '{self.dag_id}.{self.task_id}'; received '{mode}'."
            )

    @property
    def reschedule(self):
        return self.mode == "reschedule"

    def poke(self, context):
        raise NotImplementedError("Override me.")

    def execute(self, context):
        # Across reschedules the first poke counts, else a sensor would wait for ever.
        first = context["ti"].get_first_reschedule_date(context) if self.reschedule else None
        already = (timezone.utcnow() - first).total_seconds() if first is not None else 0
        started, tries = time.monotonic(), 1
        log_date = first or timezone.utcnow()
        while True:
            done = self._poke_once(context)
            if done:
                self.log.info("Success criteria met. Exiting.")
                return done.xcom_value if isinstance(done, PokeReturnValue) else None
            waited = already + time.monotonic() - started
            if waited > self.timeout:
                message = (
                    f"Sensor has timed out; run duration of {waited} seconds exceeds "
                    f"the specified timeout of {self.timeout}."
                )
                if self.soft_fail:
                    raise AirflowSkipException(message)
                raise AirflowSensorTimeout(message)
            interval = self._next_interval(log_date, waited, tries)
            if self.reschedule:
                raise AirflowRescheduleException(timezone.utcnow() + min(timedelta(seconds=interval), _reschedule_max))
            time.sleep(interval)
            tries += 1

    def _poke_once(self, context):
        try:
            return self.poke(context)
        except (AirflowSensorTimeout, AirflowTaskTimeout, AirflowFailException) as problem:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException("Skipping due to soft_fail or never_fail.") from problem
            raise
        except (AirflowSkipException, AirflowRescheduleException):
            raise
        except Exception as problem:
            if self.silent_fail:
                self.log.exception("Sensor poke failed")
                return False
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from problem
            raise

    def _next_interval(self, started_at, waited, tries):
        if not self.exponential_backoff:
            return self.poke_interval
        if self.reschedule:
            # How often it poked is not known across reschedules; the time waited says it well enough.
            tries = 1 + int(waited // max(self.poke_interval, 1)).bit_length()
        least = max(int(self.poke_interval * 2 ** (tries - 2)), 1)
        name = f"{self.dag_id}#{self.task_id}#{started_at}#{tries}"
        spread = int(hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(), 16)
        interval = min(least + spread % least, 86400)
        interval = min(interval, self.max_wait) if self.max_wait else interval
        return min(interval, max(self.timeout - waited, 0) or interval)


class PythonSensor(BaseSensorOperator):
    template_fields = ("templates_dict", "op_args", "op_kwargs")

    def __init__(self, *, python_callable, op_args=None, op_kwargs=None, templates_dict=None, **kwargs):
        super().__init__(**kwargs)
        self.python_callable = python_callable
        self.op_args, self.op_kwargs = op_args or [], op_kwargs or {}
        self.templates_dict = templates_dict

    def poke(self, context):
        seen = {**context, **self.op_kwargs, "templates_dict": self.templates_dict}
        kwargs = determine_kwargs(self.python_callable, self.op_args, seen, self.op_kwargs)
        return run_callable(self.python_callable, self.op_args, kwargs)


class BashSensor(BaseSensorOperator):
    template_fields = ("bash_command", "env")
    template_ext = (".sh", ".bash")

    def __init__(self, *, bash_command, env=None, output_encoding="utf-8", retry_exit_code=None, cwd=None, **kwargs):
        super().__init__(**kwargs)
        self.bash_command, self.env, self.output_encoding = bash_command, env, output_encoding
        self.retry_exit_code, self.cwd = retry_exit_code, cwd
        self.append_env = False
        self._process = None

    _run = BashOperator._run
    get_env = BashOperator.get_env
    on_kill = BashOperator.on_kill

    def poke(self, context):
        code, _ = self._run(["bash", "-c", self.bash_command], self.get_env(context))
        if code == 0:
            return True
        if self.retry_exit_code is not None and code != self.retry_exit_code:
            raise AirflowFailException(f"Command exited with {code}")
        return False


class DateTimeSensor(BaseSensorOperator):
    template_fields = ("target_time",)

    def __init__(self, *, target_time, **kwargs):
        super().__init__(**kwargs)
        self.target_time = target_time.isoformat() if isinstance(target_time, dt.datetime) else target_time

    def poke(self, context):
        self.log.info("Checking if the time (%s) has come", self.target_time)
        return timezone.utcnow() > timezone.coerce_datetime(self.target_time)


class DateTimeSensorAsync(DateTimeSensor):
    pass


class TimeSensor(BaseSensorOperator):
    def __init__(self, *, target_time, **kwargs):
        super().__init__(**kwargs)
        self.target_time = target_time

    def poke(self, context):
        zone = self.dag.timezone if self.dag is not None else timezone.utc
        return timezone.utcnow().in_timezone(zone).time() > self.target_time


class TimeDeltaSensor(BaseSensorOperator):
    def __init__(self, *, delta, **kwargs):
        super().__init__(**kwargs)
        self.delta = delta

    def poke(self, context):
        target = (context.get("data_interval_end") or context["dag_run"].run_after) + self.delta
        self.log.info("Checking if the delta has elapsed, target time %s", target)
        return timezone.utcnow() > target


class TimeDeltaSensorAsync(TimeDeltaSensor):
    pass


class WaitSensor(BaseSensorOperator):
    def __init__(self, *, time_to_wait, **kwargs):
        super().__init__(**kwargs)
        self.time_to_wait = time_to_wait if isinstance(time_to_wait, timedelta) else timedelta(seconds=time_to_wait)

    def poke(self, context):
        first = context["ti"].get_first_reschedule_date(context) if self.reschedule else None
        return timezone.utcnow() > (first or context["ti"].start_date) + self.time_to_wait


class DayOfWeekSensor(BaseSensorOperator):
    def __init__(self, *, week_day, use_task_logical_date=False, use_task_execution_day=False, **kwargs):
        super().__init__(**kwargs)
        self.week_day = week_day
        self.use_task_logical_date = use_task_logical_date or use_task_execution_day

    def poke(self, context):
        names = self.week_day if isinstance(self.week_day, (list, tuple, set)) else [self.week_day]
        wanted = {str(getattr(name, "name", name)).strip().lower() for name in names}
        moment = context["ti"].execution_date if self.use_task_logical_date else timezone.utcnow()
        return moment.strftime("%A").lower() in wanted


class FileSensor(BaseSensorOperator):
    template_fields = ("filepath",)

    def __init__(self, *, filepath, fs_conn_id="fs_default", recursive=False, **kwargs):
        super().__init__(**kwargs)
        self.filepath, self.fs_conn_id, self.recursive = filepath, fs_conn_id, recursive

    def poke(self, context):
        path = self.filepath
        if not os.path.isabs(path):
            from airflow._light.connection import Connection

            path = os.path.join(Connection.get(self.fs_conn_id).extra_dejson.get("path", "/"), path)
        self.log.info("Poking for file %s", path)
        for found in glob.glob(path, recursive=self.recursive):
            if os.path.isfile(found) or any(files for _, _, files in os.walk(found)):
                return True
        return False


class ExternalTaskSensor(BaseSensorOperator):
    template_fields = ("external_dag_id", "external_task_id", "external_task_ids", "external_task_group_id")

    def __init__(
        self, *, external_dag_id, external_task_id=None, external_task_ids=None, external_task_group_id=None,
        allowed_states=None, skipped_states=None, failed_states=None, execution_delta=None, execution_date_fn=None,
        check_existence=False, poll_interval=2.0, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.external_dag_id = external_dag_id
        self.external_task_id = external_task_id
        self.external_task_ids = [external_task_id] if external_task_id is not None else external_task_ids
        self.external_task_group_id = external_task_group_id
        self.allowed_states = [str(s) for s in (["success"] if allowed_states is None else allowed_states)]
        self.skipped_states = [str(s) for s in skipped_states or []]
        self.failed_states = [str(s) for s in failed_states or []]
        if execution_delta is not None and execution_date_fn is not None:
            raise ValueError("Only one of `execution_delta` or `execution_date_fn` may be provided, not both.")
        self.execution_delta, self.execution_date_fn = execution_delta, execution_date_fn
        self.check_existence = check_existence

    def _get_dttm_filter(self, context):
        moment = context.get("logical_date") or context["dag_run"].run_after
        if self.execution_delta:
            return [moment - self.execution_delta]
        if self.execution_date_fn:
            seen = determine_kwargs(self.execution_date_fn, [moment], {k: v for k, v in context.items() if k != "logical_date"})
            found = self.execution_date_fn(moment, **seen)
            return found if isinstance(found, list) else [found]
        return [moment]

    def poke(self, context):
        moments = [timezone.coerce_datetime(m, timezone.utc) for m in self._get_dttm_filter(context)]
        told = [m.isoformat() for m in moments]
        names = self.external_task_ids or self.external_task_group_id or "the DAG run"
        self.log.info("Poking for %s of %s on %s ...", names, self.external_dag_id, ", ".join(told))
        states = self._states(told)
        if any(state in self.failed_states for state in states):
            message = f"The external {names} of DAG {self.external_dag_id} failed."
            if self.soft_fail:
                raise AirflowSkipException(message + " Skipping due to soft_fail.")
            raise AirflowException(message)
        if any(state in self.skipped_states for state in states):
            raise AirflowSkipException(f"The external {names} of DAG {self.external_dag_id} reached a state in {self.skipped_states}.")
        return bool(states) and all(state in self.allowed_states for state in states)

    def _states(self, moments):
        """The states that must all be good; a run or task that is missing is None."""
        if not self.external_task_ids and not self.external_task_group_id:
            return [self._run_state(moment) for moment in moments]
        found = []
        runs = task_states(self.external_dag_id, self.external_task_ids, self.external_task_group_id, moments)
        for tasks in runs.values():
            if self.external_task_ids:
                for wanted in self.external_task_ids:
                    mine = [s for name, s in tasks.items() if name == wanted or name.startswith(f"{wanted}[")]
                    found.extend(mine or [None])
            else:
                found.extend(tasks.values() or [None])
        found.extend([None] * (len(moments) - len(runs)))
        return found

    def _run_state(self, moment):
        for state in {*self.allowed_states, *self.skipped_states, *self.failed_states}:
            body = {"type": "GetDRCount", "dag_id": self.external_dag_id, "logical_dates": [moment], "states": [state]}
            answer = channel.ask({**body, "run_ids": None})
            if not channel.is_error(answer) and (answer or {}).get("count"):
                return state
        return None


class ExternalTaskMarker(EmptyOperator):
    template_fields = ("external_dag_id", "external_task_id", "logical_date")

    def __init__(self, *, external_dag_id, external_task_id, logical_date="{{ logical_date.isoformat() }}",
                 execution_date=None, recursion_depth=10, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        self.external_dag_id, self.external_task_id = external_dag_id, external_task_id
        self.logical_date = execution_date or logical_date
        self.recursion_depth = recursion_depth


def poke_mode_only(cls):
    """A class decorator: this sensor cannot give its place back in between."""
    before = cls.__init__

    def init(self, *args, **kwargs):
        if kwargs.get("mode", "poke") != "poke":
            raise ValueError(f"Cannot set mode to '{kwargs['mode']}'. Only 'poke' is acceptable")
        before(self, *args, **kwargs)

    cls.__init__ = init
    return cls


def _seconds(value):
    return value.total_seconds() if isinstance(value, timedelta) else value
