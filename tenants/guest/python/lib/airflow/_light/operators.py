"""The operators of Airflow's core: Bash, Python, Empty, branches, short circuit, latest only, trigger."""

from __future__ import annotations

import contextlib
import inspect
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from datetime import timedelta

from airflow._light import channel, timezone
from airflow._light.baseoperator import BaseOperator, BaseOperatorLink, LoggingMixin
from airflow._light.exceptions import AirflowException, AirflowSkipException


class EmptyOperator(BaseOperator):
    """Does nothing. The house ends it itself unless somebody listens to it."""

    ui_color = "#e8f7e4"
    inherits_from_empty_operator = True

    def execute(self, context):
        pass


class DummyOperator(EmptyOperator):
    pass


class SkipMixin(LoggingMixin):
    """Tells the house which of the tasks behind this one are skipped; it goes out with the task's success."""

    def skip_all_except(self, ti, branch_task_ids):
        dag, task = ti.task.dag, ti.task
        chosen = [branch_task_ids] if isinstance(branch_task_ids, str) else branch_task_ids
        if chosen is None:
            chosen = []
        if not isinstance(chosen, Iterable):
            raise AirflowException(
                f"'branch_task_ids' must be either None, a task ID, or an Iterable of IDs, but got {type(chosen).__name__!r}."
            )
        chosen = list(chosen)
        if any(not isinstance(each, str) for each in chosen):
            kinds = {type(each).__name__ for each in chosen if not isinstance(each, str)}
            raise AirflowException(f"'branch_task_ids' expected all task IDs are strings. Invalid tasks found: {kinds}.")
        groups = dag.task_group_dict
        unknown = {each for each in chosen if not dag.has_task(each) and each not in groups}
        if unknown:
            raise AirflowException(f"'branch_task_ids' must contain only valid task_ids. Invalid tasks found: {unknown}.")
        picked = {root.task_id for each in chosen if each in groups for root in groups[each].get_roots()}
        picked |= {each for each in chosen if dag.has_task(each)}
        # A join behind a followed task must not be skipped for being a direct downstream as well.
        kept = set(picked)
        for task_id in picked:
            kept |= dag.get_task(task_id).get_flat_relative_ids(upstream=False)
        behind = sorted(task.downstream_task_ids)
        followed = [task_id for task_id in behind if task_id in kept]
        skipped = [task_id for task_id in behind if task_id not in kept]
        self.log.info("Following branch %s, skipping %s", followed, skipped)
        ti.skip = {"followed": followed, "skipped": skipped}

    def skip(self, *, ti, tasks):
        ti.skip = {"skipped": sorted(task.task_id for task in tasks)}


class BranchMixIn(SkipMixin):
    def do_branch(self, context, branches_to_execute):
        self.log.info("Branch into %s", branches_to_execute)
        self.skip_all_except(context["ti"], branches_to_execute)
        return branches_to_execute


class BaseBranchOperator(BaseOperator, BranchMixIn):
    decides = "branch"
    inherits_from_skipmixin = True

    def choose_branch(self, context):
        raise NotImplementedError

    def execute(self, context):
        return self.do_branch(context, self.choose_branch(context))


