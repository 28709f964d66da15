"""DAG and @dag, with the arguments of every generation brought to one form."""

from __future__ import annotations

import collections
import contextlib
import copy
import functools
import inspect
import os
import sys
from datetime import timedelta

from airflow._light import timezone as timezones
from airflow._light.baseoperator import MappedOperator, _as_list
from airflow._light.exceptions import AirflowDagCycleException, AirflowException, DuplicateTaskIdFound, TaskNotFound
from airflow._light.graph import TaskGroup, TaskGroupContext, check_key
from airflow._light.params import NOTSET, DagParam, Param, ParamsDict

# Only Airflow before 3 had these; a DAG that says one of them means the generation before.
_arguments_before_3 = frozenset(
    {"schedule_interval", "timetable", "concurrency", "full_filepath", "default_view", "orientation",
     "fail_stop"}
)  # fmt: skip


class DagContext:
    _stack: list = []
    # DAGs whose `with` was left while a file is being loaded: found even if no global keeps them.
    registered: list = []
    current_autoregister_module_name = None

    @classmethod
    def push(cls, dag):
        cls._stack.append(dag)

    @classmethod
    def pop(cls):
        dag = cls._stack.pop()
        if dag.auto_register and all(dag is not known for known in cls.registered):
            cls.registered.append(dag)
        return dag

    push_context_managed_dag = push
    pop_context_managed_dag = pop

    @classmethod
    def get_current(cls):
        return cls._stack[-1] if cls._stack else None

    get_current_dag = get_current


