"""The one wire of an attempt or a parse to the supervisor: questions with answers, and words without.

A frame is a 4-byte length and msgpack `[id, body]`; the answer is `[id, body, error]`.
"""

from __future__ import annotations

import signal
import struct
import threading

import msgpack

from airflow._light.exceptions import AirflowRuntimeError

frame_bytes_max = 16 * 1024 * 1024
_held = {signal.SIGALRM, signal.SIGTERM}


class Channel:
    def __init__(self, connection):
        self._connection = connection
        self._lock = threading.RLock()
        self._received = bytearray()
        self._last_id = 0

    def ask(self, body):
        """One question, one answer: its body. ErrorResponse bodies are returned, errors of the house raised."""
        with self._lock:
            asked = self._send(body)
            while True:
                frame = self.read()
                # An answer that nobody waits for any more: a timeout broke off its question.
                if frame[0] == asked:
                    break
        if len(frame) > 2 and frame[2]:
            error = frame[2]
            raise AirflowRuntimeError(error.get("error", "API_SERVER_ERROR"), error.get("detail"))
        return frame[1] if len(frame) > 1 else None

    def tell(self, body):
        with self._lock:
            self._send(body)

    def read(self):
        """The next frame. What was received before a signal broke off the wait is kept."""
        length = struct.unpack(">I", self._exactly(4, consume=False))[0]
        if length > frame_bytes_max:
            raise ConnectionError(f"a frame of {length} bytes is over the limit")
        data = self._exactly(4 + length, consume=True)[4:]
        frame = msgpack.unpackb(data, timestamp=3, strict_map_key=False)
        if not isinstance(frame, list) or not frame:
            raise ConnectionError("a frame must be an array")
        return frame

    def _send(self, body):
        self._last_id += 1
        data = msgpack.packb([self._last_id, body], default=_plain)
        # Half a frame would spoil the wire for the frame that tells how the attempt ended.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _held)
        try:
            self._connection.sendall(struct.pack(">I", len(data)) + data)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return self._last_id

    def _exactly(self, size, consume):
        while len(self._received) < size:
            chunk = self._connection.recv(max(65536, size - len(self._received)))
            if not chunk:
                raise ConnectionError("the supervisor closed the connection")
            self._received += chunk
        data = bytes(self._received[:size])
        if consume:
            del self._received[:size]
        return data


def _plain(value):
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return list(value)
    return str(value)


_current: Channel | None = None


def use(channel: Channel | None) -> None:
    global _current
    _current = channel


def is_open() -> bool:
    return _current is not None


def ask(body: dict):
    if _current is None:
        raise AirflowRuntimeError(
            "NO_SUPERVISOR", f"{body.get('type')} can only be asked inside a run or a parse by Airlock"
        )
    return _current.ask(body)


def tell(body: dict) -> None:
    if _current is not None:
        _current.tell(body)


def is_error(answer, *codes: str) -> bool:
    """True for an ErrorResponse of one of these codes (any code where none is named)."""
    if not isinstance(answer, dict) or answer.get("type") != "ErrorResponse":
        return False
    return not codes or answer.get("error") in codes