class PythonOperator(BaseOperator):
    template_fields = ("templates_dict", "op_args", "op_kwargs")
    template_fields_renderers = {"templates_dict": "json", "op_args": "py", "op_kwargs": "py"}
    ui_color = "#ffefeb"
    shallow_copy_attrs = ("python_callable", "op_kwargs")

    def __init__(
        self, *, python_callable, op_args=None, op_kwargs=None, templates_dict=None, templates_exts=None,
        show_return_value_in_logs=True, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        if not callable(python_callable):
            raise AirflowException("`python_callable` param must be callable")
        self.python_callable = python_callable
        self.op_args = op_args or ()
        self.op_kwargs = op_kwargs or {}
        self.templates_dict = templates_dict
        if templates_exts:
            self.template_ext = templates_exts
        self.show_return_value_in_logs = show_return_value_in_logs

    def execute(self, context):
        seen = {**context, **self.op_kwargs, "templates_dict": self.templates_dict}
        self.op_kwargs = self.determine_kwargs(seen)
        result = self.execute_callable()
        if self.show_return_value_in_logs:
            self.log.info("Done. Returned value was: %s", _bounded(result))
        else:
            self.log.info("Done. Returned value not shown")
        return result

    def determine_kwargs(self, context):
        return determine_kwargs(self.python_callable, self.op_args, context, self.op_kwargs)

    def execute_callable(self):
        return run_callable(self.python_callable, self.op_args, self.op_kwargs)


class BranchPythonOperator(PythonOperator, BranchMixIn):
    decides = "branch"
    inherits_from_skipmixin = True

    def execute(self, context):
        return self.do_branch(context, super().execute(context))


class ShortCircuitOperator(PythonOperator, SkipMixin):
    decides = "short_circuit"
    inherits_from_skipmixin = True

    def __init__(self, *, ignore_downstream_trigger_rules=True, **kwargs):
        super().__init__(**kwargs)
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules

    def execute(self, context):
        condition = super().execute(context)
        self.log.info("Condition result is %s", condition)
        if condition:
            return condition
        task = context["ti"].task
        behind = (
            task.get_flat_relatives(upstream=False)
            if self.ignore_downstream_trigger_rules
            else task.get_direct_relatives(upstream=False)
        )
        to_skip = [each for each in behind if not each.is_teardown]
        if to_skip:
            self.log.info("Skipping downstream tasks: %s", [each.task_id for each in to_skip])
            self.skip(ti=context["ti"], tasks=to_skip)
        return condition


class LatestOnlyOperator(BaseBranchOperator):
    """Only the latest scheduled run goes on; a manual run always does."""

    def choose_branch(self, context):
        run = context["dag_run"]
        everything = list(context["ti"].task.downstream_task_ids)
        if run.run_type == "manual":
            self.log.info("Manually triggered DAG run: allowing execution to proceed.")
            return everything
        start, end = run.data_interval_start, run.data_interval_end
        if start is None or end is None:
            return everything
        # The run is the latest while its successor's interval has not ended.
        # A schedule without intervals says nothing about its next run here, so such a run counts as the latest.
        length = end - start
        return everything if not length or timezone.utcnow() < end + length else []


class BashOperator(BaseOperator):
    template_fields = ("bash_command", "env", "cwd")
    template_fields_renderers = {"bash_command": "bash", "env": "json"}
    template_ext = (".sh", ".bash")
    ui_color = "#f0ede4"

    def __init__(
        self, *, bash_command, env=None, append_env=False, output_encoding="utf-8", skip_exit_code=None,
        skip_on_exit_code=99, cwd=None, output_processor=lambda result: result, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.bash_command = bash_command
        self.env = env
        self.append_env = append_env
        self.output_encoding = output_encoding
        codes = skip_on_exit_code if skip_exit_code is None else skip_exit_code
        self.skip_on_exit_code = list(codes) if isinstance(codes, (list, tuple, set)) else [] if codes is None else [codes]
        self.cwd = cwd
        self.output_processor = output_processor
        self._process = None

    def get_env(self, context):
        from airflow._light.run_environment import context_variables

        told = context_variables(context)
        if self.env is None:
            return {**os.environ, **told}
        return {**(os.environ if self.append_env else {}), **told, **self.env}

    def execute(self, context):
        if self.cwd is not None:
            if not os.path.exists(self.cwd):
                raise AirflowException(f"Can not find the cwd: {self.cwd}")
            if not os.path.isdir(self.cwd):
                raise AirflowException(f"The cwd {self.cwd} must be a directory")
        bash = shutil.which("bash") or "bash"
        code, last = self._run([bash, "-c", self.bash_command], self.get_env(context))
        if code in self.skip_on_exit_code:
            raise AirflowSkipException(f"Bash command returned exit code {code}. Skipping.")
        if code != 0:
            raise AirflowException(f"Bash command failed. The command returned a non-zero exit code {code}.")
        return self.output_processor(last)

    def _run(self, command, env):
        self.log.info("Running command: %s", command)
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.cwd,
            env={str(k): str(v) for k, v in env.items()}, start_new_session=True,
        )  # fmt: skip
        self.log.info("Output:")
        last = ""
        for raw in iter(self._process.stdout.readline, b""):
            last = raw.decode(self.output_encoding, errors="backslashreplace").rstrip()
            self.log.info("%s", last)
        code = self._process.wait()
        self.log.info("Command exited with return code %s", code)
        return code, last

    def on_kill(self):
        if self._process is not None and self._process.poll() is None:
            self.log.info("Sending SIGTERM signal to process group")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)


