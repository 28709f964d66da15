"""BaseOperator: what every task has, how default_args reach it, and its mapped form."""

from __future__ import annotations

import abc
import contextlib
import copy
import functools
import inspect
import logging
import warnings
from collections.abc import Mapping
from datetime import timedelta

from airflow._light import timezone
from airflow._light.exceptions import AirflowException, TaskDeferralError, TaskDeferralTimeout, TaskDeferred
from airflow._light.graph import DAGNode, DependencyMixin, SetupTeardownContext, TaskGroupContext, check_key
from airflow._light.states import TriggerRule, WeightRule, renamed_rules
from airflow._light.xcom_arg import PlainXComArg, XComArg, list_input, product_input

DEFAULT_OWNER = "airflow"
DEFAULT_POOL_SLOTS = 1
DEFAULT_PRIORITY_WEIGHT = 1
DEFAULT_QUEUE = "default"
DEFAULT_POOL_NAME = "default_pool"
DEFAULT_RETRIES = 0
DEFAULT_RETRY_DELAY = timedelta(seconds=300)
DEFAULT_TRIGGER_RULE = TriggerRule.ALL_SUCCESS
DEFAULT_WEIGHT_RULE = WeightRule.DOWNSTREAM

# Arguments of some generation that mean nothing any more (or nothing here): taken and forgotten.
_forgotten = frozenset(
    {"provide_context", "xcom_push", "sla", "resources", "run_as_user", "executor_config", "email",
     "email_on_retry", "email_on_failure", "logger_name", "allow_nested_operators", "executor",
     "ignore_first_depends_on_past", "wait_for_past_depends_before_skipping", "returns_dag_result"}
)  # fmt: skip


class LoggingMixin:
    """`self.log`"""

    _logger = None

    @property
    def log(self):
        if self._logger is None:
            self._logger = logging.getLogger(f"airflow.task.{type(self).__module__}.{type(self).__qualname__}")
        return self._logger

    @property
    def logger(self):
        return self.log


