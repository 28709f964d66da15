"""Serves the table: one finder for all import paths of three generations, each name loaded when it is asked for."""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
import types

from airflow._table import PLUGIN_DOORS, ROWS

_ours = "airflow._light."


def open_surface() -> None:
    if not any(isinstance(finder, _SurfaceFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _SurfaceFinder())


def look_up(path: str, name: str):
    """The object behind `from path import name`. AttributeError where there is none: Python turns it into ImportError."""
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(f"module {path!r} has no attribute {name!r}")
    home = _names_of(path).get(name)
    if home is not None:
        found = _load(home)
        setattr(sys.modules[path], name, found)
        return found
    whole = _whole_of(path)
    if whole is not None and hasattr(whole, name):
        return getattr(whole, name)
    inner = f"{path}.{name}"
    if inner in _paths:
        return importlib.import_module(inner)
    if path in PLUGIN_DOORS:
        from airflow._light import plugins

        found = plugins.offered_at(path, name)
        if found is not None:
            return found
    raise AttributeError(f"module {path!r} has no attribute {name!r}")


def names_in(path: str) -> list[str]:
    whole = _whole_of(path)
    below = [p[len(path) + 1 :] for p in _paths if p.startswith(path + ".") and "." not in p[len(path) + 1 :]]
    served = [] if whole is None else [name for name in dir(whole) if not name.startswith("__")]
    return sorted({*_names_of(path), *below, *served})


def all_paths() -> list[str]:
    """Every import path of the table, parents first."""
    return sorted(_paths)


class _SurfaceFinder:
    def find_spec(self, fullname, path=None, target=None):
        if not fullname.startswith("airflow."):
            return None
        if fullname in _paths:
            spec = importlib.machinery.ModuleSpec(fullname, _loader, is_package=True)
            spec.submodule_search_locations = _folders_of_others(fullname)
            return spec
        door, _, name = fullname.rpartition(".")
        if door in PLUGIN_DOORS:
            from airflow._light import plugins

            module = plugins.module_offered_at(door, name)
            if module is not None:
                return importlib.machinery.ModuleSpec(fullname, _GivenModule(module))
        return None


class _SurfaceLoader:
    def create_module(self, spec):
        return types.ModuleType(spec.name)

    def exec_module(self, module):
        path = module.__name__
        module.__getattr__ = lambda name: look_up(path, name)
        module.__dir__ = lambda: names_in(path)
        # `from airflow.x import *` takes what the table has, not what happens to be loaded.
        module.__all__ = sorted(_names_of(path))
        row = _rows.get(path)
        if isinstance(row, str):
            whole = _whole_of(path)
            module.__all__ = [name for name in vars(whole) if not name.startswith("_")]


class _GivenModule:
    def __init__(self, module):
        self._given = module

    def create_module(self, spec):
        return self._given

    def exec_module(self, module):
        pass


def _load(home: str):
    module, _, name = home.partition(":")
    loaded = importlib.import_module(_ours + module)
    return getattr(loaded, name) if name else loaded


def _names_of(path: str) -> dict[str, str]:
    row = _rows.get(path)
    return row if isinstance(row, dict) else {}


def _whole_of(path: str):
    row = _rows.get(path)
    return importlib.import_module(_ours + row) if isinstance(row, str) else None


def _folders_of_others(fullname: str) -> list[str]:
    """Folders of the environment that also fill this namespace: providers, and packages that install themselves into it.

    A whole Apache Airflow that lies in the environment stays shut out, except for its providers.
    """
    inner = fullname.split(".")
    folders = []
    for entry in sys.path:
        root = os.path.join(entry or os.curdir, "airflow")
        if os.path.realpath(root) == _here:
            continue
        if inner[1] != "providers" and os.path.exists(os.path.join(root, "__init__.py")):
            continue
        folder = os.path.join(root, *inner[1:])
        if os.path.isdir(folder):
            folders.append(folder)
    return folders


def _read_rows() -> dict[str, dict[str, str] | str]:
    rows: dict[str, dict[str, str] | str] = {}
    for _generation, path, names in ROWS:
        if names.startswith("@"):
            rows[path] = names[1:]
            continue
        row = rows.setdefault(path, {})
        module = ""
        for word in names.split():
            if word.endswith(":"):
                module = word[:-1]
                continue
            public, _, ours = word.partition("=")
            row[public] = f"{module}:{ours or public}" if ours != "*" else module
    return rows


def _with_parents(paths) -> set[str]:
    known = set()
    for path in paths:
        while "." in path:
            known.add(path)
            path = path.rpartition(".")[0]
    return known


_here = os.path.dirname(os.path.realpath(__file__))
_rows = _read_rows()
_paths = _with_parents(_rows)
_loader = _SurfaceLoader()
