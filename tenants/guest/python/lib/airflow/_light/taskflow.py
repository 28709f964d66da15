"""`@task` and its kin: functions that become tasks when they are called."""

from __future__ import annotations

import copy
import functools
import inspect
import re
import typing
from collections.abc import Mapping

from airflow._light.baseoperator import MappedOperator, _surroundings, is_unmapping
from airflow._light.dag import dag  # noqa: F401
from airflow._light.exceptions import AirflowSkipException
from airflow._light.graph import MappedTaskGroup, TaskGroup, unique_task_id
from airflow._light.operators import BashOperator, BranchMixIn, PythonOperator, ShortCircuitOperator
from airflow._light.sensors import BaseSensorOperator, PokeReturnValue  # noqa: F401
from airflow._light.xcom_arg import ListInput, MappedArgument, XComArg, is_mappable, list_input, product_input

context_keys = frozenset(
    {"conf", "conn", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash", "exception",
     "execution_date", "expanded_ti_count", "inlet_events", "inlets", "logical_date", "macros", "map_index_template",
     "next_ds", "next_ds_nodash", "next_execution_date", "outlet_events", "outlets", "params", "prev_ds",
     "prev_ds_nodash", "prev_execution_date", "prev_execution_date_success", "prev_data_interval_start_success",
     "prev_data_interval_end_success", "prev_start_date_success", "prev_end_date_success", "reason", "run_id",
     "start_date", "task", "task_instance", "task_instance_key_str", "task_reschedule_count", "templates_dict",
     "test_mode", "ti", "tomorrow_ds", "tomorrow_ds_nodash", "triggering_asset_events", "triggering_dataset_events",
     "ts", "ts_nodash", "ts_nodash_with_tz", "try_number", "var", "yesterday_ds", "yesterday_ds_nodash"}
)  # fmt: skip


class DecoratedOperator(PythonOperator):
    """The task that a decorated function becomes."""

    template_fields = ("templates_dict", "op_args", "op_kwargs")
    custom_operator_name = "@task"

    def __init__(self, *, python_callable, task_id, op_args=None, op_kwargs=None, multiple_outputs=False, **kwargs):
        kwargs.pop("kwargs_to_upstream", None)
        op_args, op_kwargs = list(op_args or ()), dict(op_kwargs or {})
        check_call(python_callable, op_args, op_kwargs)
        if not is_unmapping():
            around = self.__dict__["_surroundings"]
            task_id = unique_task_id(task_id, around["dag"], around["task_group"])
        super().__init__(
            task_id=task_id, python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs,
            multiple_outputs=multiple_outputs, **kwargs,
        )  # fmt: skip


class BranchDecoratedOperator(DecoratedOperator, BranchMixIn):
    custom_operator_name = "@task.branch"
    decides = "branch"

    def execute(self, context):
        return self.do_branch(context, super().execute(context))


class ShortCircuitDecoratedOperator(DecoratedOperator, ShortCircuitOperator):
    custom_operator_name = "@task.short_circuit"
    decides = "short_circuit"


class BashDecoratedOperator(DecoratedOperator, BashOperator):
    """The function returns the command."""

    custom_operator_name = "@task.bash"
    template_fields = ("templates_dict", "op_args", "op_kwargs", "env", "cwd")
    template_ext = BashOperator.template_ext

    def __init__(self, **kwargs):
        super().__init__(bash_command="", **kwargs)

    def execute(self, context):
        seen = {**context, **self.op_kwargs, "templates_dict": self.templates_dict}
        self.op_kwargs = self.determine_kwargs(seen)
        command = self.execute_callable()
        if not isinstance(command, str) or not command.strip():
            raise TypeError("The returned value from the TaskFlow callable must be a non-empty string.")
        self.bash_command = self.render_template(command, context)
        return BashOperator.execute(self, context)