class TriggerDagRunLink(BaseOperatorLink):
    name = "Triggered DAG"


class TriggerDagRunOperator(BaseOperator):
    template_fields = (
        "trigger_dag_id", "trigger_run_id", "logical_date", "conf", "wait_for_completion",
        "skip_when_already_exists", "allowed_states", "failed_states",
    )  # fmt: skip
    template_fields_renderers = {"conf": "py"}
    ui_color = "#ffefeb"

    def __init__(
        self, *, trigger_dag_id, trigger_run_id=None, conf=None, logical_date=None, execution_date=None,
        reset_dag_run=False, wait_for_completion=False, poke_interval=60, allowed_states=None, failed_states=None,
        skip_when_already_exists=False, fail_when_dag_is_paused=False, deferrable=False, python_callable=None,
        **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.trigger_dag_id = trigger_dag_id
        self.trigger_run_id = trigger_run_id
        self.conf = conf
        moment = logical_date if logical_date is not None else execution_date
        self.logical_date = moment.isoformat() if hasattr(moment, "isoformat") else moment
        self.reset_dag_run = reset_dag_run
        self.wait_for_completion = wait_for_completion
        self.poke_interval = poke_interval.total_seconds() if isinstance(poke_interval, timedelta) else poke_interval
        self.allowed_states = [str(s) for s in allowed_states or ["success"]]
        self.failed_states = [str(s) for s in (["failed"] if failed_states is None else failed_states)]
        self.skip_when_already_exists = skip_when_already_exists
        self.python_callable = python_callable

    def execute(self, context):
        import json

        try:
            conf = json.loads(self.conf) if isinstance(self.conf, str) else self.conf
            json.dumps(conf)
        except (TypeError, ValueError):
            raise ValueError("conf parameter should be JSON Serializable") from None
        if self.python_callable is not None:
            # 1.10: the callable fills in an order, or declines.
            order = self.python_callable(context, DagRunOrder(self.trigger_run_id))
            if not order:
                self.log.info("Criteria not met, moving on")
                return
            conf, self.trigger_run_id = order.payload, order.run_id
        moment = timezone.coerce_datetime(self.logical_date) if self.logical_date else None
        run_id = self.trigger_run_id or f"manual__{(moment or timezone.utcnow()).isoformat()}"
        body = {"type": "TriggerDagRun", "dag_id": self.trigger_dag_id, "run_id": run_id, "logical_date": moment,
                "conf": conf, "reset_dag_run": bool(self.reset_dag_run)}  # fmt: skip
        answer = channel.ask(body)
        if channel.is_error(answer, "DAGRUN_ALREADY_EXISTS") and self.skip_when_already_exists:
            raise AirflowSkipException(f"Dag Run already exists: {self.trigger_dag_id} {run_id}")
        if channel.is_error(answer):
            said = answer.get("detail")
            said = said.get("message", said) if isinstance(said, dict) else said
            raise AirflowException(f"could not trigger {self.trigger_dag_id}: {said or answer.get('error')}")
        run_id = (answer or {}).get("run_id") or run_id
        self.log.info("Triggered DAG %s, run %s", self.trigger_dag_id, run_id)
        context["ti"].xcom_push(key="trigger_run_id", value=run_id)
        if self.wait_for_completion:
            self._wait(run_id)

    def _wait(self, run_id):
        while True:
            answer = channel.ask({"type": "GetDagRunState", "dag_id": self.trigger_dag_id, "run_id": run_id})
            state = None if channel.is_error(answer) else (answer or {}).get("state")
            if state in self.failed_states:
                raise AirflowException(f"{self.trigger_dag_id} failed with failed state {state}")
            if state in self.allowed_states:
                self.log.info("%s finished with allowed state %s", self.trigger_dag_id, state)
                return
            self.log.info("Waiting for %s run %s, now %s", self.trigger_dag_id, run_id, state)
            time.sleep(self.poke_interval)


class DagRunOrder:
    def __init__(self, run_id=None, payload=None):
        self.run_id, self.payload = run_id, payload


class BranchDayOfWeekOperator(BaseBranchOperator):
    def __init__(self, *, follow_task_ids_if_true, follow_task_ids_if_false, week_day,
                 use_task_logical_date=False, use_task_execution_day=False, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false
        self.week_day = week_day
        self.use_task_logical_date = use_task_logical_date or use_task_execution_day

    def choose_branch(self, context):
        moment = context["ti"].execution_date if self.use_task_logical_date else timezone.utcnow()
        names = self.week_day if isinstance(self.week_day, (list, tuple, set)) else [self.week_day]
        wanted = {str(getattr(name, "name", name)).strip().lower() for name in names}
        return self.follow_task_ids_if_true if moment.strftime("%A").lower() in wanted else self.follow_task_ids_if_false


class BranchDateTimeOperator(BaseBranchOperator):
    def __init__(self, *, follow_task_ids_if_true, follow_task_ids_if_false, target_lower, target_upper,
                 use_task_logical_date=False, use_task_execution_date=False, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        if target_lower is None and target_upper is None:
            raise AirflowException(
                "Both target_upper and target_lower are None. At least one must be defined to be compared to the current datetime"
            )
        self.target_lower, self.target_upper = target_lower, target_upper
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false
        self.use_task_logical_date = use_task_logical_date or use_task_execution_date

    def choose_branch(self, context):
        import datetime as dt

        now = context["ti"].execution_date if self.use_task_logical_date else timezone.utcnow()

        def at(edge):
            if isinstance(edge, dt.time) and not isinstance(edge, dt.datetime):
                edge = dt.datetime.combine(now.date(), edge)
            return timezone.coerce_datetime(edge)

        lower, upper = at(self.target_lower), at(self.target_upper)
        if lower is not None and upper is not None and upper < lower and isinstance(self.target_upper, dt.time):
            upper = upper + timedelta(days=1)
        if (lower is not None and now < lower) or (upper is not None and now > upper):
            return self.follow_task_ids_if_false
        return self.follow_task_ids_if_true


def determine_kwargs(function, args, context, own=None):
    """Which of the context a function gets: all with `**kwargs`, else what it names; what it was given in any case.

    A signature that cannot be read (a builtin) gets nothing but what it was given.
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return dict(own or {})
    names = list(signature.parameters.values())
    for name in [p.name for p in names if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][: len(args)]:
        if name in context and name not in (own or {}):
            raise ValueError(f"The key {name!r} in args is a part of kwargs and therefore reserved.")
    if any(p.kind is p.VAR_KEYWORD for p in names):
        return dict(context)
    wanted = {p.name for p in names if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return {name: value for name, value in context.items() if name in wanted}


def make_kwargs_callable(function):
    def call(*args, **kwargs):
        return function(*args, **determine_kwargs(function, args, kwargs))

    return call


def run_callable(function, args, kwargs):
    result = function(*args, **kwargs)
    if inspect.iscoroutine(result):
        import asyncio

        return asyncio.run(result)
    return result


def _bounded(value):
    text = str(value)
    return text if len(text) <= 2000 else f"{text[:2000]}… ({len(text)} characters)"

