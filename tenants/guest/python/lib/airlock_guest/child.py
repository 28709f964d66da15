"""The first moments of a child: nothing of the zygote stays open, and it becomes one attempt or one parse."""

from __future__ import annotations

import atexit
import gc
import io
import os
import random
import signal
import socket
import struct
import sys
import threading

import msgpack

from airflow._light import channel
from airlock_guest import log_frames, orphans, parse_file, run_task
from airlock_guest.warm_up import touch

_defaults = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM)


def wait_for_order(pipe: int, paths) -> None:
    """A spare child. The end of the pipe without an order means that it is not needed."""
    _let_go(keep=pipe)
    # Touches the pages that an attempt touches: copied now, they are not copied while somebody waits.
    touch(paths.kind)
    data = b""
    while chunk := os.read(pipe, 65536):
        data += chunk
    if not data:
        os._exit(0)
    os.close(pipe)
    _live(msgpack.unpackb(data), paths)


def live(order: dict, paths) -> None:
    """A child forked for this order. Never returns."""
    _let_go(keep=None)
    _live(order, paths)


def _live(order: dict, paths) -> None:
    code = 1
    try:
        _take_place(order)
        comms = _connect(paths, order["nonce"])
        code = _work(comms, paths)
    except run_task.EndedLate:
        code = 0
    except BaseException:
        # The guest's own trouble; an author's is reported in frames. fd 2 is the attempt's by now, or nothing.
        sys.excepthook(*sys.exc_info())
    finally:
        _leave(code)


def _let_go(keep: int | None) -> None:
    """Descriptors and signals of the zygote. First of all standard input: the next order must not be read here."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    _close_all_but(keep)
    signal.set_wakeup_fd(-1)
    for each in _defaults:
        # SIGCHLD above all: ignored, it would make failed subprocesses look successful.
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    os.setsid()


def _take_place(order: dict) -> None:
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "random"):
        numpy.random.seed()
    os.environ.clear()
    os.environ.update({str(k): str(v) for k, v in order["env"].items()})
    os.environ[orphans.nonce_variable] = order["nonce"]
    os.chdir(order["cwd"])
    gc.enable()


def _connect(paths, nonce: str) -> channel.Channel:
    comms = _hello(paths.socket, nonce, "comms")
    for role, fd in (("stdout", 1), ("stderr", 2)):
        connection = _hello(paths.socket, nonce, role)
        os.dup2(connection.fileno(), fd)
        connection.close()
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.__stdout__ = _text_of(1)
    sys.stderr = sys.__stderr__ = _text_of(2)
    return channel.Channel(comms)


def _hello(path: str, nonce: str, role: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    body = msgpack.packb([0, {"type": "Hello", "nonce": nonce, "role": role}])
    connection.sendall(struct.pack(">I", len(body)) + body)
    return connection


def _text_of(fd: int) -> io.TextIOWrapper:
    raw = open(fd, "wb", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _work(comms: channel.Channel, paths) -> int:
    first = comms.read()
    details = first[1] if len(first) > 1 and isinstance(first[1], dict) else {}
    channel.use(comms)
    log_frames.open_log(comms)
    kind = details.get("type")
    if kind == "StartupDetails":
        # The bundle never changes, so what one attempt compiled the next need not. The folder is this guest's alone.
        sys.pycache_prefix = os.path.join(paths.work, ".pycache")
        sys.dont_write_bytecode = False
        return run_task.run(details, paths)
    if kind == "DagFileParseRequest":
        parse_file.parse(details, paths, comms)
        # What a file started at its top must not keep its parse waiting.
        os._exit(0)
    raise ValueError(f"unexpected first frame {kind!r}")


def _leave(code: int) -> None:
    """Ends like a program of its own would: threads joined, exit handlers run, output flushed."""
    try:
        if threading.active_count() > 1:
            threading._shutdown()
        atexit._run_exitfuncs()
    except run_task.EndedLate:
        pass
    except BaseException:
        sys.excepthook(*sys.exc_info())
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 1
    os._exit(code)


def _close_all_but(keep: int | None) -> None:
    try:
        # A Python that was built without close_range would try each of a million descriptors.
        opened = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        opened = list(range(max(os.sysconf("SC_OPEN_MAX"), 1024)))
    for fd in opened:
        if fd > 2 and fd != keep:
            try:
                os.close(fd)
            except OSError:
                continue