class SensorDecoratedOperator(BaseSensorOperator):
    custom_operator_name = "@task.sensor"
    template_fields = ("op_args", "op_kwargs")

    def __init__(self, *, python_callable, task_id, op_args=None, op_kwargs=None, **kwargs):
        kwargs.pop("multiple_outputs", None)
        check_call(python_callable, list(op_args or ()), dict(op_kwargs or {}))
        if not is_unmapping():
            around = self.__dict__["_surroundings"]
            task_id = unique_task_id(task_id, around["dag"], around["task_group"])
        super().__init__(task_id=task_id, **kwargs)
        self.python_callable = python_callable
        self.op_args, self.op_kwargs = list(op_args or ()), dict(op_kwargs or {})

    def poke(self, context):
        seen = {**context, **self.op_kwargs}
        kwargs = PythonOperator.determine_kwargs(self, seen)
        return self.python_callable(*self.op_args, **kwargs)


class TaskDecorator:
    """A decorated function. Calling it makes a task; `.override`, `.partial` and `.expand` make others."""

    def __init__(self, function, operator_class, multiple_outputs=None, kwargs=None):
        self.function = function
        self.operator_class = operator_class
        self.kwargs = dict(kwargs or {})
        self.kwargs.pop("provide_context", None)
        self.multiple_outputs = _says_many(function) if multiple_outputs is None else multiple_outputs
        self.partial_op_kwargs: dict = {}
        self.is_setup = False
        self.is_teardown = False
        self.on_failure_fail_dagrun = False
        functools.update_wrapper(self, function, updated=())
        self.kwargs.setdefault("task_id", getattr(function, "__name__", "task"))

    def __call__(self, *args, **kwargs):
        if self.partial_op_kwargs:
            kwargs = {**self.partial_op_kwargs, **kwargs}
        operator = self.operator_class(
            python_callable=self.function, op_args=args, op_kwargs=kwargs,
            multiple_outputs=self.multiple_outputs, **self._settings(),
        )  # fmt: skip
        return self._finish(operator)

    def override(self, **kwargs):
        made = copy.copy(self)
        made.kwargs = {**self.kwargs, **kwargs}
        if "multiple_outputs" in made.kwargs:
            made.multiple_outputs = made.kwargs.pop("multiple_outputs")
        return made

    def partial(self, **kwargs):
        self._check_names("partial", kwargs)
        made = copy.copy(self)
        made.partial_op_kwargs = {**self.partial_op_kwargs, **kwargs}
        return made

    def expand(self, **mapped):
        if not mapped:
            raise TypeError("no arguments to expand against")
        self._check_names("expand", mapped)
        for name, value in mapped.items():
            if not is_mappable(value):
                raise ValueError(
                    f"expand() got an unexpected type {type(value).__name__!r} for keyword argument {name!r}"
                )
        doubled = set(mapped) & set(self.partial_op_kwargs)
        if doubled:
            raise TypeError(f"argument(s) both in partial() and expand(): {', '.join(sorted(doubled))}")
        return self._expand(product_input(mapped))

    def expand_kwargs(self, kwargs, *, strict=True):
        return self._expand(list_input(kwargs))

    def _expand(self, expand_input):
        settings = self._settings()
        around = _surroundings(settings)
        task_id = settings.pop("task_id")
        for name in ("dag", "task_group", "default_args", "params"):
            settings.pop(name, None)
        if not isinstance(expand_input, ListInput):
            missing = _required(self.function) - set(expand_input.value) - set(self.partial_op_kwargs)
            if missing:
                raise TypeError(f"missing argument(s) for {self.function.__name__}(): {', '.join(sorted(missing))}")
        operator = MappedOperator(
            self.operator_class,
            unique_task_id(task_id, around["dag"], around["task_group"]),
            {
                **settings,
                "python_callable": self.function,
                "op_kwargs": self.partial_op_kwargs,
                "multiple_outputs": self.multiple_outputs,
            },
            expand_input,
            around,
            op_kwargs_input=expand_input,
        )
        return self._finish(operator)

    def _settings(self):
        settings = dict(self.kwargs)
        if "doc_md" not in settings and self.function.__doc__:
            settings["doc_md"] = inspect.cleandoc(self.function.__doc__)
        return settings

    def _finish(self, operator):
        if self.is_setup:
            operator.is_setup = True
        if self.is_teardown:
            operator.is_teardown = True
            operator.on_failure_fail_dagrun = self.on_failure_fail_dagrun
        return XComArg(operator)

    def _check_names(self, verb, kwargs):
        try:
            parameters = inspect.signature(self.function).parameters
        except (TypeError, ValueError):
            return
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return
        unknown = [name for name in kwargs if name not in parameters]
        if unknown:
            raise TypeError(f"{verb}() got an unexpected keyword argument {unknown[0]!r}")