class DAG:
    def __init__(
        self,
        dag_id=None,
        description=None,
        schedule=NOTSET,
        schedule_interval=NOTSET,
        timetable=None,
        start_date=None,
        end_date=None,
        full_filepath=None,
        template_searchpath=None,
        template_undefined=None,
        user_defined_macros=None,
        user_defined_filters=None,
        default_args=None,
        concurrency=None,
        max_active_tasks=None,
        max_active_runs=None,
        max_consecutive_failed_dag_runs=None,
        dagrun_timeout=None,
        sla_miss_callback=None,
        default_view=None,
        orientation=None,
        catchup=None,
        on_success_callback=None,
        on_failure_callback=None,
        doc_md=None,
        params=None,
        access_control=None,
        is_paused_upon_creation=None,
        jinja_environment_kwargs=None,
        render_template_as_native_obj=False,
        tags=None,
        owner_links=None,
        auto_register=True,
        fail_fast=False,
        fail_stop=False,
        dag_display_name=None,
        deadline=None,
        allowed_run_types=None,
        disable_bundle_versioning=None,
        rerun_with_latest_version=None,
        **unknown,
    ):
        if unknown:
            raise TypeError(f"DAG.__init__() got an unexpected keyword argument {next(iter(unknown))!r}")
        given = {k for k, v in locals().items() if k in _arguments_before_3 and v is not NOTSET and v}
        if schedule_interval is not NOTSET:
            given.add("schedule_interval")
        self.arguments_before_3 = given
        # `DAG("id", "@daily")` of 1.10 wrote the schedule third, 2.x and 3.x too; a bad id fails here.
        check_key(dag_id)
        self.dag_id = dag_id
        self.description = description
        self.default_args = copy.copy(default_args) if default_args else {}
        self.params = ParamsDict({**(self.default_args.pop("params", None) or {}), **(params or {})})
        if sum(each is not NOTSET and each is not None for each in (schedule, schedule_interval, timetable)) > 1:
            raise ValueError("At most one allowed for args 'schedule_interval', 'timetable', 'schedule'.")
        if schedule is NOTSET:
            schedule = timetable if timetable is not None else schedule_interval
        self._schedule = schedule
        self.default_args = _with_dates(self.default_args)
        self.timezone = _zone_of(start_date) or _zone_of(self.default_args.get("start_date")) or timezones.utc
        self.start_date = timezones.coerce_datetime(_aware(start_date, self.timezone))
        for key in ("start_date", "end_date"):
            if self.default_args.get(key) is not None:
                self.default_args[key] = timezones.coerce_datetime(_aware(self.default_args[key], self.timezone))
        self.end_date = timezones.coerce_datetime(_aware(end_date, self.timezone))
        self.template_searchpath = [template_searchpath] if isinstance(template_searchpath, str) else template_searchpath
        self.template_undefined = template_undefined
        self.user_defined_macros = user_defined_macros
        self.user_defined_filters = user_defined_filters
        self.jinja_environment_kwargs = jinja_environment_kwargs
        self.render_template_as_native_obj = bool(render_template_as_native_obj)
        self.max_active_tasks = _first(max_active_tasks, concurrency, 16)
        self.max_active_runs = _first(max_active_runs, 16)
        self.max_consecutive_failed_dag_runs = max_consecutive_failed_dag_runs or 0
        self.dagrun_timeout = timedelta(seconds=dagrun_timeout) if isinstance(dagrun_timeout, (int, float)) else dagrun_timeout
        self.sla_miss_callback = sla_miss_callback
        self.catchup = catchup
        self.on_success_callback = _as_list(on_success_callback)
        self.on_failure_callback = _as_list(on_failure_callback)
        self.doc_md = doc_md
        self.access_control = access_control
        self.is_paused_upon_creation = is_paused_upon_creation
        self.tags = tags
        self.owner_links = owner_links or {}
        self.auto_register = auto_register
        self.fail_fast = bool(fail_fast or fail_stop)
        self._display_name = dag_display_name
        self.deadline = deadline
        self.task_dict = {}
        self.used_ids = set()
        self.edge_info = {}
        self.partial = False
        self.task_group = TaskGroup.create_root(self)
        self.fileloc = full_filepath or _file_of_caller()
        self.relative_fileloc = self.fileloc

    def __repr__(self):
        return f"<DAG: {self.dag_id}>"

    def __hash__(self):
        return hash(self.dag_id)

    def __eq__(self, other):
        return self is other

    def __lt__(self, other):
        return self.dag_id < other.dag_id

    def __enter__(self):
        DagContext.push(self)
        TaskGroupContext.push(self.task_group)
        return self

    def __exit__(self, *_exc):
        TaskGroupContext.pop()
        DagContext.pop()

    @property
    def schedule(self):
        return None if self._schedule is NOTSET else self._schedule

    schedule_interval = schedule

    @property
    def timetable(self):
        return self.schedule

    @property
    def display_name(self):
        return self._display_name or self.dag_id

    dag_display_name = display_name

    @property
    def safe_dag_id(self):
        return self.dag_id.replace(".", "__dot__")

    @property
    def concurrency(self):
        return self.max_active_tasks

    @concurrency.setter
    def concurrency(self, value):
        self.max_active_tasks = value

    @property
    def fail_stop(self):
        return self.fail_fast

    @property
    def filepath(self):
        return self.relative_fileloc

    @property
    def folder(self):
        return os.path.dirname(self.fileloc)

    @property
    def owner(self):
        return ", ".join(sorted({task.owner for task in self.tasks}))

    @property
    def tasks(self):
        return list(self.task_dict.values())

    @property
    def task_ids(self):
        return list(self.task_dict)

    @property
    def roots(self):
        return [task for task in self.tasks if not task.upstream_task_ids]

    @property
    def leaves(self):
        return [task for task in self.tasks if not task.downstream_task_ids]

    @property
    def task_group_dict(self):
        return {key: group for key, group in self.task_group.get_task_group_dict().items() if key is not None}

    def add_task(self, task):
        # 2.x and 3.x: a task without a start date takes the later of its own and the DAG's.
        known = self.task_dict.get(task.task_id)
        if known is not None and known is not task or known is None and task.task_id in self.used_ids:
            raise DuplicateTaskIdFound(f"Task id '{task.task_id}' has already been added to the DAG")
        self.task_dict[task.task_id] = task
        self.used_ids.add(task.task_id)
        task.__dict__["dag"] = self
        if getattr(task, "task_group", None) is None:
            self.task_group.add(task)

    def add_tasks(self, tasks):
        for task in tasks:
            self.add_task(task)

    def has_task(self, task_id):
        return task_id in self.task_dict

    def get_task(self, task_id, include_subdags=False):
        try:
            return self.task_dict[task_id]
        except KeyError:
            raise TaskNotFound(f"Task {task_id} not found") from None

    def set_dependency(self, upstream_task_id, downstream_task_id):
        self.get_task(upstream_task_id).set_downstream(self.get_task(downstream_task_id))

    def get_edge_info(self, upstream_task_id, downstream_task_id):
        return self.edge_info.get(upstream_task_id, {}).get(downstream_task_id, {})

    def set_edge_info(self, upstream_task_id, downstream_task_id, info):
        self.edge_info.setdefault(upstream_task_id, {})[downstream_task_id] = info

    def topological_sort(self):
        waiting = {task_id: len(task.upstream_task_ids) for task_id, task in self.task_dict.items()}
        ready = collections.deque(task_id for task_id, count in waiting.items() if count == 0)
        ordered = []
        while ready:
            task = self.task_dict[ready.popleft()]
            ordered.append(task)
            for after in sorted(task.downstream_task_ids):
                waiting[after] -= 1
                if waiting[after] == 0:
                    ready.append(after)
        return ordered

    def check_cycle(self):
        ordered = {task.task_id for task in self.topological_sort()}
        left = [task_id for task_id in self.task_dict if task_id not in ordered]
        if left:
            raise AirflowDagCycleException(f"Cycle detected in DAG: {self.dag_id}. Faulty task: {left[0]}")

    def param(self, name, default=NOTSET):
        return DagParam(self, name, default)

    def resolve_template_files(self):
        for task in self.tasks:
            if not isinstance(task, MappedOperator):
                task.resolve_template_files()

    def get_template_env(self, *, force_sandboxed=False):
        from airflow._light import template

        return template.environment_of(self)

    def validate(self):
        self.check_cycle()

    def sub_dag(self, *args, **kwargs):
        return self.partial_subset(*args, **kwargs)

    def partial_subset(self, *_args, **_kwargs):
        raise AirflowException("parts of a DAG are chosen when a run is started or cleared, not in its file")

    def clear(self, *_args, **_kwargs):
        raise AirflowException("a DAG file cannot clear runs; use `airlock clear` or the API")

    def test(self, *_args, **_kwargs):
        """`dag.test()` under `__main__`: without a supervisor there is nothing to run it with."""
        print(f"{self.dag_id}: run it with `airlock run {os.path.relpath(self.fileloc)}`")

    def cli(self, *_args, **_kwargs):
        print(f"{self.dag_id}: use the `airlock` command")

    def run(self, *_args, **_kwargs):
        self.test()


