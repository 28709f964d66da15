"""`ti` and `dag_run` as a running task sees them."""

from __future__ import annotations

import datetime as dt
import socket

from airflow._light import channel, timezone, xcom
from airflow._light.baseoperator import LoggingMixin, MappedOperator
from airflow._light.xcom_arg import XCOM_RETURN_KEY

_unset = object()


class DagRun:
    def __init__(self, dag_id, told):
        self.dag_id = dag_id
        self.run_id = told["run_id"]
        self.run_type = told.get("run_type", "manual")
        self.logical_date = _moment(told.get("logical_date"))
        self.data_interval_start = _moment(told.get("data_interval_start"))
        self.data_interval_end = _moment(told.get("data_interval_end"))
        self.run_after = _moment(told.get("run_after"))
        self.start_date = _moment(told.get("start_date"))
        self.end_date = None
        self.queued_at = None
        self.state = "running"
        conf = told.get("conf")
        self.conf = conf if conf is not None else {}
        self.triggering_user_name = told.get("triggering_user")
        self.clear_number = told.get("clear_number", 0)
        self.consumed_asset_events = []

    @property
    def execution_date(self):
        return self.logical_date or self.run_after

    @property
    def external_trigger(self):
        return self.run_type == "manual"

    @property
    def is_backfill(self):
        return self.run_type == "backfill"

    def get_state(self):
        return self.state

    def refresh_from_db(self, session=None):
        pass

    @staticmethod
    def find(*_args, **_kwargs):
        from airflow._light.helpers import no_database

        no_database()

    def get_task_instances(self, state=None, session=None):
        """The tasks of this run with their states, as callbacks list them."""
        told = task_states(self.dag_id, run_ids=[self.run_id]).get(self.run_id, {})
        found = [TaskState(self, name, each) for name, each in told.items()]
        if state is None:
            return found
        wanted = [state] if isinstance(state, str) else list(state)
        return [each for each in found if each.state in wanted]

    def get_task_instance(self, task_id, session=None, *, map_index=-1):
        name = task_id if map_index < 0 else f"{task_id}[{map_index}]"
        return next((each for each in self.get_task_instances() if each.name == name), None)

    def __repr__(self):
        return f"<DagRun {self.dag_id} @ {self.execution_date}: {self.run_id}, state:{self.state}>"


class TaskState:
    """Another task of the run: who it is and how it stands."""

    def __init__(self, run, name, state):
        self.dag_run, self.dag_id, self.run_id = run, run.dag_id, run.run_id
        self.name, self.state = name, state
        self.task_id, _, index = name.partition("[")
        self.map_index = int(index[:-1]) if index else -1

    def current_state(self, session=None):
        return self.state

    def __repr__(self):
        return f"<TaskInstance: {self.dag_id}.{self.name} {self.run_id} [{self.state}]>"


