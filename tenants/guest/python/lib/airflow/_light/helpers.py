"""Small things that files and their helper modules import: decorators, annotations, masks, the ORM's names."""

from __future__ import annotations

import contextlib
import functools
import logging
import signal
import typing

from airflow._light import channel
from airflow._light.exceptions import AirflowException, AirflowRuntimeError, AirflowTaskTimeout

XCOM_RETURN_KEY = "return_value"
NEW_SESSION = None
SASession = typing.Any
ArgNotSet = type("ArgNotSet", (), {})
NOTSET = ArgNotSet()
ScheduleInterval = typing.Any
ScheduleArg = typing.Any
DagStateChangeCallback = typing.Callable[[dict], None]
TaskStateChangeCallback = typing.Callable[[dict], None]
DAGS_FOLDER = ""
TIMEZONE = None
logger = logging.getLogger("airflow")


def apply_defaults(function):
    """1.10's decorator. Every `__init__` has its effect anyway."""
    return function


def mask_secret(secret, name=None):
    if secret and channel.is_open():
        with contextlib.suppress(AirflowRuntimeError):
            channel.ask({"type": "MaskSecret", "value": secret, "name": name})


def redact(value, name=None, max_depth=None):
    return value


def provide_session(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **{"session": Session(), **kwargs})

    return wrapper


@contextlib.contextmanager
def create_session(**_more):
    yield Session()


def no_database():
    raise AirflowException(
        "Direct database access from DAG code is not available. "
        "Use Variable, Connection, XCom, DagRun of the context, or the REST API."
    )


class Session:
    """What `settings.Session()` gives: it can be made at import, and says so when it is used."""

    def __call__(self, *_args, **_kwargs):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        pass

    def close(self):
        pass

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        no_database()


class _Engine:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        no_database()


engine = _Engine()


class timeout:
    """`with timeout(seconds=…)`."""

    def __init__(self, seconds=1, error_message="Timeout"):
        self.seconds, self.error_message = seconds, error_message

    def _handle(self, *_args):
        raise AirflowTaskTimeout(self.error_message)

    def __enter__(self):
        self._before = signal.signal(signal.SIGALRM, self._handle)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def __exit__(self, *_exc):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)


def import_string(dotted_path):
    import importlib

    module, _, name = dotted_path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except AttributeError:
        raise ImportError(f'Module "{module}" does not define a "{name}" attribute/class') from None


def merge_dicts(dict1, dict2):
    merged = dict(dict1)
    for key, value in dict2.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = merge_dicts(merged[key], value) if both else value
    return merged


def exactly_one(*args):
    return sum(map(bool, args)) == 1


def at_most_one(*args):
    return sum(map(bool, args)) <= 1


def prune_dict(val, mode="strict"):
    def keep(value):
        return value is not None if mode == "strict" else bool(value)

    if isinstance(val, dict):
        return {k: prune_dict(v, mode) for k, v in val.items() if keep(v)}
    if isinstance(val, list):
        return [prune_dict(v, mode) for v in val if keep(v)]
    return val


def chunks(items, chunk_size):
    for i in range(0, len(items), chunk_size):
        yield items[i : i + chunk_size]


class WeekDay:
    """Days as the enum of Airflow names them."""

    MONDAY, TUESDAY, WEDNESDAY, THURSDAY = "Monday", "Tuesday", "Wednesday", "Thursday"
    FRIDAY, SATURDAY, SUNDAY = "Friday", "Saturday", "Sunday"


@contextlib.contextmanager
def TemporaryDirectory(*args, **kwargs):
    import tempfile

    with tempfile.TemporaryDirectory(*args, **kwargs) as folder:
        yield folder


class SubprocessResult(typing.NamedTuple):
    exit_code: int
    output: str


class BaseSecretsBackend:
    def __init__(self, **_more):
        pass


def hookimpl(function=None, **_more):
    return (lambda f: f) if function is None else function


class _ModelMeta(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name in ("find", "query", "get_latest_runs"):
            return lambda *_args, **_kwargs: no_database()
        return f"{cls.__name__}.{name}"


class _Model(metaclass=_ModelMeta):
    """A table of Airflow's database, as clean-up DAGs name it at import: columns have names, queries refuse."""


class DagModel(_Model):
    pass


class Log(_Model):
    pass


class SlaMiss(_Model):
    pass


class TaskFail(_Model):
    pass


class TaskReschedule(_Model):
    pass


class RenderedTaskInstanceFields(_Model):
    pass


class Pool(_Model):
    pass


class BaseJob(_Model):
    pass


class DagTag(_Model):
    pass
