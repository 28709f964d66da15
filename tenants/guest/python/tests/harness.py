"""Plays the supervisor for tests: a socket, control frames, and a small house with XComs, variables and connections."""

from __future__ import annotations

import os
import queue
import secrets
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import msgpack

here = os.path.dirname(os.path.abspath(__file__))
main = os.path.join(os.path.dirname(here), "main.py")
lib = os.path.join(os.path.dirname(here), "lib")
if lib not in sys.path:
    sys.path.insert(0, lib)
wait_seconds = 40


class Attempt:
    """What one child said, in order."""

    def __init__(self, nonce: str, first: dict):
        self.nonce = nonce
        self.first = first
        self.pid = 0
        self.frames: list[dict] = []
        self.out = {"stdout": b"", "stderr": b""}
        self.exited: dict | None = None
        self._ends = threading.Semaphore(0)
        self.started = threading.Event()
        self.asked: queue.Queue = queue.Queue()

    def wait(self) -> Attempt:
        for _ in range(4):
            assert self._ends.acquire(timeout=wait_seconds), f"the child did not end: {self.frames} {self.out}"
        return self

    def ended(self) -> None:
        self._ends.release()

    def of(self, kind: str) -> list[dict]:
        return [frame for frame in self.frames if frame.get("type") == kind]

    @property
    def terminal(self) -> dict:
        kinds = ("SucceedTask", "RetryTask", "TaskState", "RescheduleTask", "DeferTask", "DagFileParsingResult")
        found = [frame for frame in self.frames if frame.get("type") in kinds]
        assert len(found) == 1, f"one terminal frame expected: {found}\n{self.log}\n{self.out['stderr'].decode()}"
        return found[0]

    @property
    def log(self) -> str:
        return "\n".join(r["event"] for frame in self.of("Log") for r in frame["records"])