class AbstractOperator(LoggingMixin, DAGNode):
    """What a task and a mapped task have in common: the settings that the spec is written from."""

    template_fields: tuple = ()
    template_ext: tuple = ()
    template_fields_renderers: dict = {}
    operator_extra_links: tuple = ()
    global_operator_extra_link_dict: dict = {}
    inherits_from_empty_operator = False
    decides = None
    ui_color = "#fff"
    ui_fgcolor = "#000"
    is_mapped = False

    def _settle(
        self,
        task_id,
        owner=DEFAULT_OWNER,
        retries=DEFAULT_RETRIES,
        retry_delay=DEFAULT_RETRY_DELAY,
        retry_exponential_backoff=False,
        max_retry_delay=None,
        start_date=None,
        end_date=None,
        depends_on_past=False,
        wait_for_downstream=False,
        priority_weight=DEFAULT_PRIORITY_WEIGHT,
        weight_rule=DEFAULT_WEIGHT_RULE,
        queue=DEFAULT_QUEUE,
        pool=None,
        pool_slots=DEFAULT_POOL_SLOTS,
        execution_timeout=None,
        on_execute_callback=None,
        on_failure_callback=None,
        on_success_callback=None,
        on_retry_callback=None,
        on_skipped_callback=None,
        pre_execute=None,
        post_execute=None,
        trigger_rule=DEFAULT_TRIGGER_RULE,
        map_index_template=None,
        max_active_tis_per_dag=None,
        max_active_tis_per_dagrun=None,
        task_concurrency=None,
        do_xcom_push=True,
        multiple_outputs=False,
        inlets=None,
        outlets=None,
        doc=None,
        doc_md=None,
        doc_json=None,
        doc_yaml=None,
        doc_rst=None,
        task_display_name=None,
        email=None,
        email_on_retry=True,
        email_on_failure=True,
        sla=None,
        executor_config=None,
        run_as_user=None,
        resources=None,
        **_forgotten_here,
    ):
        self.task_id = task_id
        self.owner = owner or DEFAULT_OWNER
        self.retries = _whole_number("retries", 0 if retries is None else retries, task_id)
        self.retry_delay = _seconds_or_delta(retry_delay, DEFAULT_RETRY_DELAY)
        self.max_retry_delay = _seconds_or_delta(max_retry_delay, None)
        self.retry_exponential_backoff = retry_exponential_backoff
        self.start_date = timezone.coerce_datetime(start_date)
        self.end_date = timezone.coerce_datetime(end_date)
        self.wait_for_downstream = bool(wait_for_downstream)
        self.depends_on_past = bool(depends_on_past) or self.wait_for_downstream
        self.priority_weight = priority_weight
        self.weight_rule = str(weight_rule)
        self.queue = queue or DEFAULT_QUEUE
        self.pool = pool or DEFAULT_POOL_NAME
        self.pool_slots = pool_slots
        if self.pool_slots < 1:
            raise ValueError(f"pool slots for {task_id} cannot be less than 1")
        if execution_timeout is not None and not isinstance(execution_timeout, timedelta):
            raise ValueError(
                f"execution_timeout must be timedelta object but passed as type: {type(execution_timeout)}"
            )
        self.execution_timeout = execution_timeout
        self.on_execute_callback = _as_list(on_execute_callback)
        self.on_failure_callback = _as_list(on_failure_callback)
        self.on_success_callback = _as_list(on_success_callback)
        self.on_retry_callback = _as_list(on_retry_callback)
        self.on_skipped_callback = _as_list(on_skipped_callback)
        self._pre_execute_hook = pre_execute
        self._post_execute_hook = post_execute
        self.trigger_rule = trigger_rule
        self.map_index_template = map_index_template
        self.max_active_tis_per_dag = max_active_tis_per_dag if task_concurrency is None else task_concurrency
        self.max_active_tis_per_dagrun = max_active_tis_per_dagrun
        self.do_xcom_push = do_xcom_push
        self.multiple_outputs = multiple_outputs
        self.inlets = _as_list(inlets)
        self.outlets = _as_list(outlets)
        self.doc, self.doc_md, self.doc_json = doc, doc_md, doc_json
        self.doc_yaml, self.doc_rst = doc_yaml, doc_rst
        self._task_display_name = task_display_name
        self.email, self.email_on_retry, self.email_on_failure = email, email_on_retry, email_on_failure
        self.sla, self.executor_config, self.run_as_user, self.resources = sla, executor_config or {}, run_as_user, resources
        self._is_setup = False
        self._is_teardown = False
        self._on_failure_fail_dagrun = False

    @property
    def trigger_rule(self):
        return self._trigger_rule

    @trigger_rule.setter
    def trigger_rule(self, value):
        rule = str(value)
        rule = renamed_rules.get(rule, rule)
        if not TriggerRule.is_valid(rule):
            known = ", ".join(sorted(TriggerRule.all_triggers()))
            raise AirflowException(
                f"The trigger_rule must be one of [{known}]; received '{value}' for {self.dag_id}.{self.task_id}"
            )
        self._trigger_rule = TriggerRule(rule)

    @property
    def task_type(self):
        return type(self).__name__

    @property
    def operator_name(self):
        return getattr(self, "custom_operator_name", None) or self.task_type

    @property
    def task_display_name(self):
        return self._task_display_name or self.task_id

    @property
    def is_setup(self):
        return self._is_setup

    @is_setup.setter
    def is_setup(self, value):
        if value and self._is_teardown:
            raise ValueError(f"Cannot mark task '{self.task_id}' as setup; task is already a teardown.")
        self._is_setup = bool(value)

    @property
    def is_teardown(self):
        return self._is_teardown

    @is_teardown.setter
    def is_teardown(self, value):
        if value and self._is_setup:
            raise ValueError(f"Cannot mark task '{self.task_id}' as teardown; task is already a setup.")
        self._is_teardown = bool(value)
        if value:
            self._trigger_rule = TriggerRule.ALL_DONE_SETUP_SUCCESS

    @property
    def on_failure_fail_dagrun(self):
        return self._on_failure_fail_dagrun

    @on_failure_fail_dagrun.setter
    def on_failure_fail_dagrun(self, value):
        if value and not self._is_teardown:
            raise ValueError(f"Cannot set task on_failure_fail_dagrun for '{self.task_id}' because it is not a teardown task.")
        self._on_failure_fail_dagrun = bool(value)

    def as_setup(self):
        self.is_setup = True
        return self

    def as_teardown(self, *, setups=None, on_failure_fail_dagrun=False):
        self.is_teardown = True
        self.on_failure_fail_dagrun = on_failure_fail_dagrun
        for setup in [setups] if isinstance(setups, DependencyMixin) else setups or []:
            setup.is_setup = True
            setup.set_downstream(self)
        return self

    def __enter__(self):
        if not self.is_setup and not self.is_teardown:
            raise AirflowException("Only setup/teardown tasks can be used as context managers.")
        SetupTeardownContext.push([self])
        return self

    def __exit__(self, *_exc):
        SetupTeardownContext.pop()

    @property
    def output(self):
        return PlainXComArg(self)

    def iter_mapped_task_groups(self):
        if self.task_group is not None:
            yield from self.task_group.iter_mapped_task_groups()

    def get_closest_mapped_task_group(self):
        return next(self.iter_mapped_task_groups(), None)

    def is_in_mapped_group(self):
        return self.get_closest_mapped_task_group() is not None

    @property
    def has_callbacks(self):
        return bool(
            self.on_execute_callback
            or self.on_failure_callback
            or self.on_success_callback
            or self.on_retry_callback
            or self.on_skipped_callback
        )

    @property
    def runs_inline(self):
        """Airflow's scheduler ends an EmptyOperator itself, where nothing would notice the difference."""
        return self.inherits_from_empty_operator and not (
            self.on_execute_callback or self.on_success_callback or self.outlets or self.inlets
        )

    def __repr__(self):
        return f"<Task({self.task_type}): {self.task_id}>"

    def get_template_env(self, dag=None):
        from airflow._light import template

        return (dag or self.dag).get_template_env() if (dag or self.dag) else template.bare_environment()