class _TaskDecorators:
    """`task` itself: `@task`, `@task(...)`, `@task.branch` …"""

    def __call__(self, python_callable=None, multiple_outputs=None, **kwargs):
        return _decorator(DecoratedOperator, python_callable, multiple_outputs, kwargs)

    python = __call__

    @staticmethod
    def branch(python_callable=None, multiple_outputs=None, **kwargs):
        return _decorator(BranchDecoratedOperator, python_callable, multiple_outputs, kwargs)

    @staticmethod
    def short_circuit(python_callable=None, multiple_outputs=None, **kwargs):
        return _decorator(ShortCircuitDecoratedOperator, python_callable, multiple_outputs, kwargs)

    @staticmethod
    def bash(python_callable=None, **kwargs):
        return _decorator(BashDecoratedOperator, python_callable, False, kwargs)

    @staticmethod
    def sensor(python_callable=None, **kwargs):
        return _decorator(SensorDecoratedOperator, python_callable, False, kwargs)

    @staticmethod
    def virtualenv(python_callable=None, multiple_outputs=None, **kwargs):
        from airflow._light.other_python import VirtualenvDecoratedOperator

        return _decorator(VirtualenvDecoratedOperator, python_callable, multiple_outputs, kwargs)

    @staticmethod
    def external_python(python_callable=None, multiple_outputs=None, **kwargs):
        from airflow._light.other_python import ExternalPythonDecoratedOperator

        return _decorator(ExternalPythonDecoratedOperator, python_callable, multiple_outputs, kwargs)

    @staticmethod
    def run_if(condition, skip_message=None):
        """`@task.run_if(lambda context: …)` above `@task`: skipped where the condition says no."""
        return lambda decorated: _conditional(decorated, condition, True, skip_message)

    @staticmethod
    def skip_if(condition, skip_message=None):
        return lambda decorated: _conditional(decorated, condition, False, skip_message)

    def __getattr__(self, name):
        if not name.startswith("_"):
            from airflow._light.providers_manager import task_decorator_called

            # `@task.docker` and the like come with their provider.
            found = task_decorator_called(name)
            if found is not None:
                return found
        raise AttributeError(f"task decorator {name!r} not found")


def _conditional(decorated, condition, wanted, skip_message):
    if not isinstance(decorated, TaskDecorator):
        raise TypeError("run_if and skip_if can only be used with a task, above its @task")
    before = decorated.kwargs.get("pre_execute")

    def check(context):
        if bool(condition(context)) is not wanted:
            raise AirflowSkipException(skip_message or f"the condition of {decorated.function.__name__} says skip")
        if before is not None:
            before(context)

    return decorated.override(pre_execute=check)


task = _TaskDecorators()


def _decorator(operator_class, function, multiple_outputs, kwargs):
    def decorate(function):
        if isinstance(function, TaskDecorator):
            raise TypeError("@task can only be applied to a function")
        return TaskDecorator(function, operator_class, multiple_outputs, kwargs)

    if function is None:
        return decorate
    if not callable(function):
        raise TypeError("No args allowed while using @task, use kwargs instead")
    return decorate(function)


