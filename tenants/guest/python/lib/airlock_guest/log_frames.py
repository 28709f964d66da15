"""`logging` of the attempt becomes `Log` frames, with level and logger."""

from __future__ import annotations

import logging
import os
import sys

from airflow._light import channel
from airlock_guest import author_errors

_event_characters_max = 256 * 1024
_levels = ((logging.CRITICAL, "critical"), (logging.ERROR, "error"), (logging.WARNING, "warning"), (logging.INFO, "info"))


def open_log(comms: channel.Channel) -> None:
    root = logging.getLogger()
    root.handlers[:] = [_FrameHandler(comms)]
    told = os.environ.get("AIRFLOW__LOGGING__LOGGING_LEVEL", "INFO").upper()
    level = getattr(logging, told, None)
    root.setLevel(level if isinstance(level, int) else logging.INFO)


class _FrameHandler(logging.Handler):
    def __init__(self, comms: channel.Channel):
        super().__init__()
        self._comms = comms
        self._pid = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        if os.getpid() != self._pid:
            # A process of multiprocessing: two writers would tear the frames apart.
            sys.stderr.write(f"{record.levelname} {record.name} {record.getMessage()}\n")
            return
        try:
            self._comms.tell({"type": "Log", "records": [_record(record)]})
        except (OSError, ConnectionError):
            # The wire is gone; the supervisor has ended this attempt.
            return


def _record(record: logging.LogRecord) -> dict:
    try:
        event = record.getMessage()
    except Exception:
        event = f"{record.msg!r} % {record.args!r}"
    if record.exc_info and record.exc_info[1] is not None:
        event = f"{event}\n{author_errors.traceback_text(record.exc_info[1])}"
    if len(event) > _event_characters_max:
        event = f"{event[:_event_characters_max]}… ({len(event)} characters)"
    level = next((word for number, word in _levels if record.levelno >= number), "debug")
    return {"at": int(record.created * 1000), "level": level, "logger": record.name, "event": event}