def dag(dag_id="", *args, **kwargs):
    """`@dag`, `@dag()` and `@dag("id", …)`. Arguments of the function become params."""
    if callable(dag_id):
        return dag()(dag_id)

    def decorate(function):
        @functools.wraps(function)
        def factory(*call_args, **call_kwargs):
            signature = inspect.signature(function)
            bound = signature.bind_partial(*call_args, **call_kwargs)
            with DAG(dag_id or function.__name__, *args, **kwargs) as made:
                if function.__doc__ and not made.doc_md:
                    made.doc_md = inspect.cleandoc(function.__doc__)
                values = {}
                for name, parameter in signature.parameters.items():
                    value = bound.arguments.get(name, parameter.default)
                    if value is inspect.Parameter.empty:
                        value = None
                    values[name] = made.param(name, value if isinstance(value, Param) else value)
                made.fileloc = function.__code__.co_filename
                function(**values)
            return made

        return factory

    return decorate


def _file_of_caller():
    frame = sys._getframe(1)
    ours = os.path.dirname(__file__)
    while frame is not None and frame.f_code.co_filename.startswith((ours, "<")):
        frame = frame.f_back
    return frame.f_code.co_filename if frame is not None else ""


def _first(*values):
    return next((value for value in values if value is not None), None)


def _with_dates(default_args):
    for key in ("start_date", "end_date"):
        if isinstance(default_args.get(key), str):
            default_args[key] = timezones.parse(default_args[key])
    return default_args


def _zone_of(moment):
    if isinstance(moment, str):
        with contextlib.suppress(ValueError):
            moment = timezones.parse(moment)
    return getattr(moment, "tzinfo", None)


def _aware(moment, zone):
    if moment is None:
        return None
    if isinstance(moment, str):
        return timezones.parse(moment, timezone=zone)
    if not hasattr(moment, "hour"):
        import datetime

        moment = datetime.datetime(moment.year, moment.month, moment.day)
    return moment if moment.tzinfo is not None else timezones.make_aware(moment, zone)
