"""One parse: a file becomes DagSpecs, or problems with line and way out, and the list of what was read for it."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig

from airlock_guest import author_errors
from airlock_guest.infer_level import infer_level
from airlock_guest.load_dag_file import load, prepare
from airlock_guest.write_spec import write_spec


def parse(request: dict, paths, comms) -> None:
    told = request.get("airlock") or {}
    dags_folder = told.get("dags_folder", paths.dags_folder) or ""
    file = request["file"]
    path = file if os.path.isabs(file) else os.path.join(paths.bundle, file)
    prepare(paths.bundle, dags_folder, request.get("bundle_name"))
    watch = _Watch(paths.bundle)
    dags: list[dict] = []
    errors: list[dict] = []
    warnings: list[dict] = []
    try:
        loaded = load(path)
    except BaseException as error:
        # SystemExit and KeyboardInterrupt too: whatever the file does, it is the file's own error.
        errors.append(author_errors.problem_of(error))
        loaded = []
    for dag in _last_of_each_id(loaded, warnings):
        try:
            dag.check_cycle()
            dag.resolve_template_files()
            level = told.get("level_override") or _level_of(path, dag, watch)
            dags.append(write_spec(dag, level, warnings))
        except Exception as error:
            problem = author_errors.problem_of(error)
            problem["message"] = f"{dag.dag_id}: {problem['message']}"
            errors.append(problem)
    sys.stdout.flush()
    sys.stderr.flush()
    comms.ask(
        {
            "type": "DagFileParsingResult",
            "dags": dags,
            "errors": errors,
            "warnings": warnings,
            "inputs": watch.inputs(path),
            "listed": watch.listed(),
            "packages": watch.packages(),
        }
    )


def _last_of_each_id(dags: list, warnings: list[dict]) -> list:
    by_id: dict = {}
    for dag in dags:
        if dag.dag_id in by_id:
            warnings.append(
                {"message": f"{dag.dag_id} is made twice in this file", "hint": "give one of the two another dag_id"}
            )
        by_id[dag.dag_id] = dag
    return list(by_id.values())


def _level_of(path: str, dag, watch) -> str:
    others = [_source(os.path.join(watch.bundle, each)) for each in watch.inputs(path)[1:] if each.endswith(".py")]
    return infer_level(_source(path), others, dag.arguments_before_3)


def _source(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
    return ""


def _worth_importing(name: str, names: set[str]) -> str:
    """The name that brings this module along. A namespace (google, airflow.providers) brings nothing: there the module itself."""
    inner = name.split(".")
    if inner[0] == "airflow":
        return name
    return next(".".join(inner[:n]) for n in range(1, len(inner) + 1) if ".".join(inner[:n]) in names)


class _Watch:
    """Notes what is read, listed and imported from now on. The version of a DAG is a hash over what its parse read."""

    def __init__(self, bundle: str):
        self.bundle = bundle
        self._prefix = bundle.rstrip(os.sep) + os.sep
        self._read: dict[str, None] = {}
        self._listed: dict[str, None] = {}
        self._before = set(sys.modules)
        sys.addaudithook(self._hear)

    def inputs(self, first: str) -> list[str]:
        """Files of the repository, relative to it, the parsed file first."""
        for module in list(sys.modules.values()):
            self._note(getattr(module, "__file__", None), self._read)
        found = [path for path in self._read if os.path.isfile(self._prefix + path)]
        own = os.path.relpath(os.path.realpath(first), self.bundle)
        return [own, *sorted(path for path in found if path != own)]

    def listed(self) -> list[str]:
        return sorted(self._listed)

    def packages(self) -> list[str]:
        """What a warm guest may import ahead: packages that were imported from the environment."""
        places = tuple(
            os.path.realpath(place) + os.sep for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        )
        new = set()
        for name in set(sys.modules) - self._before:
            top = name.partition(".")[0]
            origin = getattr(sys.modules.get(name), "__file__", None)
            if origin and (top == "airflow" or top not in self._before) and os.path.realpath(origin).startswith(places):
                new.add(name)
        found = {_worth_importing(name, new) for name in new}
        return sorted(name for name in found if all(part.isidentifier() for part in name.split(".")))

    def _hear(self, event: str, arguments: tuple) -> None:
        # Called for every event of the interpreter: the common ones must cost nothing.
        if event == "open":
            self._note(arguments[0], self._read)
        elif event in ("os.listdir", "os.scandir"):
            # The import machinery lists the folders of sys.path; only what the author lists decides what he finds.
            if not sys._getframe(1).f_code.co_filename.startswith("<frozen importlib"):
                self._note(arguments[0] if arguments else None, self._listed)

    def _note(self, path, into: dict[str, None]) -> None:
        if isinstance(path, bytes):
            path = path.decode(errors="surrogateescape")
        if not isinstance(path, str):
            return
        if not path.startswith("/"):
            path = os.path.join(os.getcwd(), path)
        path = os.path.normpath(path)
        if path.startswith(self._prefix):
            into[path[len(self._prefix) :]] = None
        elif path == self.bundle and into is self._listed:
            into["."] = None
