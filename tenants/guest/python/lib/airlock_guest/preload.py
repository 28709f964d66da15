"""What is imported before the first fork: all of the guest, and the packages the bundle's files are known to import."""

from __future__ import annotations

import importlib
import os
import platform
import select
import signal
import time

from airflow import _surface
from airlock_guest.warm_up import warm_up

_probe_seconds_max = 30
_guest_modules = (
    "jinja2", "jinja2.nativetypes", "jinja2.sandbox", "jinja2.ext", "jinja2.loaders", "jinja2.meta", "pendulum", "msgpack",
    "dateutil.parser", "dateutil.relativedelta", "logging", "subprocess", "traceback", "socket", "json", "random",
    "airflow._light.operators", "airflow._light.sensors", "airflow._light.taskflow", "airflow._light.template",
    "airflow._light.context", "airflow._light.macros", "airflow._light.variable", "airflow._light.connection",
    "airflow._light.task_instance", "airflow._light.timetables", "airflow._light.assets", "airflow._light.dates",
    "airflow._light.helpers", "airflow._light.notifier", "airflow._light.plugins", "airflow._light.run_environment",
    "airlock_guest.run_task", "airlock_guest.parse_file", "airlock_guest.log_frames",
)  # fmt: skip


def preload_guest() -> None:
    for name in _guest_modules:
        importlib.import_module(name)
    for path in _surface.all_paths():
        importlib.import_module(path)
    warm_up()


def preload(packages: list[str]) -> tuple[list[str], list[str], dict[str, str]]:
    """(imported, left to the children, versions). A package is tried in a fork first: an import cannot be undone."""
    clean = _probe(packages) if packages else []
    done = []
    for name in clean:
        try:
            importlib.import_module(name)
            done.append(name)
        except Exception:
            continue
    versions = {"python": platform.python_version()}
    for name in ("airflow", "jinja2", "pendulum"):
        versions[name] = getattr(importlib.import_module(name), "__version__", "")
    return done, [name for name in packages if name not in done], versions


def _probe(packages: list[str]) -> list[str]:
    """Those that import and leave neither thread nor descriptor behind."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1):
            os.dup2(nothing, fd)
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(each, signal.SIG_DFL)
        _try_each(packages, write)
        os._exit(0)
    os.close(write)
    said = b""
    limit = time.monotonic() + _probe_seconds_max
    while True:
        ready, _, _ = select.select([read], [], [], max(0, limit - time.monotonic()))
        chunk = os.read(read, 4096) if ready else b""
        if not chunk:
            break
        said += chunk
    os.close(read)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(pid, 0)
    return [name for name in said.decode().split("\n")[:-1] if name in packages]


def _try_each(packages: list[str], write: int) -> None:
    for name in packages:
        before = _threads(), _descriptors()
        try:
            importlib.import_module(name)
        except BaseException:
            continue
        if (_threads(), _descriptors()) == before:
            os.write(write, name.encode() + b"\n")
        else:
            # What follows could not be told from what this one left.
            return


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        import threading

        return threading.active_count()


def _descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
