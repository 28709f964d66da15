"""Params: defaults with a JSON schema, merged with what a run was triggered with."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import MutableMapping

from airflow._light.exceptions import ParamValidationError

NOTSET = type("NotSet", (), {"__repr__": lambda self: "NOTSET", "__bool__": lambda self: False})()


class Param:
    CLASS_IDENTIFIER = "__class"

    def __init__(self, default=NOTSET, description=None, source=None, **kwargs):
        self.value = default
        self.description = description
        self.schema = kwargs.pop("schema", kwargs)

    @property
    def has_value(self):
        return self.value is not NOTSET and self.value is not None

    def resolve(self, value=NOTSET, suppress_exception=False):
        """The value, checked against what the schema says about type, enum and bounds."""
        final = self.value if value is NOTSET else value
        if final is NOTSET:
            if suppress_exception:
                return None
            raise ParamValidationError("No value passed and Param has no default value")
        problem = _problem_with(final, self.schema)
        if problem:
            if suppress_exception:
                return None
            raise ParamValidationError(problem)
        self.value = final
        return final

    def spec(self):
        schema = {key: _json(value) for key, value in self.schema.items()}
        if self.value is not NOTSET:
            schema["default"] = _json(self.value)
        found = {"schema": schema}
        if self.description:
            found["description"] = str(self.description)
        return found


class ParamsDict(MutableMapping):
    def __init__(self, dict_obj=None, suppress_exception=False):
        self._params = {}
        self.suppress_exception = suppress_exception
        for key, value in (dict_obj.params() if isinstance(dict_obj, ParamsDict) else dict_obj or {}).items():
            self._params[key] = copy.copy(value) if isinstance(value, Param) else Param(value)

    def params(self):
        return self._params

    def __getitem__(self, key):
        return self._params[key].resolve(suppress_exception=self.suppress_exception)

    def __setitem__(self, key, value):
        if isinstance(value, Param):
            self._params[key] = value
        elif key in self._params:
            self._params[key].resolve(value, self.suppress_exception)
        else:
            self._params[key] = Param(value)

    def __delitem__(self, key):
        del self._params[key]

    def __iter__(self):
        return iter(self._params)

    def __len__(self):
        return len(self._params)

    def __contains__(self, key):
        return key in self._params

    def __copy__(self):
        return ParamsDict(self._params, self.suppress_exception)

    def get_param(self, key):
        return self._params[key]

    def dump(self):
        return {key: self[key] for key in self._params}

    def validate(self):
        for key, param in self._params.items():
            try:
                param.resolve(suppress_exception=self.suppress_exception)
            except ParamValidationError as problem:
                raise ParamValidationError(f"Invalid input for param {key}: {problem}") from None
        return self.dump()

    def __repr__(self):
        return repr(self.dump())


class DagParam:
    """A parameter of a @dag function: in a template field it is the value the run was started with."""

    def __init__(self, current_dag, name, default=NOTSET):
        if default is not NOTSET:
            current_dag.params[name] = default
        self._name = name
        self._default = default

    def iter_references(self):
        return iter(())

    def resolve(self, context):
        conf = getattr(context.get("dag_run"), "conf", None) or {}
        if self._name in conf:
            return conf[self._name]
        params = context.get("params") or {}
        if self._name in params:
            return params[self._name]
        if self._default is not NOTSET:
            return self._default
        raise KeyError(f"No value could be resolved for parameter {self._name}")


_types = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool,
    "array": (list, tuple), "object": dict, "null": type(None),
}  # fmt: skip


def _problem_with(value, schema):
    wanted = schema.get("type")
    if wanted is not None:
        names = wanted if isinstance(wanted, list) else [wanted]
        if not any(_is_type(value, name) for name in names):
            return f"{value!r} is not of type {', '.join(map(repr, names))}"
    if value is None:
        return None
    if "enum" in schema and value not in schema["enum"]:
        return f"{value!r} is not one of {list(schema['enum'])!r}"
    if "const" in schema and value != schema["const"]:
        return f"{schema['const']!r} was expected"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            return f"{value!r} is less than the minimum of {schema['minimum']!r}"
        if "maximum" in schema and value > schema["maximum"]:
            return f"{value!r} is greater than the maximum of {schema['maximum']!r}"
        if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
            return f"{value!r} is less than or equal to the minimum of {schema['exclusiveMinimum']!r}"
        if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
            return f"{value!r} is greater than or equal to the maximum of {schema['exclusiveMaximum']!r}"
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            return f"{value!r} is too short"
        if len(value) > schema.get("maxLength", len(value)):
            return f"{value!r} is too long"
        if "pattern" in schema:
            import re

            if not re.search(schema["pattern"], value):
                return f"{value!r} does not match {schema['pattern']!r}"
    return None


def _is_type(value, name):
    known = _types.get(name)
    if known is None:
        return True
    if isinstance(value, bool) and name in ("integer", "number"):
        return False
    if name == "string" and isinstance(value, (dt.date, dt.datetime)):
        return True
    return isinstance(value, known)


def _json(value):
    if isinstance(value, (dt.date, dt.datetime, dt.time)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {str(k): _json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_json(v) for v in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)
