"""The zygote: started once per guest key, it preloads, forks a child per attempt, reaps, and ends what is left behind.

Single-threaded on purpose: a fork takes only one thread along. It holds no secrets and imports no repository file.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import select
import signal
import struct
import sys
from typing import NamedTuple

import msgpack

from airlock_guest import child, orphans
from airlock_guest.preload import preload, preload_guest

_control_bytes_max = 1024 * 1024
_nonce = re.compile(r"[0-9a-f]{32}\Z")
_in, _out = 0, 1
# Forked ahead: one for the next attempt, one for the attempt after it, which may follow within milliseconds.
_spares_wanted = 2


class Paths(NamedTuple):
    socket: str
    bundle: str
    dags_folder: str
    work: str
    kind: str


class Spare(NamedTuple):
    """A child forked ahead: it waits on its pipe for the word which attempt it is."""

    pid: int
    pipe: int


def serve(arguments: list[str]) -> None:
    paths = _read_arguments(arguments)
    preload_guest()
    orphans.adopt()
    wake = _wake_on_signals()
    zygote = _Zygote(paths, wake)
    try:
        zygote.run()
    finally:
        orphans.end_all(spared=())


class _Zygote:
    def __init__(self, paths: Paths, wake: int):
        self._paths = paths
        self._wake = wake
        self._live: dict[int, str] = {}
        self._used: set[str] = set()
        self._spares: list[Spare] = []
        self._frozen = False
        self._stopping = False
        self._reader = _ExactReader(_in)

    def run(self) -> None:
        while not (self._stopping and not self._live):
            wanted = [self._wake] if self._stopping else [self._wake, _in]
            ready, _, _ = select.select(wanted, [], [])
            if self._wake in ready:
                _drain(self._wake)
                if _asked_to_end:
                    return
                self._reap()
            if _in in ready:
                frame = self._reader.next()
                if frame is _ended:
                    # The supervisor is gone: nobody is left to report to.
                    return
                if frame is not None:
                    self._obey(frame)

    def _obey(self, frame: dict) -> None:
        kind = frame.get("type")
        if kind == "preload":
            self._preload(frame.get("packages") or [])
        elif kind == "fork":
            self._fork(frame)
        elif kind == "stop":
            self._stopping = True
            self._end_spares()
        else:
            raise SystemExit(f"guest: unknown control frame {kind!r}")

    def _preload(self, packages: list) -> None:
        done, skipped, versions = preload([p for p in packages if isinstance(p, str)])
        self._freeze()
        _tell({"type": "ready", "pid": os.getpid(), "preloaded": done, "skipped": skipped, "versions": versions})
        while len(self._spares) < _spares_wanted:
            self._spares.append(self._fork_spare())

    def _fork(self, frame: dict) -> None:
        nonce = frame.get("nonce")
        if not isinstance(nonce, str) or not _nonce.match(nonce) or nonce in self._used:
            raise SystemExit("guest: a fork needs a fresh nonce of 32 hex digits")
        self._used.add(nonce)
        self._freeze()
        order = {"nonce": nonce, "env": frame.get("env") or {}, "cwd": frame.get("cwd") or self._paths.work}
        pid = self._give_to_spare(order)
        if pid is None:
            pid = os.fork()
            if pid == 0:
                child.live(order, self._paths)
        self._live[pid] = nonce
        _tell({"type": "forked", "nonce": nonce, "pid": pid})
        # After the answer: the fork for the next attempt is off the way of this one.
        if len(self._spares) < _spares_wanted:
            self._spares.append(self._fork_spare())

    def _give_to_spare(self, order: dict) -> int | None:
        while self._spares:
            spare = self._spares.pop(0)
            try:
                with os.fdopen(spare.pipe, "wb", buffering=0) as pipe:
                    pipe.write(msgpack.packb(order))
            except BrokenPipeError:
                # Somebody ended it. Reaping tells; the next one takes the order.
                continue
            return spare.pid
        return None

    def _fork_spare(self) -> Spare:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            child.wait_for_order(read, self._paths)
        os.close(read)
        return Spare(pid, write)

    def _end_spares(self) -> None:
        for spare in self._spares:
            # It reads the end of its pipe and goes.
            os.close(spare.pipe)
        self._spares.clear()

    def _freeze(self) -> None:
        if not self._frozen:
            self._frozen = True
            gc.collect()
            gc.freeze()

    def _reap(self) -> None:
        anyone_left = False
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                anyone_left = True
                break
            for spare in [spare for spare in self._spares if spare.pid == pid]:
                os.close(spare.pipe)
                self._spares.remove(spare)
            nonce = self._live.pop(pid, None)
            if nonce is not None:
                _tell(
                    {
                        "type": "exited",
                        "nonce": nonce,
                        "pid": pid,
                        "exit_code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
                        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
                        "cpu_s": round(usage.ru_utime + usage.ru_stime, 6),
                        "max_rss_bytes": usage.ru_maxrss * 1024,
                    }
                )
        if anyone_left:
            orphans.end_strays(self._live, [spare.pid for spare in self._spares])


_ended = object()
_asked_to_end = False


class _ExactReader:
    """Reads one frame and never a byte more: a read-ahead would hand later orders to the children."""

    def __init__(self, fd: int):
        self._fd = fd
        self._data = b""
        self._need = 4

    def next(self):
        """A frame, None while one is incomplete, or `_ended`."""
        chunk = os.read(self._fd, self._need - len(self._data))
        if not chunk:
            return _ended
        self._data += chunk
        if len(self._data) < self._need:
            return None
        if self._need == 4:
            length = struct.unpack(">I", self._data)[0]
            if length > _control_bytes_max:
                raise SystemExit("guest: a control frame is over the limit")
            self._need = 4 + length
            return None if length else {}
        body, self._data, self._need = self._data[4:], b"", 4
        try:
            frame = msgpack.unpackb(body)
        except ValueError:
            frame = None
        if not isinstance(frame, dict):
            raise SystemExit("guest: a control frame must be a map")
        return frame


def _tell(frame: dict) -> None:
    body = msgpack.packb(frame)
    data = struct.pack(">I", len(body)) + body
    while data:
        data = data[os.write(_out, data) :]


def _wake_on_signals() -> int:
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, _ask_to_end)
    return read


def _ask_to_end(_signal, _frame) -> None:
    global _asked_to_end
    _asked_to_end = True


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 512):
            pass
    except BlockingIOError:
        pass


def _read_arguments(arguments: list[str]) -> Paths:
    parser = argparse.ArgumentParser(prog="guest")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--dags-folder", default="")
    parser.add_argument("--work", required=True)
    parser.add_argument("--kind", choices=["task", "parse"], default="task")
    told = parser.parse_args(arguments)
    return Paths(told.socket, os.path.realpath(told.bundle), told.dags_folder, told.work, told.kind)


if sys.version_info < (3, 10):
    raise SystemExit("guest: Python 3.10 or newer is needed")
