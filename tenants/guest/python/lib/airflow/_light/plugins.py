"""The repository's own `plugins/` folder: what its AirflowPlugin classes offer under Airflow's names (1.10, macros)."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import types


class AirflowPlugin:
    name = None
    operators: list = []
    sensors: list = []
    hooks: list = []
    macros: list = []
    executors: list = []
    admin_views: list = []
    flask_blueprints: list = []
    menu_links: list = []
    appbuilder_views: list = []
    appbuilder_menu_items: list = []
    global_operator_extra_links: list = []
    operator_extra_links: list = []
    timetables: list = []
    listeners: list = []
    fastapi_apps: list = []
    fastapi_root_middlewares: list = []
    external_views: list = []
    react_apps: list = []
    ti_deps: list = []
    priority_weight_strategies: list = []

    @classmethod
    def on_load(cls, *args, **kwargs):
        pass


_folder: str | None = None
_found: list | None = None
_loading = False
_kinds = {"airflow.operators": "operators", "airflow.sensors": "sensors", "airflow.hooks": "hooks", "airflow.macros": "macros"}


def look_in(folder: str | None) -> None:
    global _folder, _found
    _folder, _found = folder, None


def offered_at(door: str, name: str):
    """`from airflow.operators import MyOperator`, or the plugin called `name` as a module."""
    kind = _kinds.get(door)
    for plugin in _plugins():
        for each in getattr(plugin, kind, None) or ():
            if getattr(each, "__name__", None) == name:
                return each
    return module_offered_at(door, name)


def module_offered_at(door: str, name: str):
    kind = _kinds.get(door)
    for plugin in _plugins():
        if plugin.name == name and getattr(plugin, kind, None):
            module = types.ModuleType(f"{door}.{name}")
            for each in getattr(plugin, kind):
                setattr(module, each.__name__, each)
            return module
    return None


def macros_of(name: str):
    return module_offered_at("airflow.macros", name)


def _plugins():
    global _found, _loading
    if _found is None and _folder is not None and not _loading:
        # A plugin that itself imports from airflow.operators must not start the search again.
        _loading = True
        try:
            _found = list(_load_all(_folder))
        finally:
            _loading = False
    return _found or []


def _load_all(folder):
    before = set(_subclasses())
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__pycache__")))
        for file in sorted(files):
            path = os.path.join(root, file)
            if file.endswith(".py") and _mentions_plugin(path):
                inner = os.path.relpath(path, folder)[:-3].replace(os.sep, ".").removesuffix(".__init__")
                # A plugin that fails to load is missed by whoever needs it, with the name in the message.
                with contextlib.suppress(Exception):
                    importlib.import_module(inner)
    return [plugin for plugin in _subclasses() if plugin not in before or plugin.__module__ in sys.modules]


def _mentions_plugin(path):
    try:
        with open(path, "rb") as file:
            return b"AirflowPlugin" in file.read()
    except OSError:
        return False


def _subclasses(cls=AirflowPlugin):
    for each in cls.__subclasses__():
        yield each
        yield from _subclasses(each)
