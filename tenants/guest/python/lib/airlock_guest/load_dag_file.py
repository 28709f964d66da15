"""Loads a DAG file as Airflow does: by its path, never by a module name, with the repository's folders importable."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import os
import sys
import types

from airflow._light import plugins
from airflow._light.configuration import AirflowConfigParser
from airflow._light.dag import DAG, DagContext
from airlock_guest import author_errors


def prepare(bundle: str, dags_folder: str, bundle_name: str | None) -> None:
    """The paths of Airflow (dags, plugins, config at the end of sys.path) and of Astro projects (include, the root)."""
    dags = os.path.join(bundle, dags_folder) if dags_folder else bundle
    author_errors.know_bundle(bundle)
    for folder in (dags, os.path.join(bundle, "plugins"), os.path.join(bundle, "config"), bundle,
                   os.path.dirname(dags) if dags_folder else bundle,
                   os.path.join(bundle, "src"), os.path.join(bundle, "lib")):  # fmt: skip
        # At the end: a file called queue.py or statistics.py must not stand in the way of Python's own.
        if folder not in sys.path and os.path.isdir(folder):
            sys.path.append(folder)
    os.environ.setdefault("AIRFLOW_HOME", bundle)
    os.environ.setdefault("AIRFLOW__CORE__DAGS_FOLDER", dags)
    AirflowConfigParser.folders = {
        "dags_folder": dags,
        "plugins_folder": os.path.join(bundle, "plugins"),
        "base_log_folder": os.path.join(bundle, "logs"),
    }
    plugins.look_in(os.path.join(bundle, "plugins"))
    own_name = (bundle_name or "").rstrip("/").split("/")[-1]
    if own_name.isidentifier() and not any(isinstance(f, _RepositoryAsPackage) for f in sys.meta_path):
        sys.meta_path.append(_RepositoryAsPackage(own_name, [bundle, dags]))


def load(path: str) -> list[DAG]:
    """The DAGs of a file: those in its globals, however they got there, and those whose `with` was left."""
    DagContext.registered.clear()
    module = _load_module(path)
    found: dict[int, DAG] = {}
    for value in [*vars(module).values(), *DagContext.registered]:
        if isinstance(value, DAG):
            found.setdefault(id(value), value)
    DagContext.registered.clear()
    return list(found.values())


def _load_module(path: str) -> types.ModuleType:
    stem = os.path.splitext(os.path.basename(path))[0]
    # Not under its own stem: a module of that name may lie beside it, and the stem need not be an identifier.
    name = f"unusual_prefix_{hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()}_{stem.replace('.', '_')}"
    DagContext.current_autoregister_module_name = name
    loader = importlib.machinery.SourceFileLoader(name, path)
    spec = importlib.util.spec_from_loader(name, loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


class _RepositoryAsPackage:
    """Where the clone itself was a package inside the dags folder, files import the repository's own name."""

    def __init__(self, name: str, folders: list[str]):
        self._name = name
        self._folders = folders

    def find_spec(self, fullname, path=None, target=None):
        if fullname != self._name:
            return None
        spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = self._folders
        return spec