class TaskInstance(LoggingMixin):
    def __init__(self, start, level, ti_id=None, log_url=""):
        self.start = start
        self.level = level
        self.id = ti_id or start.get("attempt")
        self.dag_id = start["dag_id"]
        self.task_id = start["task_id"]
        self.run_id = start["run"]["run_id"]
        self.map_index = start.get("map_index", -1)
        self.try_number = start.get("try_number", 1)
        self.max_tries = start.get("max_tries", 0)
        self.queue = start.get("queue")
        self.pool = start.get("pool")
        self.priority_weight = start.get("priority_weight")
        self.dag_run = DagRun(self.dag_id, start["run"])
        self.start_date = timezone.utcnow()
        self.end_date = None
        self.state = "running"
        self.hostname = socket.gethostname()
        self.log_url = log_url
        self.rendered_map_index = None
        self.task = None
        self.params = None
        self.skip = None
        self.operator = None

    @property
    def execution_date(self):
        return self.dag_run.execution_date

    logical_date = execution_date

    @property
    def duration(self):
        return ((self.end_date or timezone.utcnow()) - self.start_date).total_seconds()

    @property
    def prev_attempted_tries(self):
        return self.try_number

    @property
    def key(self):
        return (self.dag_id, self.task_id, self.run_id, self.try_number, self.map_index)

    @property
    def mark_success_url(self):
        return self.log_url

    @property
    def is_eligible_to_retry(self):
        return self.try_number <= self.max_tries

    def get_dagrun(self, session=None):
        return self.dag_run

    def get_template_context(self, session=None):
        from airflow._light.context import get_current_context

        return get_current_context()

    def refresh_from_db(self, session=None, **_more):
        pass

    def current_state(self, session=None):
        return self.state

    def are_dependencies_met(self, *_args, **_kwargs):
        return True

    def get_num_running_task_instances(self, *_args, **_kwargs):
        return 1

    def xcom_push(self, key, value, execution_date=None, session=None):
        self._push(key, value)

    def push_result(self, value, multiple_outputs, push_length):
        """The return value, and with multiple_outputs each key of its own."""
        if multiple_outputs:
            if not isinstance(value, dict):
                raise TypeError(f"Returned output was type {type(value)} expected dictionary for multiple_outputs")
            for key, each in value.items():
                if not isinstance(key, str):
                    raise TypeError(
                        f"Returned dictionary keys must be strings when using multiple_outputs, found {key} ({type(key)}) instead"
                    )
                self._push(key, each)
        self._push(XCOM_RETURN_KEY, value, len(value) if push_length else None)

    def _push(self, key, value, mapped_length=None):
        if key in (self.start.get("push_length_keys") or ()) and not isinstance(value, (str, bytes)):
            # A later task maps over this key. Where it has no length, the house fails this task and says so.
            mapped_length = len(value) if hasattr(value, "__len__") else None
        xcom.XCom.set(
            key, value, dag_id=self.dag_id, task_id=self.task_id, run_id=self.run_id,
            map_index=self.map_index, _mapped_length=mapped_length,
        )  # fmt: skip

    def xcom_pull(
        self, task_ids=None, dag_id=None, key=XCOM_RETURN_KEY, include_prior_dates=False,
        session=None, *, map_indexes=_unset, default=None, run_id=None,
    ):  # fmt: skip
        """As Airflow's: one id gives one value (a mapped task: all of its values), a list of ids a list."""
        foreign = dag_id is not None and dag_id != self.dag_id
        dag_id, run_id = dag_id or self.dag_id, run_id or self.run_id
        if task_ids is None:
            if self.level == "3" or foreign:
                task_ids = self.task_id
            else:
                return self._pull_from_any(key, default)
        single = isinstance(task_ids, str)
        found = []
        for task_id in [task_ids] if single else task_ids:
            ref = {"key": key, "dag_id": dag_id, "task_id": task_id, "run_id": run_id}
            if map_indexes is not _unset:
                indexes = map_indexes if isinstance(map_indexes, (list, tuple, range, set)) else [map_indexes]
                for index in indexes:
                    found.append(xcom.one(ref, -1 if index is None else index, include_prior_dates, default))
                continue
            if foreign or self._is_mapped(task_id):
                values = xcom.slice_of(ref, include_prior_dates)
                if single:
                    if not values:
                        return default
                    return values[0] if len(values) == 1 and self.level == "3" else values
                found.extend(values or [default])
                continue
            found.append(xcom.one(ref, -1, include_prior_dates, default))
        if single and (map_indexes is _unset or map_indexes is None or isinstance(map_indexes, int)):
            return found[0] if found else default
        return found

    def pull_from(self, operator, key, default):
        """What an XComArg of `operator` is for this instance."""
        ref = {"key": key, "dag_id": self.dag_id, "task_id": operator.task_id, "run_id": self.run_id}
        if not self._is_mapped(operator.task_id):
            return xcom.one(ref, -1, False, default)
        indexes = (self.start.get("upstream_map_indexes") or {}).get(operator.task_id, _unset)
        if indexes is _unset and self._shares_group(operator):
            indexes = self.map_index
        if isinstance(indexes, int):
            return xcom.one(ref, indexes, False, default)
        if isinstance(indexes, (list, tuple)):
            return [xcom.one(ref, index, False, None) for index in indexes]
        return xcom.LazyXComs(ref)

    def group_index(self, expand_input):
        """The index of the mapped group around this task that `expand_input` belongs to."""
        index = self.map_index
        node = self.task.dag.get_task(self.task_id)
        if isinstance(node, MappedOperator):
            from airflow._light.context import get_current_context

            index //= (node.op_kwargs_input or node.expand_input).length(get_current_context())
        groups = list(node.iter_mapped_task_groups())
        for group in groups:
            if group.expand_input is expand_input:
                return index
            from airflow._light.context import get_current_context

            index //= group.expand_input.length(get_current_context())
        return index

    def _pull_from_any(self, key, default):
        """Before 3: without task ids the value of any task of the run; those nearest before this one first."""
        dag = self.task.dag
        order = [task.task_id for task in reversed(dag.topological_sort())] if dag is not None else []
        before = dag.get_task(self.task_id).get_flat_relative_ids(upstream=True) if dag is not None else set()
        for task_id in sorted(order, key=lambda task_id: task_id not in before):
            ref = {"key": key, "dag_id": self.dag_id, "task_id": task_id, "run_id": self.run_id}
            if self._is_mapped(task_id):
                values = xcom.slice_of(ref)
                if values:
                    return values[0]
                continue
            value = xcom.one(ref, self.map_index if task_id == self.task_id else -1, False, _unset)
            if value is not _unset:
                return value
        return default

    def _is_mapped(self, task_id):
        if task_id == self.task_id and self.map_index < 0:
            return False
        dag = self.task.dag if self.task is not None else None
        task = dag.task_dict.get(task_id) if dag is not None else None
        return task is not None and (isinstance(task, MappedOperator) or task.is_in_mapped_group())

    def _shares_group(self, operator):
        mine = self.task.get_closest_mapped_task_group()
        return mine is not None and mine is operator.get_closest_mapped_task_group()

    def previous_success(self, field):
        answer = channel.ask({"type": "GetPrevSuccessfulDagRun", "ti_id": self.id})
        return None if channel.is_error(answer) else _moment((answer or {}).get(field))

    def get_previous_dagrun(self, state=None, session=None):
        body = {"type": "GetPreviousDagRun", "dag_id": self.dag_id, "logical_date": self.dag_run.logical_date, "state": state}
        answer = channel.ask(body)
        told = None if channel.is_error(answer) else (answer or {}).get("dag_run")
        return DagRun(self.dag_id, told) if told else None

    def get_previous_start_date(self, state=None, session=None):
        run = self.get_previous_dagrun(state)
        return run.start_date if run else None

    def get_first_reschedule_date(self, context=None):
        told = self.start.get("first_reschedule_at")
        if told:
            return _moment(told)
        body = {"type": "GetTaskRescheduleStartDate", "ti_id": self.id, "try_number": self.try_number}
        answer = channel.ask(body)
        return None if channel.is_error(answer) else _moment((answer or {}).get("start_date"))

    @staticmethod
    def get_task_states(dag_id, map_index=None, task_ids=None, task_group_id=None, logical_dates=None, run_ids=None):
        return task_states(dag_id, task_ids, task_group_id, logical_dates, run_ids)

    def __repr__(self):
        return f"<TaskInstance: {self.dag_id}.{self.task_id} {self.run_id} [{self.state}]>"


def task_states(dag_id, task_ids=None, task_group_id=None, logical_dates=None, run_ids=None):
    """States of another DAG's tasks: run id → task id → state."""
    body = {"type": "GetTaskStates", "dag_id": dag_id, "map_index": None, "task_ids": task_ids,
            "task_group_id": task_group_id, "logical_dates": logical_dates, "run_ids": run_ids}  # fmt: skip
    answer = channel.ask(body)
    return {} if channel.is_error(answer) else (answer or {}).get("task_states") or {}


def _moment(value):
    """A moment as the house writes it: ISO 8601 in UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return timezone.as_utc(value)
