"""What the installed provider packages say about themselves: which hook a type of connection has, which dialects."""

from __future__ import annotations

import functools
import importlib.metadata
import typing

from airflow._light.helpers import import_string


class HookInfo(typing.NamedTuple):
    hook_class_name: str
    connection_id_attribute_name: str
    package_name: str
    connection_type: str
    hook_name: str


class DialectInfo(typing.NamedTuple):
    name: str
    dialect_class_name: str
    provider_name: str


class ProvidersManager:
    @functools.cached_property
    def _told(self):
        found = []
        for entry in importlib.metadata.entry_points(group="apache_airflow_provider"):
            try:
                found.append(entry.load()())
            except Exception:
                # A provider that cannot say what it is must not hide the others.
                continue
        return found

    @functools.cached_property
    def hooks(self):
        found = {}
        for told in self._told:
            for each in told.get("connection-types") or ():
                kind, name = each["connection-type"], each["hook-class-name"]
                found[kind] = HookInfo(name, "", told.get("package-name", ""), kind, name.rpartition(".")[2])
        return found

    @functools.cached_property
    def dialects(self):
        return {
            each["dialect-type"]: DialectInfo(each["dialect-type"], each["dialect-class-name"], told.get("package-name", ""))
            for told in self._told
            for each in told.get("dialects") or ()
        }

    def initialize_providers_hooks(self):
        pass

    initialize_providers_list = initialize_providers_hooks


def task_decorator_called(name):
    """`@task.<name>` of an installed provider, or None."""
    for told in ProvidersManager()._told:
        for each in told.get("task-decorators") or ():
            if each["name"] == name:
                return import_string(each["class-name"])
    return None


def hook_for(connection, hook_params):
    """The hook of a connection's type, made for it. None where no installed provider has one."""
    info = ProvidersManager().hooks.get(connection.conn_type)
    if info is None:
        return None
    hook_class = import_string(info.hook_class_name)
    return hook_class(**{getattr(hook_class, "conn_name_attr", "conn_id"): connection.conn_id}, **(hook_params or {}))