class Supervisor:
    def __init__(self, files: dict[str, str], dags_folder: str = "dags", packages: list[str] | None = None):
        self.folder = tempfile.mkdtemp(prefix="airlock-guest-")
        self.bundle = os.path.join(self.folder, "bundle")
        self.work = os.path.join(self.folder, "work")
        os.makedirs(self.work)
        os.makedirs(self.bundle)
        for path, text in files.items():
            full = os.path.join(self.bundle, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        self.dags_folder = dags_folder
        self.variables: dict[str, str] = {}
        self.connections: dict[str, dict] = {}
        self.xcoms: dict[tuple, object] = {}
        self.lengths: dict[tuple, int] = {}
        self.states: dict = {}
        self.attempts: dict[str, Attempt] = {}
        self.control: list[dict] = []
        self.path = os.path.join(self.folder, "guest.sock")
        self._said = threading.Condition()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self.path)
        self._server.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        self.guest = subprocess.Popen(
            [sys.executable, main, "--socket", self.path, "--bundle", self.bundle, "--dags-folder", dags_folder,
             "--work", self.work, "--kind", "task"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]}, bufsize=0,
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()
        self.tell({"type": "preload", "packages": packages or []})
        self.ready = self.wait_for(lambda f: f["type"] == "ready")

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_exc) -> None:
        self.close()

    def close(self) -> None:
        if self.guest.poll() is None:
            self.guest.stdin.close()
            self.guest.wait(wait_seconds)
        self.guest.stdout.close()
        self._server.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def tell(self, frame: dict) -> None:
        body = msgpack.packb(frame)
        self.guest.stdin.write(struct.pack(">I", len(body)) + body)

    def wait_for(self, wanted):
        limit = time.monotonic() + wait_seconds
        with self._said:
            while True:
                for frame in self.control:
                    if wanted(frame):
                        return frame
                left = limit - time.monotonic()
                assert left > 0, f"the guest did not say it: {self.control}"
                self._said.wait(left)

    def fork(self, first: dict, env: dict | None = None) -> Attempt:
        nonce = secrets.token_hex(16)
        cwd = os.path.join(self.work, nonce)
        os.makedirs(cwd)
        attempt = self.attempts[nonce] = Attempt(nonce, first)
        self.tell({"type": "fork", "nonce": nonce, "env": {"PATH": os.environ["PATH"], **(env or {})}, "cwd": cwd})
        return attempt

    def parse(self, file: str, override: str | None = None) -> dict:
        airlock = {"dags_folder": self.dags_folder, **({"level_override": override} if override else {})}
        first = {"type": "DagFileParseRequest", "file": file, "bundle_path": self.bundle, "bundle_name": "acme/shop",
                 "callback_requests": [], "airlock": airlock}  # fmt: skip
        return self.fork(first).wait().terminal

    def start(self, file: str, dag_id: str, task_id: str, env: dict | None = None, run: dict | None = None, **more) -> Attempt:
        airlock = {
            "attempt": "11111111-1111-4111-8111-111111111111", "fence": 1, "dag_id": dag_id, "task_id": task_id,
            "map_index": -1, "try_number": 1, "max_tries": 0, "dag_file": file, "queue": "default",
            "pool": "default_pool", "priority_weight": 1, "push_length": False, "level": "3",
            "run": {
                "run_id": "r1", "run_type": "scheduled", "logical_date": "2026-11-20T00:00:00+00:00",
                "data_interval_start": "2026-11-20T00:00:00+00:00", "data_interval_end": "2026-11-21T00:00:00+00:00",
                "run_after": "2026-11-21T00:00:00+00:00", "start_date": "2026-11-21T00:00:01+00:00", "conf": {},
                "params": {}, "clear_number": 0, **(run or {}),
            },
            **more,
        }  # fmt: skip
        first = {
            "type": "StartupDetails", "dag_rel_path": file, "bundle_info": {"name": "acme/shop", "version": None},
            "ti": {"id": airlock["attempt"], "dag_id": dag_id, "task_id": task_id, "run_id": "r1", "try_number": 1},
            "start_date": "2026-11-21T00:00:02+00:00", "ti_context": {}, "airlock": airlock,
        }  # fmt: skip
        return self.fork(first, env)

    def run(self, file: str, dag_id: str, task_id: str, **more) -> Attempt:
        return self.start(file, dag_id, task_id, **more).wait()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        hello = _read(connection)
        attempt, role = self.attempts[hello[1]["nonce"]], hello[1]["role"]
        with connection:
            if role != "comms":
                while chunk := connection.recv(65536):
                    attempt.out[role] += chunk
            else:
                self._talk(connection, attempt)
        attempt.ended()

    def _talk(self, connection: socket.socket, attempt: Attempt) -> None:
        _write(connection, [0, attempt.first])
        while (frame := _read(connection)) is not None:
            body = frame[1]
            attempt.frames.append(body)
            if body["type"] == "TaskStarted":
                attempt.started.set()
            if body["type"] in ("Log", "TaskStarted"):
                continue
            try:
                _write(connection, [frame[0], self.answer(body)])
            except BrokenPipeError:
                return

    def answer(self, body: dict):
        kind = body["type"]
        ref = tuple(body.get(name) for name in ("dag_id", "run_id", "task_id", "key"))
        if kind == "GetVariable":
            value = self.variables.get(body["key"])
            return _missing("VARIABLE_NOT_FOUND") if value is None else {"type": "VariableResult", "key": body["key"], "value": value}
        if kind == "PutVariable":
            self.variables[body["key"]] = body["value"]
        if kind == "GetConnection":
            found = self.connections.get(body["conn_id"])
            return _missing("CONNECTION_NOT_FOUND") if found is None else {"type": "ConnectionResult", "conn_id": body["conn_id"], **found}
        if kind == "SetXCom":
            self.xcoms[(*ref, body["map_index"])] = body["value"]
            if "mapped_length" in body:
                self.lengths[ref] = body["mapped_length"]
        if kind == "GetXCom":
            key = (*ref, body["map_index"])
            if key not in self.xcoms:
                return _missing("XCOM_NOT_FOUND")
            return {"type": "XComResult", "key": body["key"], "value": self.xcoms[key]}
        if kind in ("GetXComCount", "GetXComSequenceItem", "GetXComSequenceSlice"):
            values = [v for k, v in sorted(self.xcoms.items(), key=lambda pair: pair[0][4]) if k[:4] == ref]
            if kind == "GetXComCount":
                return {"type": "XComLengthResponse", "len": len(values)}
            if kind == "GetXComSequenceItem":
                return {"type": "XComSequenceIndexResult", "root": values[body["offset"]]}
            return {"type": "XComSequenceSliceResult", "root": values}
        if kind == "GetTaskStates":
            return {"type": "TaskStatesResult", "task_states": self.states}
        if kind == "GetTaskRescheduleStartDate":
            return {"type": "TaskRescheduleStartDate", "start_date": None}
        return {"type": "OKResponse", "ok": True}

    def _listen(self) -> None:
        while (frame := _read_file(self.guest.stdout)) is not None:
            with self._said:
                self.control.append(frame)
                self._said.notify_all()
            attempt = self.attempts.get(frame.get("nonce", ""))
            if attempt is not None and frame["type"] == "forked":
                attempt.pid = frame["pid"]
            if attempt is not None and frame["type"] == "exited":
                attempt.exited = frame
                attempt.ended()


def _missing(code: str) -> dict:
    return {"type": "ErrorResponse", "error": code, "detail": None}


def _write(connection: socket.socket, frame: list) -> None:
    body = msgpack.packb(frame)
    connection.sendall(struct.pack(">I", len(body)) + body)


def _read(connection: socket.socket):
    head = _exactly(connection.recv, 4)
    if head is None:
        return None
    return msgpack.unpackb(_exactly(connection.recv, struct.unpack(">I", head)[0]), timestamp=3)


def _read_file(file):
    try:
        head = _exactly(file.read, 4)
    except ValueError:
        return None
    return None if head is None else msgpack.unpackb(_exactly(file.read, struct.unpack(">I", head)[0]))


def _exactly(read, size: int):
    data = b""
    while len(data) < size:
        try:
            chunk = read(size - len(data))
        except OSError:
            return None
        if not chunk:
            return None
        data += chunk
    return data
