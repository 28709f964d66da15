"""What an attempt leaves behind: processes whose parent has gone come to the zygote, and the zygote ends them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Collection, Mapping

_set_child_subreaper = 36
nonce_variable = "AIRLOCK_ATTEMPT"


def adopt() -> None:
    """As pid 1 of a namespace we are given orphans anyway; elsewhere the kernel is asked for it."""
    if os.getpid() != 1:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_set_child_subreaper, 1, 0, 0, 0)


def end_strays(live: Mapping[int, str], spared: Collection[int]) -> None:
    """Ends every orphan that belongs to no live attempt, and what it started."""
    mine = os.getpid()
    for _round in range(64):
        strays = [
            pid for pid in _children_of(mine)
            if pid not in live and pid not in spared and not _belongs_to(pid, live)
        ]  # fmt: skip
        if not strays:
            return
        # Children of a killed stray come to us in turn: look again until there are none.
        _kill(strays)


def end_all(spared: Collection[int]) -> None:
    mine = os.getpid()
    for _round in range(64):
        found = [pid for pid in _children_of(mine) if pid not in spared]
        if not found:
            return
        _kill(found)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _belongs_to(pid: int, live: Mapping[int, str]) -> bool:
    """A daemon of an attempt that still runs: of its session, or started with its environment."""
    with contextlib.suppress(ProcessLookupError):
        if os.getsid(pid) in live or os.getpgid(pid) in live:
            return True
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read(1 << 20)
        return any(f"{nonce_variable}={nonce}".encode() in environment for nonce in live.values())
    return False


def _children_of(parent: int) -> list[int]:
    try:
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return [pid for pid in _all_pids() if _parent_of(pid) == parent]


def _all_pids() -> list[int]:
    with contextlib.suppress(OSError):
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return []


def _parent_of(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None
