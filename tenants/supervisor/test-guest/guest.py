"""A guest for tests: speaks the protocol with the standard library alone, and runs whatever code its start frame or file holds."""

import json, os, resource, select, signal, socket, struct, sys, time, traceback

args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
SOCKET, WORK, BUNDLE = args["--socket"], args["--work"], args["--bundle"]


def pack(v):
    if v is None: return b"\xc0"
    if v is True: return b"\xc3"
    if v is False: return b"\xc2"
    if isinstance(v, int):
        if 0 <= v < 128: return bytes([v])
        if -(2**63) <= v < 2**63: return b"\xd3" + struct.pack(">q", v)
        return b"\xcf" + struct.pack(">Q", v)
    if isinstance(v, float): return b"\xcb" + struct.pack(">d", v)
    if isinstance(v, str): b = v.encode("utf-8", "surrogatepass"); return b"\xdb" + struct.pack(">I", len(b)) + b
    if isinstance(v, (list, tuple)): return b"\xdd" + struct.pack(">I", len(v)) + b"".join(map(pack, v))
    if isinstance(v, dict): return b"\xdf" + struct.pack(">I", len(v)) + b"".join(pack(k) + pack(x) for k, x in v.items())
    raise TypeError(type(v))


def unpack(b, i=0):
    t = b[i]; i += 1
    def text(n, i): return b[i : i + n].decode(), i + n
    def seq(n, i):
        out = []
        for _ in range(n):
            v, i = unpack(b, i); out.append(v)
        return out, i
    def mapping(n, i):
        out = {}
        for _ in range(n):
            k, i = unpack(b, i); v, i = unpack(b, i); out[k] = v
        return out, i
    if t < 0x80: return t, i
    if t >= 0xE0: return t - 256, i
    if t < 0x90: return mapping(t & 15, i)
    if t < 0xA0: return seq(t & 15, i)
    if t < 0xC0: return text(t & 31, i)
    if t == 0xC0: return None, i
    if t == 0xC2: return False, i
    if t == 0xC3: return True, i
    if t == 0xCB: return struct.unpack(">d", b[i : i + 8])[0], i + 8
    if t == 0xD2: return struct.unpack(">i", b[i : i + 4])[0], i + 4
    if t == 0xD3: return struct.unpack(">q", b[i : i + 8])[0], i + 8
    if t == 0xD9: return text(b[i], i + 1)
    if t == 0xDA: return text(struct.unpack(">H", b[i : i + 2])[0], i + 2)
    if t == 0xDB: return text(struct.unpack(">I", b[i : i + 4])[0], i + 4)
    if t == 0xDC: return seq(struct.unpack(">H", b[i : i + 2])[0], i + 2)
    if t == 0xDD: return seq(struct.unpack(">I", b[i : i + 4])[0], i + 4)
    if t == 0xDE: return mapping(struct.unpack(">H", b[i : i + 2])[0], i + 2)
    if t == 0xDF: return mapping(struct.unpack(">I", b[i : i + 4])[0], i + 4)
    raise ValueError(hex(t))


def read_exact(fd, n):
    out = b""
    while len(out) < n:
        part = os.read(fd, n - len(out))
        if not part: raise EOFError
        out += part
    return out


def read_frame(fd): return unpack(read_exact(fd, struct.unpack(">I", read_exact(fd, 4))[0]))[0]


def frame(v):
    body = pack(v)
    return struct.pack(">I", len(body)) + body


def control(v): os.write(1, frame(v))


def hello(nonce, role):
    s = socket.socket(socket.AF_UNIX)
    s.connect(SOCKET)
    s.sendall(frame([0, {"type": "Hello", "nonce": nonce, "role": role}]))
    return s


class Failed(Exception): pass


def child(start):
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for name, value in start["env"].items(): os.environ[name] = value
    os.chdir(start["cwd"])
    comms = hello(start["nonce"], "comms")
    for role, fd in (("stdout", 1), ("stderr", 2)):
        with hello(start["nonce"], role) as output: os.dup2(output.fileno(), fd)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    counter = [0]

    def tell(body): comms.sendall(frame([0, body]))
    def ask(body):
        counter[0] += 1
        comms.sendall(frame([counter[0], body]))
        answer = read_frame(comms.fileno()) + [None, None]
        if answer[2]: raise Failed(json.dumps(answer[2]))
        return answer[1]
    first = read_frame(comms.fileno())[1]
    names = dict(tell=tell, ask=ask, comms=comms, frame=frame, pack=pack, hello=hello, nonce=start["nonce"], os=os, sys=sys,
                 time=time, signal=signal, socket=socket, struct=struct, json=json, resource=resource, first=first, SOCKET=SOCKET, BUNDLE=BUNDLE, WORK=WORK)
    if first["type"] == "DagFileParseRequest":
        names["done"] = lambda **kw: ask({"type": "DagFileParsingResult", "dags": [], "errors": [], "warnings": [], "inputs": [first["file"]], "packages": [], **kw})
        exec(compile(open(first["file"]).read(), first["file"], "exec"), names)
        return
    conf = first["airlock"]["run"]["conf"]
    names["conf"] = conf
    names["xcom"] = lambda value, key="return_value", **kw: ask({"type": "SetXCom", "key": key, "value": value, "dag_id": first["ti"]["dag_id"],
        "run_id": first["ti"]["run_id"], "task_id": first["ti"]["task_id"], "map_index": first["ti"]["map_index"], **kw})
    tell({"type": "TaskStarted"})
    try:
        exec(conf["code"], names)
    except Failed as e:
        ask({"type": "RetryTask", "end_date": "2026-01-01T00:00:00Z", "reason": f"Failed: {e}"})
        return
    except MemoryError:
        ask({"type": "RetryTask", "end_date": "2026-01-01T00:00:00Z", "reason": "MemoryError"})
        return
    ask({"type": "SucceedTask", "end_date": "2026-01-01T00:00:00Z", **names.get("result", {})})


def main():
    preload = read_frame(0)
    assert preload["type"] == "preload"
    pids = {}
    control({"type": "ready", "pid": os.getpid(), "preloaded": preload["packages"], "skipped": [], "versions": {}})

    def reap(*_):
        while True:
            try: pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError: return
            if pid == 0: return
            nonce = pids.pop(pid, None)
            if nonce is None: continue
            control({"type": "exited", "nonce": nonce, "pid": pid, "exit_code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
                     "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None, "cpu_s": usage.ru_utime + usage.ru_stime, "max_rss_bytes": usage.ru_maxrss * 1024})

    signal.signal(signal.SIGCHLD, lambda *_: None)
    r, w = os.pipe()
    os.set_blocking(w, False)
    signal.set_wakeup_fd(w)
    while True:
        ready, _, _ = select.select([0, r], [], [])
        if r in ready:
            os.read(r, 4096)
            reap()
        if 0 not in ready: continue
        try: message = read_frame(0)
        except EOFError: os._exit(0)
        if message["type"] == "stop": os._exit(0)
        pid = os.fork()
        if pid == 0:
            code = 0
            try:
                signal.set_wakeup_fd(-1)
                os.close(r), os.close(w)
                child(message)
            except SystemExit as e:
                code = e.code if isinstance(e.code, int) else 1
            except BaseException:
                traceback.print_exc()
                code = 1
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
        pids[pid] = message["nonce"]
        control({"type": "forked", "nonce": message["nonce"], "pid": pid})


main()
