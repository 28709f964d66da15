"""What stands in a DAG file for a value that exists only when it runs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from airflow._light.exceptions import AirflowException, XComNotFound
from airflow._light.graph import DependencyMixin, SetupTeardownContext

XCOM_RETURN_KEY = "return_value"
_unset = object()


class XComArg(DependencyMixin):
    """`XComArg(operator)` is the plain one; `.map`, `.zip` and `.concat` make the others."""

    def __new__(cls, *args, **kwargs):
        if cls is XComArg:
            return PlainXComArg(*args, **kwargs)
        return super().__new__(cls)

    def iter_references(self):
        """Pairs (operator, key) that this value needs."""
        raise NotImplementedError

    def resolve(self, context):
        raise NotImplementedError

    def map_source(self):
        """How long a task mapped over this becomes, as the spec says it."""
        raise NotImplementedError

    @property
    def roots(self):
        return [operator for operator, _ in self.iter_references()]

    @property
    def leaves(self):
        return self.roots

    def has_dag(self):
        return any(operator.has_dag() for operator in self.roots)

    def set_upstream(self, other, edge_modifier=None):
        for operator in self.roots:
            operator.set_upstream(other, edge_modifier)

    def set_downstream(self, other, edge_modifier=None):
        for operator in self.roots:
            operator.set_downstream(other, edge_modifier)

    def map(self, f):
        return MapXComArg(self, [f])

    def zip(self, *others, fillvalue=_unset):
        return ZipXComArg([self, *others], fillvalue)

    def concat(self, *others):
        return ConcatXComArg([self, *others])

    @staticmethod
    def iter_xcom_references(arg):
        if isinstance(arg, (XComArg, MappedArgument)):
            yield from arg.iter_references()
        elif isinstance(arg, Mapping):
            for value in arg.values():
                yield from XComArg.iter_xcom_references(value)
        elif isinstance(arg, (list, tuple, set, frozenset)):
            for value in arg:
                yield from XComArg.iter_xcom_references(value)

    @staticmethod
    def apply_upstream_relationship(op, arg):
        for operator, _ in XComArg.iter_xcom_references(arg):
            if operator is not op:
                op.set_upstream(operator)

    def __iter__(self):
        raise TypeError(f"{type(self).__name__!r} object is not iterable")

    def __enter__(self):
        SetupTeardownContext.push(self.roots)
        return self

    def __exit__(self, *_exc):
        SetupTeardownContext.pop()


class PlainXComArg(XComArg):
    def __init__(self, operator, key=XCOM_RETURN_KEY):
        self.operator = operator
        self.key = key

    def __eq__(self, other):
        return isinstance(other, PlainXComArg) and (self.operator, self.key) == (other.operator, other.key)

    def __hash__(self):
        return hash((id(self.operator), self.key))

    def __getitem__(self, item):
        if not isinstance(item, str):
            raise ValueError(f"XComArg only supports str lookup, received {type(item).__name__}")
        return PlainXComArg(self.operator, item)

    def __str__(self):
        """So that it can be written into a template string."""
        return (
            f"{{{{ task_instance.xcom_pull(task_ids={self.operator.task_id!r}, "
            f"dag_id={self.operator.dag_id!r}, key={self.key!r}) }}}}"
        )

    def __repr__(self):
        return f"XComArg({self.operator!r}" + ("" if self.key == XCOM_RETURN_KEY else f", {self.key!r}") + ")"

    def iter_references(self):
        yield self.operator, self.key

    def map_source(self):
        return {"kind": "task", "task_id": self.operator.task_id, "key": self.key}

    @property
    def is_setup(self):
        return self.operator.is_setup

    @is_setup.setter
    def is_setup(self, value):
        self.operator.is_setup = value

    @property
    def is_teardown(self):
        return self.operator.is_teardown

    @is_teardown.setter
    def is_teardown(self, value):
        self.operator.is_teardown = value

    @property
    def on_failure_fail_dagrun(self):
        return self.operator.on_failure_fail_dagrun

    @on_failure_fail_dagrun.setter
    def on_failure_fail_dagrun(self, value):
        self.operator.on_failure_fail_dagrun = value

    def as_setup(self):
        self.operator.as_setup()
        return self

    def as_teardown(self, **kwargs):
        self.operator.as_teardown(**kwargs)
        return self

    def resolve(self, context):
        ti = context["ti"]
        value = ti.pull_from(self.operator, self.key, default=_unset)
        if value is not _unset:
            return value
        # A task that was skipped or ran without result is None to its reader; a named key that is missing is a mistake.
        if self.key == XCOM_RETURN_KEY:
            return None
        raise XComNotFound(ti.dag_id, self.operator.task_id, self.key)


class MapXComArg(XComArg):
    def __init__(self, arg, callables):
        self.arg = arg
        self.callables = callables

    def map(self, f):
        return MapXComArg(self.arg, [*self.callables, f])

    def iter_references(self):
        yield from self.arg.iter_references()

    def map_source(self):
        return self.arg.map_source()

    def resolve(self, context):
        return _MapResult(self.arg.resolve(context), self.callables)


class _MapResult(Sequence):
    """Applied per element and late: a function that skips must skip only its own index."""

    def __init__(self, values, callables):
        self._values = values if isinstance(values, Sequence) else list(values)
        self._callables = callables

    def __len__(self):
        return len(self._values)

    def __getitem__(self, index):
        value = self._values[index]
        for f in self._callables:
            value = f(value)
        return value


class ZipXComArg(XComArg):
    def __init__(self, args, fillvalue):
        self.args = args
        self.fillvalue = fillvalue

    def iter_references(self):
        for arg in self.args:
            yield from arg.iter_references()

    def map_source(self):
        return {
            "kind": "zip",
            "longest": self.fillvalue is not _unset,
            "of": [arg.map_source() for arg in self.args],
        }

    def resolve(self, context):
        values = [arg.resolve(context) for arg in self.args]
        if self.fillvalue is _unset:
            return list(zip(*values))
        return list(itertools.zip_longest(*values, fillvalue=self.fillvalue))


class ConcatXComArg(XComArg):
    def __init__(self, args):
        self.args = args

    def iter_references(self):
        for arg in self.args:
            yield from arg.iter_references()

    def map_source(self):
        return {"kind": "concat", "of": [arg.map_source() for arg in self.args]}

    def resolve(self, context):
        return [value for arg in self.args for value in (arg.resolve(context) or [])]


class MappedArgument:
    """A parameter of a mapped task group: inside the group it is the value of this index."""

    def __init__(self, expand_input, key):
        self._input = expand_input
        self._key = key

    def iter_references(self):
        yield from self._input.iter_references()

    def resolve(self, context):
        return self._input.resolve(context, context["ti"].group_index(self._input))[self._key]

    def __repr__(self):
        return f"MappedArgument({self._key!r})"


class ExpandInput:
    """What `.expand` or `.expand_kwargs` was given. `value` of a dict: a cross product, the last keyword fastest."""

    def __init__(self, value):
        self.value = value

    def iter_references(self):
        yield from XComArg.iter_xcom_references(self.value)

    def map_spec(self):
        raise NotImplementedError

    def resolve(self, context, map_index):
        """The keyword arguments of one index."""
        return self.resolve_with_origins(context, map_index)[0]

    def resolve_with_origins(self, context, map_index):
        """The keyword arguments of one index, and the names of those that came out of an XCom (never rendered)."""
        raise NotImplementedError

    def length(self, context):
        raise NotImplementedError


class ProductInput(ExpandInput):
    def map_spec(self):
        return {"kind": "product", "sources": [_source_of(v) for v in self.value.values()]}

    def resolve_with_origins(self, context, map_index):
        chosen, rest = {}, map_index
        for key in reversed(list(self.value)):
            value = _resolved(self.value[key], context)
            if value is None:
                raise XComNotFound(context["ti"].dag_id, context["ti"].task_id, key)
            if not hasattr(value, "__len__"):
                value = list(value)
            rest, index = divmod(rest, len(value))
            chosen[key] = list(value.items())[index] if isinstance(value, Mapping) else value[index]
        found = {key: _resolved_deep(chosen[key], context) for key in self.value}
        return found, [key for key, given in self.value.items() if isinstance(given, (XComArg, MappedArgument))]

    def length(self, context):
        total = 1
        for value in self.value.values():
            total *= len(_resolved(value, context))
        return total


class ListInput(ExpandInput):
    def map_spec(self):
        return {"kind": "list", "sources": [_source_of(self.value)]}

    def resolve_with_origins(self, context, map_index):
        given = _resolved(self.value, context)[map_index]
        value = _resolved_deep(given, context)
        if not isinstance(value, Mapping):
            raise ValueError(f"expand_kwargs() expects a list[dict], not list[{type(value).__name__}]")
        if isinstance(self.value, (XComArg, MappedArgument)) or isinstance(given, XComArg):
            return dict(value), list(value)
        return dict(value), [key for key, each in given.items() if isinstance(each, XComArg)]

    def length(self, context):
        return len(_resolved(self.value, context))


def product_input(kwargs):
    for name, value in kwargs.items():
        if not is_mappable(value):
            raise ValueError(
                f"expand() got an unexpected type {type(value).__name__!r} for keyword argument {name!r}"
            )
    return ProductInput(kwargs)


def list_input(value):
    if not isinstance(value, (XComArg, MappedArgument)):
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TypeError(f"expected XComArg or list[dict], not {type(value).__name__}")
        for each in value:
            if not isinstance(each, (XComArg, Mapping)):
                raise TypeError(f"expected XComArg or list[dict], not list[{type(each).__name__}]")
    return ListInput(value)


def is_mappable(value):
    if isinstance(value, (XComArg, MappedArgument, Mapping)):
        return True
    return isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (str, bytes, bytearray))


def _source_of(value):
    if isinstance(value, XComArg):
        return value.map_source()
    if isinstance(value, MappedArgument):
        raise AirflowException("a task inside a mapped task group cannot be expanded over the group's own argument")
    return {"kind": "literal", "length": len(value)}


def _resolved(value, context):
    if isinstance(value, (XComArg, MappedArgument)):
        return value.resolve(context)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    return value


def _resolved_deep(value, context):
    if isinstance(value, (XComArg, MappedArgument)):
        return value.resolve(context)
    if type(value) in (list, tuple):
        return type(value)(_resolved_deep(v, context) for v in value)
    if type(value) is dict:
        return {k: _resolved_deep(v, context) for k, v in value.items()}
    return value
