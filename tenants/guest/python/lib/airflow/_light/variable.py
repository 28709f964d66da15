"""Variables: asked of the house one at a time, at the top of a file as in a task."""

from __future__ import annotations

import json

from airflow._light import channel
from airflow._light.exceptions import AirflowRuntimeError

_unset = object()


class Variable:
    def __init__(self, key=None, val=None, description=None, **_more):
        self.key, self.val, self.description = key, val, description

    @classmethod
    def get(cls, key, default=_unset, deserialize_json=False, *, default_var=_unset, **_more):
        """The value; a missing one is the default, or KeyError."""
        if default_var is not _unset:
            default = default_var
        answer = channel.ask({"type": "GetVariable", "key": key})
        if channel.is_error(answer, "VARIABLE_NOT_FOUND"):
            if default is _unset:
                raise KeyError(f"Variable {key} does not exist")
            return default
        _raise_other(answer)
        value = answer.get("value")
        return json.loads(value) if deserialize_json and value is not None else value

    @classmethod
    def set(cls, key, value, description=None, serialize_json=False, **_more):
        text = json.dumps(value, indent=2) if serialize_json else str(value)
        _raise_other(channel.ask({"type": "PutVariable", "key": key, "value": text, "description": description}))

    @classmethod
    def update(cls, key, value, serialize_json=False, **_more):
        cls.get(key)
        cls.set(key, value, serialize_json=serialize_json)

    @classmethod
    def setdefault(cls, key, default, description=None, deserialize_json=False):
        found = cls.get(key, None, deserialize_json=deserialize_json)
        if found is not None:
            return found
        if default is None:
            raise ValueError("Default Value must be set")
        cls.set(key, default, description=description, serialize_json=deserialize_json)
        return default

    @classmethod
    def delete(cls, key, **_more):
        answer = channel.ask({"type": "DeleteVariable", "key": key})
        if channel.is_error(answer, "VARIABLE_NOT_FOUND"):
            return 0
        _raise_other(answer)
        return 1

    def get_val(self):
        return self.val


def _raise_other(answer):
    if channel.is_error(answer):
        raise AirflowRuntimeError(answer.get("error"), answer.get("detail"))


class VariableAccessor:
    """`var.value.x`, `var.json.x.y` and `.get(key, default)` in templates."""

    def __init__(self, deserialize_json):
        self._deserialize_json = deserialize_json

    def __getattr__(self, key):
        if key.startswith("__"):
            raise AttributeError(key)
        return Variable.get(key, deserialize_json=self._deserialize_json)

    __getitem__ = __getattr__

    def get(self, key, default=_unset, **more):
        if "default_var" in more:
            default = more["default_var"]
        return Variable.get(key, default, deserialize_json=self._deserialize_json)
