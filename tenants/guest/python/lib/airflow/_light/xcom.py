"""XCom values: JSON, with Airflow's envelopes for what JSON has no word for."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import math
import pathlib
import sys
import uuid
from collections.abc import Sequence

from airflow._light import channel
from airflow._light.exceptions import AirflowRuntimeError

XCOM_RETURN_KEY = "return_value"
_name, _version, _data = "__classname__", "__version__", "__data__"
_depth_max = 40


def to_wire(value, depth=0):
    """JSON of a value. TypeError names the class that has no JSON."""
    if value is None or isinstance(value, (bool, str)) and type(value) in (bool, str):
        return value
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, str):
        return str(value.value) if hasattr(value, "value") else str(value)
    if isinstance(value, int):
        # JSON readers round what is beyond 53 bits.
        return int(value) if abs(value) < 2**53 else _wrap("builtins.int", str(int(value)))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _wrap("builtins.float", str(float(value)))
    if depth > _depth_max:
        raise RecursionError("an XCom may be nested 40 levels deep")
    if isinstance(value, dict):
        return {str(k): to_wire(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [to_wire(v, depth + 1) for v in value]
    if isinstance(value, (tuple, set, frozenset)):
        kind = next(t for t in (tuple, frozenset, set) if isinstance(value, t))
        return _wrap(f"builtins.{kind.__name__}", [to_wire(v, depth + 1) for v in value])
    if isinstance(value, bytes):
        return _wrap("builtins.bytes", value.hex())
    if isinstance(value, dt.datetime):
        zone = _zone(value)
        return _wrap(_qualified(value), {"timestamp": value.timestamp(), "tz": zone}, 2)
    if isinstance(value, dt.date):
        return _wrap(_qualified(value), value.isoformat(), 2)
    if isinstance(value, dt.timedelta):
        return _wrap("datetime.timedelta", value.total_seconds(), 2)
    if isinstance(value, decimal.Decimal):
        return _wrap("decimal.Decimal", str(value))
    if isinstance(value, uuid.UUID):
        return _wrap("uuid.UUID", str(value))
    if isinstance(value, LazyXComs):
        return [to_wire(v, depth + 1) for v in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: to_wire(getattr(value, f.name), depth + 1) for f in dataclasses.fields(value)}
        return _wrap(_qualified(value), fields, getattr(type(value), "__version__", 1))
    plain = _plain_number(value)
    if plain is not None:
        return to_wire(plain, depth + 1)
    if hasattr(value, "to_dict") and type(value).__module__.split(".")[0] == "pandas":
        return to_wire(value.to_dict(orient="records") if value.ndim == 2 else value.tolist(), depth + 1)
    if hasattr(value, "model_dump"):
        return to_wire(value.model_dump(mode="json"), depth + 1)
    if isinstance(value, pathlib.PurePath):
        return str(value)
    raise TypeError(
        f"cannot serialize object of type {type(value).__module__}.{type(value).__qualname__} as an XCom; "
        "return plain data (dict, list, str, number, datetime) instead"
    )


def from_wire(value):
    if isinstance(value, list):
        return [from_wire(v) for v in value]
    if not isinstance(value, dict):
        return value
    name = value.get(_name)
    if not isinstance(name, str) or _data not in value:
        return {k: from_wire(v) for k, v in value.items()}
    data = value[_data]
    reader = _readers.get(name)
    if reader is not None:
        return reader(data)
    # A dataclass of the author's: only if its module is loaded already, an XCom must not import anything.
    module, _, cls = name.rpartition(".")
    found = getattr(sys.modules.get(module), cls, None)
    if isinstance(data, dict):
        fields = {k: from_wire(v) for k, v in data.items()}
        return found(**fields) if dataclasses.is_dataclass(found) else fields
    return from_wire(data)


def _wrap(name, data, version=1):
    return {_name: name, _version: version, _data: data}


def _qualified(value):
    cls = type(value)
    return f"{cls.__module__}.{cls.__qualname__}"


def _zone(value):
    if value.tzinfo is None:
        return None
    for attribute in ("key", "name"):
        name = getattr(value.tzinfo, attribute, None)
        if isinstance(name, str) and not name.startswith(("+", "-")):
            return [name, "pendulum.tz.timezone.Timezone", 1, True]
    return [value.utcoffset().total_seconds(), "pendulum.tz.timezone.FixedTimezone", 1, True]


def _read_moment(data):
    import pendulum

    if isinstance(data, str):
        return pendulum.parse(data)
    zone = data.get("tz")
    if zone is None:
        return dt.datetime.fromtimestamp(data["timestamp"])
    zone = zone[0] if isinstance(zone, list) else zone
    tz = pendulum.timezone(zone) if isinstance(zone, str) else pendulum.FixedTimezone(int(zone))
    return pendulum.from_timestamp(data["timestamp"], tz=tz)


def _read_plain_moment(data):
    found = _read_moment(data)
    return dt.datetime.fromtimestamp(found.timestamp(), tz=found.tzinfo) if found.tzinfo else found


_readers = {
    "builtins.int": int,
    "builtins.float": float,
    "builtins.tuple": lambda data: tuple(from_wire(v) for v in data),
    "builtins.set": lambda data: {from_wire(v) for v in data},
    "builtins.frozenset": lambda data: frozenset(from_wire(v) for v in data),
    "builtins.bytes": bytes.fromhex,
    "datetime.datetime": _read_plain_moment,
    "pendulum.datetime.DateTime": _read_moment,
    "datetime.date": dt.date.fromisoformat,
    "pendulum.date.Date": dt.date.fromisoformat,
    "datetime.timedelta": lambda data: dt.timedelta(seconds=data),
    "decimal.Decimal": decimal.Decimal,
    "uuid.UUID": uuid.UUID,
}


def _plain_number(value):
    """A numpy scalar or array as Python has it, without importing numpy."""
    if type(value).__module__.split(".")[0] != "numpy":
        return None
    return value.tolist() if hasattr(value, "tolist") else None


class LazyXComs(Sequence):
    """All return values of a mapped task, fetched when they are looked at."""

    def __init__(self, ref):
        self._ref = ref
        self._length = None
        self._values = None

    def __len__(self):
        if self._length is None:
            answer = _answered(channel.ask({"type": "GetXComCount", **self._ref}))
            self._length = answer.get("len", 0)
        return self._length

    def __iter__(self):
        return iter(self._all())

    def __getitem__(self, index):
        if self._values is not None or isinstance(index, slice):
            return self._all()[index]
        answer = channel.ask({"type": "GetXComSequenceItem", **self._ref, "offset": index})
        if channel.is_error(answer, "XCOM_NOT_FOUND"):
            raise IndexError(index)
        return from_wire(_answered(answer).get("root"))

    def _all(self):
        if self._values is None:
            self._values = slice_of(self._ref)
        return self._values

    def __eq__(self, other):
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    def __repr__(self):
        return repr(self._all())

    __str__ = __repr__


def slice_of(ref, include_prior_dates=False):
    body = {"type": "GetXComSequenceSlice", **ref, "start": None, "stop": None, "step": None}
    answer = channel.ask({**body, "include_prior_dates": include_prior_dates})
    if channel.is_error(answer, "XCOM_NOT_FOUND"):
        return []
    return [from_wire(v) for v in _answered(answer).get("root") or []]


def one(ref, map_index, include_prior_dates, default):
    body = {"type": "GetXCom", **ref, "map_index": map_index, "include_prior_dates": include_prior_dates}
    answer = channel.ask(body)
    if channel.is_error(answer, "XCOM_NOT_FOUND"):
        return default
    value = from_wire(_answered(answer).get("value"))
    return default if value is None else value


def _answered(answer):
    if channel.is_error(answer):
        raise AirflowRuntimeError(answer.get("error"), answer.get("detail"))
    return answer or {}


class XCom:
    """`XCom.get_one` and `XCom.set` of DAG files; also the base of their own XCom classes."""

    key = XCOM_RETURN_KEY
    XCOM_RETURN_KEY = XCOM_RETURN_KEY

    @classmethod
    def get_one(cls, *, key=XCOM_RETURN_KEY, dag_id=None, task_id=None, run_id=None, map_index=-1,
                include_prior_dates=False, **_more):  # fmt: skip
        ref = {"key": key, "dag_id": dag_id, "task_id": task_id, "run_id": run_id}
        return one(ref, map_index if map_index is not None else -1, include_prior_dates, None)

    get_value = get_one

    @classmethod
    def get_all(cls, *, key=XCOM_RETURN_KEY, dag_id=None, task_id=None, run_id=None, include_prior_dates=False):
        ref = {"key": key, "dag_id": dag_id, "task_id": task_id, "run_id": run_id}
        return slice_of(ref, include_prior_dates)

    @classmethod
    def set(cls, key, value, *, dag_id, task_id, run_id, map_index=-1, _mapped_length=None, **_more):
        body = {"type": "SetXCom", "key": key, "value": to_wire(value), "dag_id": dag_id, "run_id": run_id,
                "task_id": task_id, "map_index": map_index}  # fmt: skip
        if _mapped_length is not None:
            body["mapped_length"] = _mapped_length
        _answered(channel.ask(body))

    @staticmethod
    def serialize_value(value, **_more):
        return to_wire(value)

    @staticmethod
    def deserialize_value(result):
        return from_wire(getattr(result, "value", result))


BaseXCom = XCom