class BaseOperatorMeta(abc.ABCMeta):
    def __new__(cls, name, bases, namespace, **kwargs):
        made = super().__new__(cls, name, bases, namespace, **kwargs)
        if "__init__" in namespace:
            made.__init__ = _apply_defaults(namespace["__init__"])
        return made


def _apply_defaults(init):
    """Every `__init__` of the chain takes from default_args what it has a parameter for; keys nobody takes are ignored."""
    signature = inspect.signature(init)
    named = {
        name: parameter
        for name, parameter in list(signature.parameters.items())[1:]
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    required = {name for name, parameter in named.items() if parameter.default is parameter.empty}

    @functools.wraps(init)
    def wrapper(self, *args, **kwargs):
        if args:
            positional = [n for n, p in named.items() if p.kind is not p.KEYWORD_ONLY]
            if len(args) > len(positional) or set(positional[: len(args)]) & set(kwargs):
                raise TypeError("operators take keyword arguments only")
            kwargs.update(zip(positional, args))
        state = self.__dict__
        depth = state.get("_init_depth", 0)
        if depth == 0:
            state["_surroundings"] = _surroundings(kwargs)
        defaults = state["_surroundings"]["default_args"]
        for name in named:
            if name in defaults and name not in kwargs:
                kwargs[name] = defaults[name]
        missing = sorted(required - set(kwargs))
        if missing:
            words = "missing keyword argument" + ("" if len(missing) == 1 else "s")
            raise TypeError(f"{words} {', '.join(map(repr, missing))}")
        state["_init_depth"] = depth + 1
        try:
            result = init(self, **kwargs)
        finally:
            state["_init_depth"] = depth
        if depth == 0:
            state["_instantiated"] = True
            self._wire_arguments()
        return result

    return wrapper


def _surroundings(kwargs):
    """The open DAG and group, and what they say about defaults."""
    from airflow._light.dag import DagContext

    dag = kwargs.get("dag") or DagContext.get_current()
    group = kwargs.get("task_group")
    if dag is None and group is not None:
        dag = group.dag
    if group is None:
        group = TaskGroupContext.get_current(dag) if dag is not None else None
    given = kwargs.get("default_args") or {}
    defaults = {**(dag.default_args if dag else {}), **(group.default_args if group else {}), **given}
    params = {**(defaults.pop("params", None) or {}), **(kwargs.get("params") or {})}
    return {"dag": dag, "task_group": group, "default_args": defaults, "params": params}


class BaseOperator(AbstractOperator, metaclass=BaseOperatorMeta):
    """Base of all operators. Takes the arguments of every generation; what means nothing any more is ignored."""

    start_trigger_args = None
    start_from_trigger = False
    supports_lineage = False
    shallow_copy_attrs: tuple = ()

    def __init__(self, task_id, dag=None, task_group=None, params=None, default_args=None, **kwargs):
        from airflow._light.params import ParamsDict

        check_key(task_id)
        around = self.__dict__["_surroundings"]
        dag = dag or around["dag"]
        group = task_group or around["task_group"]
        unknown = set(kwargs) - _known_arguments - _forgotten
        if unknown:
            named = ", ".join(f"{name}={kwargs[name]!r}" for name in sorted(unknown))
            raise TypeError(
                f"Invalid arguments were passed to {type(self).__name__} (task_id: {task_id}). "
                f"Invalid arguments were: {named}"
            )
        for name, value in {**around["default_args"], **(default_args or {})}.items():
            if name in _known_arguments and name not in kwargs:
                kwargs[name] = value
        self._init_node()
        self.dag = None
        self.task_group = None
        self._settle(group.child_id(task_id) if group is not None else task_id, **kwargs)
        self.params = ParamsDict({**around["params"], **(params or {})})
        self.next_method = None
        if group is not None and not _unmapping:
            group.add(self)
        if dag is not None:
            if _unmapping:
                self.__dict__["dag"] = dag
                self.__dict__["task_group"] = group
            else:
                dag.add_task(self)
                SetupTeardownContext.note(self)

    def __setattr__(self, key, value):
        if key == "dag" and value is not None and self.__dict__.get("dag") is not value:
            if self.__dict__.get("dag") is None and "task_id" in self.__dict__ and not _unmapping:
                # `task.dag = dag`, as 1.10 files write it.
                value.add_task(self)
                return
        object.__setattr__(self, key, value)
        if key in self.template_fields and self.__dict__.get("_instantiated") and not self.__dict__.get("_rendering"):
            XComArg.apply_upstream_relationship(self, value)

    def _wire_arguments(self):
        """Whatever a template field refers to comes before this task."""
        if _unmapping:
            return
        for field in self.template_fields:
            if hasattr(self, field):
                XComArg.apply_upstream_relationship(self, getattr(self, field))

    @classmethod
    def partial(cls, *, task_id, dag=None, task_group=None, params=None, default_args=None, **kwargs):
        """`Operator.partial(task_id=…, …)`: the arguments that every index shares."""
        given = {"dag": dag, "task_group": task_group, "params": params, "default_args": default_args}
        return OperatorPartial(cls, task_id, kwargs, _surroundings(given))

    def get_dag(self):
        return self.dag

    def pre_execute(self, context):
        if self._pre_execute_hook is not None:
            self._pre_execute_hook(context)

    def execute(self, context):
        raise NotImplementedError(f"{type(self).__name__} has no execute()")

    def post_execute(self, context, result=None):
        if self._post_execute_hook is not None:
            self._post_execute_hook(context, result)

    def on_kill(self):
        pass

    def prepare_for_execution(self):
        return copy.copy(self)

    def prepare_template(self):
        """Called once the contents of template files are in place."""

    def resolve_template_files(self):
        from airflow._light import template

        template.resolve_files(self)

    def render_template_fields(self, context, jinja_env=None):
        from airflow._light import template

        template.render_fields(self, context, jinja_env)

    def render_template(self, content, context, jinja_env=None, seen_oids=None):
        from airflow._light import template

        return template.render(content, context, jinja_env or self.get_template_env(), self)

    def xcom_pull(self, context, task_ids=None, dag_id=None, key="return_value", include_prior_dates=None, **more):
        return context["ti"].xcom_pull(
            task_ids=task_ids, dag_id=dag_id, key=key, include_prior_dates=bool(include_prior_dates), **more
        )

    @staticmethod
    def xcom_push(context, key, value, execution_date=None):
        context["ti"].xcom_push(key=key, value=value)

    def defer(self, *, trigger, method_name, kwargs=None, timeout=None):
        raise TaskDeferred(trigger=trigger, method_name=method_name, kwargs=kwargs, timeout=timeout)

    def resume_execution(self, next_method, next_kwargs, context):
        kwargs = dict(next_kwargs or {})
        if next_method == "__fail__":
            error = kwargs.get("error", "Unknown")
            if error == "Trigger timeout":
                raise TaskDeferralTimeout(error)
            raise TaskDeferralError(error)
        return getattr(self, next_method)(context, **kwargs)

    def dry_run(self):
        for field in self.template_fields:
            self.log.info("%s: %s", field, getattr(self, field, None))

    def get_extra_links(self, ti, link_name):
        return None

    def expand_start_from_trigger(self, *, context):
        return False


class OperatorPartial:
    def __init__(self, operator_class, task_id, kwargs, surroundings):
        self.operator_class = operator_class
        self.task_id = task_id
        self.kwargs = kwargs
        self.surroundings = surroundings
        self._expanded = False

    def expand(self, **mapped):
        if not mapped:
            raise TypeError("no arguments to expand against")
        self._refuse_known(mapped)
        return self._expand(product_input(mapped))

    def expand_kwargs(self, kwargs, *, strict=True):
        return self._expand(list_input(kwargs))

    def _expand(self, expand_input):
        self._expanded = True
        return MappedOperator(self.operator_class, self.task_id, self.kwargs, expand_input, self.surroundings)

    def _refuse_known(self, mapped):
        for name in mapped:
            if name in self.kwargs:
                raise TypeError(f"unmappable or already specified argument: {name}")
            if name in _known_arguments | {"task_id", "dag", "task_group"}:
                raise TypeError(f"unmappable or already specified argument: {name}")

    def __del__(self):
        if not self._expanded:
            with contextlib.suppress(Exception):
                warnings.warn(f"Task {self.task_id} was never mapped!", category=UserWarning, stacklevel=1)


class MappedOperator(AbstractOperator):
    """A task that exists once per index. It becomes the real operator when its index runs."""

    is_mapped = True

    def __init__(self, operator_class, task_id, kwargs, expand_input, surroundings, op_kwargs_input=None):
        check_key(task_id)
        dag, group = surroundings.get("dag"), surroundings.get("task_group")
        defaults = surroundings.get("default_args") or {}
        self.operator_class = operator_class
        self.partial_kwargs = kwargs
        self.expand_input = expand_input
        self.op_kwargs_input = op_kwargs_input
        self.surroundings = surroundings
        self.local_task_id = task_id
        self.template_fields = operator_class.template_fields
        self.template_ext = operator_class.template_ext
        self.inherits_from_empty_operator = operator_class.inherits_from_empty_operator
        self.decides = operator_class.decides
        self._init_node()
        known = {**{k: v for k, v in defaults.items() if k in _known_arguments}, **kwargs}
        self._settle(
            group.child_id(task_id) if group is not None else task_id,
            **{k: v for k, v in known.items() if k in _known_arguments},
        )
        self.params = surroundings.get("params") or {}
        for name in ("mode", "poke_interval", "timeout", "soft_fail"):
            if name in kwargs or name in defaults:
                setattr(self, name, kwargs.get(name, defaults.get(name)))
        if group is not None:
            group.add(self)
        if dag is not None:
            dag.add_task(self)
            SetupTeardownContext.note(self)
        for value in (kwargs, expand_input.value, getattr(op_kwargs_input, "value", None)):
            XComArg.apply_upstream_relationship(self, value)

    @property
    def task_type(self):
        return self.operator_class.__name__

    @property
    def operator_name(self):
        return getattr(self.operator_class, "custom_operator_name", None) or self.task_type

    def map_spec(self):
        return (self.op_kwargs_input or self.expand_input).map_spec()

    def unmap(self, context, map_index):
        """The operator of this index. It is not added to the DAG: it only runs."""
        source = self.op_kwargs_input or self.expand_input
        mapped, from_xcom = source.resolve_with_origins(context, self._own_index(context, map_index))
        if self.op_kwargs_input is not None:
            shared = self.partial_kwargs.get("op_kwargs") or {}
            doubled = set(shared) & set(mapped)
            if doubled and isinstance(self.op_kwargs_input.value, Mapping):
                raise TypeError(f"partial argument(s) mapped again: {', '.join(sorted(doubled))}")
            kwargs = {**self.partial_kwargs, "op_kwargs": {**shared, **mapped}}
        else:
            kwargs = {**self.partial_kwargs, **mapped}
        with unmapping():
            made = self.operator_class(
                task_id=self.local_task_id,
                **{k: v for k, v in self.surroundings.items() if v is not None},
                **kwargs,
            )
        # A template inside another task's result is data, not a template.
        made.__dict__["_as_it_is"] = [mapped[name] for name in from_xcom]
        made.upstream_task_ids = self.upstream_task_ids
        made.downstream_task_ids = self.downstream_task_ids
        made._is_setup, made._is_teardown = self._is_setup, self._is_teardown
        made._on_failure_fail_dagrun = self._on_failure_fail_dagrun
        return made

    def _own_index(self, context, map_index):
        if not self.is_in_mapped_group():
            return map_index
        return map_index % (self.op_kwargs_input or self.expand_input).length(context)


_unmapping = 0


@contextlib.contextmanager
def unmapping():
    """What is made now only runs; the DAG does not get to know it."""
    global _unmapping
    _unmapping += 1
    try:
        yield
    finally:
        _unmapping -= 1


def is_unmapping():
    return bool(_unmapping)


class BaseOperatorLink:
    name = ""
    operators: list = []

    def get_link(self, operator, *, ti_key):
        return ""


def _as_list(value):
    if value is None:
        return []
    if isinstance(value, (list, tuple, set)):
        return [each for each in value if each is not None]
    return [value]


def _whole_number(name, value, task_id):
    try:
        return int(value)
    except (TypeError, ValueError):
        raise AirflowException(f"'{name}' type must be int, not {type(value).__name__} (task {task_id})") from None


def _seconds_or_delta(value, default):
    if value is None:
        return default
    return value if isinstance(value, timedelta) else timedelta(seconds=float(value))


_known_arguments = frozenset(
    name
    for name, parameter in inspect.signature(AbstractOperator._settle).parameters.items()
    if name not in ("self", "task_id") and parameter.kind is not parameter.VAR_KEYWORD
)
