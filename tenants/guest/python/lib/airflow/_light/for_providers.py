"""What real provider packages import besides what DAG files do: triggers, lineage that goes nowhere, small tools."""

from __future__ import annotations

import inspect
import pkgutil
import typing

from airflow._light.graph import unique_task_id
from airflow._light.operators import determine_kwargs
from airflow._light.params import NOTSET
from airflow._light.taskflow import TaskDecorator

SET_DURING_EXECUTION = NOTSET
AIRFLOW_VAR_NAME_FORMAT_MAPPING: dict = {}


class TaskInstanceKey(typing.NamedTuple):
    dag_id: str
    task_id: str
    run_id: str
    try_number: int = 1
    map_index: int = -1


class TriggerEvent:
    def __init__(self, payload, **_more):
        self.payload = payload

    def __eq__(self, other):
        return isinstance(other, TriggerEvent) and self.payload == other.payload

    __hash__ = None


class BaseTrigger:
    """A trigger only says here what it is (`serialize`); it waits elsewhere."""

    def __init__(self, **kwargs):
        self.task_instance = None
        self.trigger_id = None

    def serialize(self):
        raise NotImplementedError("Triggers must implement serialize()")

    async def run(self):
        raise NotImplementedError("Triggers must implement run()")
        yield

    async def cleanup(self):
        pass


class BaseEventTrigger(BaseTrigger):
    pass


class NoOpCollector:
    """Lineage of hooks is not gathered."""

    # Complete on purpose: what lacked a method would be patched by the providers' compatibility layer.
    _extra: dict = {}

    def add_input_asset(self, *_args, **_kwargs):
        pass

    add_output_asset = add_extra = add_input_asset

    def create_asset(self, *_args, **_kwargs):
        return None

    @property
    def collected_assets(self):
        return HookLineage()

    @property
    def has_collected(self):
        return False


class HookLineage:
    def __init__(self, inputs=(), outputs=(), extra=()):
        self.inputs, self.outputs, self.extra = list(inputs), list(outputs), list(extra)


HookLineageCollector = HookLineageReader = NoOpCollector


def get_hook_lineage_collector():
    return NoOpCollector()


class _Listeners:
    has_listeners = False

    def __getattr__(self, name):
        return self

    def __call__(self, *_args, **_kwargs):
        return None


def get_listener_manager():
    return _Listeners()


def context_merge(context, *args, **kwargs):
    context.update(*args, **kwargs)


class KeywordParameters:
    """Which keyword arguments a callable gets."""

    def __init__(self, kwargs, wildcard=False):
        self._kwargs = kwargs

    @classmethod
    def determine(cls, func, args, kwargs):
        return cls(determine_kwargs(func, args, kwargs))

    def unpacking(self):
        return self._kwargs

    serializing = unpacking


def get_unique_task_id(task_id, dag=None, task_group=None):
    return unique_task_id(task_id, dag, task_group)


def task_decorator_factory(python_callable=None, *, multiple_outputs=None, decorated_operator_class, **kwargs):
    def decorate(function):
        return TaskDecorator(function, decorated_operator_class, multiple_outputs, kwargs)

    return decorate if python_callable is None else decorate(python_callable)


def is_async_callable(function):
    return inspect.iscoroutinefunction(function)


def to_boolean(value):
    return value is not None and str(value).lower() in ("on", "t", "true", "y", "yes", "1")


def qualname(value, *_more, **_options):
    if not isinstance(value, type) and not hasattr(value, "__qualname__"):
        value = type(value)
    return f"{value.__module__}.{value.__qualname__}"


def iter_namespace(namespace):
    return pkgutil.iter_modules(namespace.__path__, namespace.__name__ + ".")


def is_valid_dotpath(path):
    return isinstance(path, str) and all(each.isidentifier() for each in path.split("."))