def setup(function):
    decorated = function if isinstance(function, (TaskDecorator, _GroupDecorator)) else task(function)
    decorated.is_setup = True
    return decorated


def teardown(function=None, *, on_failure_fail_dagrun=False):
    def decorate(function):
        decorated = function if isinstance(function, (TaskDecorator, _GroupDecorator)) else task(function)
        decorated.is_teardown = True
        decorated.on_failure_fail_dagrun = on_failure_fail_dagrun
        return decorated

    return decorate if function is None else decorate(function)


class _GroupDecorator:
    def __init__(self, function, kwargs, partial_kwargs=None):
        self.function = function
        self.kwargs = {"group_id": function.__name__, "add_suffix_on_collision": True, **kwargs}
        self.partial_kwargs = partial_kwargs or {}
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args, **kwargs):
        return self._fill(TaskGroup(**self.kwargs), args, {**self.partial_kwargs, **kwargs})

    def override(self, **kwargs):
        return _GroupDecorator(self.function, {**self.kwargs, **kwargs}, self.partial_kwargs)

    def partial(self, **kwargs):
        return _GroupDecorator(self.function, self.kwargs, {**self.partial_kwargs, **kwargs})

    def expand(self, **mapped):
        if not mapped:
            raise TypeError("no arguments to expand against")
        source = product_input(mapped)
        arguments = {name: MappedArgument(source, name) for name in mapped}
        return self._fill(MappedTaskGroup(expand_input=source, **self.kwargs), (), {**self.partial_kwargs, **arguments})

    def expand_kwargs(self, kwargs):
        source = list_input(kwargs)
        names = [n for n in inspect.signature(self.function).parameters if n not in self.partial_kwargs]
        arguments = {name: MappedArgument(source, name) for name in names}
        return self._fill(MappedTaskGroup(expand_input=source, **self.kwargs), (), {**self.partial_kwargs, **arguments})

    def _fill(self, group, args, kwargs):
        with group:
            if self.function.__doc__ and not group.tooltip:
                group.tooltip = inspect.cleandoc(self.function.__doc__)
            returned = self.function(*args, **kwargs)
        return group if returned is None else returned


def task_group(python_callable=None, **kwargs):
    if python_callable is None:
        return lambda function: _GroupDecorator(function, kwargs)
    return _GroupDecorator(python_callable, kwargs)


def check_call(function, args, kwargs):
    """A call that the function cannot take is a mistake of the file, found when it is parsed."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    parameters = []
    for parameter in signature.parameters.values():
        if parameter.name in context_keys:
            if parameter.default not in (None, inspect.Parameter.empty):
                raise ValueError(f"Context key parameter {parameter.name} can't have a default other than None")
            parameter = parameter.replace(default=None)
        parameters.append(parameter)
    needs_default = False
    for index, parameter in enumerate(parameters):
        # Python wants no parameter without default behind one with; the context keys stand where they stand.
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            if parameter.default is not inspect.Parameter.empty:
                needs_default = True
            elif needs_default:
                parameters[index] = parameter.replace(default=None)
    signature.replace(parameters=parameters).bind(*args, **kwargs)


def _required(function):
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return set()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        p.name for p in parameters
        if p.default is p.empty and p.kind in kinds and p.name not in context_keys
    }  # fmt: skip


def _says_many(function):
    """A return annotation of a mapping means multiple_outputs, as in Airflow."""
    annotation = getattr(function, "__annotations__", {}).get("return")
    if annotation is None:
        return False
    if isinstance(annotation, str):
        if not re.search(r"dict|mapping", annotation, re.IGNORECASE) and annotation.isidentifier() is False:
            return False
        try:
            annotation = typing.get_type_hints(function).get("return")
        except Exception:
            return False
    origin = typing.get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Mapping)

