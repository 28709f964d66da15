"""
What hostile code tries. Each probe answers what it got hold of, or None; run inside a guest all of them must answer
None, run without a fence (`python3 probes.py targets.json`) each must succeed, or it would be a probe that cannot fail.
Only the standard library: it runs at parse, in tasks, in a package's build, and beside the house.
"""

import ctypes
import json
import os
import platform
import resource
import socket
import struct
import sys
import tempfile
import time

ARM = platform.machine() == "aarch64"
CANARY = b"siege-canary"
libc = ctypes.CDLL(None, use_errno=True)


def number(x86: int, arm: int) -> int:
    return arm if ARM else x86


def call(name_or_number, *args):
    """A system call's result, −1 for an error; what libc has no wrapper for goes by number."""
    ctypes.set_errno(0)
    if isinstance(name_or_number, str):
        return getattr(libc, name_or_number)(*args)
    return libc.syscall(name_or_number, *args)


def aside(work):
    """In a child, which may break itself: what it got."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            got = work()
            os.write(write, (got or "").encode()[:4000])
        except BaseException:
            pass
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as end:
        got = end.read()
    os.waitpid(child, 0)
    return got.decode() or None


def status_of(key):
    with open("/proc/self/status") as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key + ":")), None)


def pids():
    return [name for name in os.listdir("/proc") if name.isdigit()]


# ---- the platform's secrets


def environ_of_any_process(targets):
    for pid in pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if CANARY in file.read():
                    return f"the house's environment in /proc/{pid}"
        except OSError:
            continue


def own_environment(targets):
    found = [name for name, value in os.environ.items() if CANARY.decode() in value]
    return f"inherited {found}" if found else None


def platform_processes(targets):
    for pid in pids():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read()
        except OSError:
            continue
        if targets["process_mark"].encode() in line:
            return f"saw process {pid}"


def _is_target(pid):
    return os.path.exists(f"/proc/{pid}")


def memory_by_proc(targets):
    for pid in targets["pids"]:
        try:
            with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
                memory.seek(int(maps.readline().split("-")[0], 16))
                if memory.read(16):
                    return f"read the memory of {pid}"
        except (OSError, ValueError, IndexError):
            continue


def memory_by_ptrace(targets):
    for pid in targets["pids"]:
        # SEIZE attaches without stopping it.
        if call("ptrace", 0x4206, pid, 0, 0) == 0:
            call("ptrace", 17, pid, 0, 0)
            return f"traced {pid}"


def memory_by_readv(targets):
    for pid in targets["pids"]:
        try:
            with open(f"/proc/{pid}/maps") as maps:
                start = int(maps.readline().split("-")[0], 16)
        except (OSError, ValueError):
            start = 0x400000
        into = ctypes.create_string_buffer(16)
        local = struct.pack("QQ", ctypes.addressof(into), 16)
        remote = struct.pack("QQ", start, 16)
        got = call(number(310, 270), pid, local, ctypes.c_ulong(1), remote, ctypes.c_ulong(1), ctypes.c_ulong(0))
        if got > 0:
            return f"read the memory of {pid}"


def descriptor_of_another(targets):
    for pid in targets["pids"]:
        if not _is_target(pid):
            continue
        fd = call(434, pid, 0)
        if fd >= 0:
            os.close(fd)
            return f"holds process {pid}"


def signal_another(targets):
    for pid in targets["pids"]:
        try:
            os.kill(pid, 0)
        except OSError:
            continue
        return f"may signal {pid}"


def inherited_descriptors(targets):
    for name in os.listdir("/proc/self/fd"):
        try:
            leads = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if any(leads.startswith(path) for path in targets["closed"]):
            return f"descriptor {name} leads to {leads}"


def root_of_the_first_process(targets):
    for path in targets["shadow"]:
        try:
            with open(path, "rb") as file:
                if file.read(1):
                    return f"read {path}"
        except OSError:
            continue


def _reach(family, where):
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(1)
        one.connect(where)
        return f"connected to {where!r}"


def _any(family, places):
    for where in places:
        try:
            return _reach(family, where)
        except OSError:
            continue


def database_socket(targets):
    return _any(socket.AF_UNIX, targets["unix"])


def loopback(targets):
    return _any(socket.AF_INET, [("127.0.0.1", port) for port in targets["ports"]]) or _any(
        socket.AF_INET6, [("::1", port) for port in targets["ports"]]
    )


def metadata_service(targets):
    return _any(socket.AF_INET, [tuple(where) for where in targets["metadata"]]) or _any(
        socket.AF_INET6, [("fd00:ec2::254", 80)]
    )


def datagrams(targets):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(1)
        for port in targets["udp"]:
            try:
                one.sendto(b"siege", ("127.0.0.1", port))
                if one.recv(16) == b"heard":
                    return f"was answered by port {port}"
            except OSError:
                continue


def raw_packets(targets):
    try:
        socket.socket(17, socket.SOCK_RAW, socket.htons(3)).close()
    except OSError:
        return None
    return "a packet socket"


def virtual_sockets(targets):
    try:
        socket.socket(40, socket.SOCK_STREAM).close()
    except OSError:
        return None
    return "a socket to the hypervisor"


# ---- other tenants


def _readable(paths):
    for path in paths:
        try:
            if os.path.isdir(path):
                os.listdir(path)
            else:
                with open(path, "rb") as file:
                    file.read(1)
        except OSError:
            continue
        return f"read {path}"


def house_files(targets):
    return _readable(targets["house_files"])


def other_tenants_files(targets):
    return _readable(targets["others_files"])


def abstract_sockets(targets):
    return _any(socket.AF_UNIX, ["\0" + name for name in targets["abstract"]])


def shared_memory_files(targets):
    return _readable(targets["shm_files"])


def system_v_memory(targets):
    for key in targets["shm_keys"]:
        if call("shmget", key, 0, 0) >= 0:
            return f"found segment {key}"


def keyrings(targets):
    into = ctypes.c_int(-3)  # the process's own keyring: nothing of anybody else's is touched
    if call(number(248, 217), b"user", b"siege", b"x", 1, into) >= 0:
        return "added a key"


def forged_greeting(targets):
    """A nonce of one's own making, at every socket that the house opened for guests."""
    greeting = bytes.fromhex("9200") + b"\x83\xa4type\xa5Hello\xa5nonce\xd9\x20" + b"0" * 32 + b"\xa4role\xa5comms"
    for path in targets["guest_sockets"]:
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.settimeout(1)
                one.connect(path)
                one.sendall(struct.pack(">I", len(greeting)) + greeting)
                if one.recv(1):
                    return f"was answered at {path}"
        except OSError:
            continue


# ---- files


def write_to_what_is_shared(targets):
    for folder in targets["readonly"]:
        path = os.path.join(folder, f"siege-{os.getpid()}")
        try:
            with open(path, "w") as file:
                file.write("x")
        except OSError:
            continue
        os.unlink(path)
        return f"wrote into {folder}"


def change_what_is_shared(targets):
    for path in targets["readonly_files"]:
        if not os.path.exists(path):
            continue
        try:
            os.chmod(path, os.stat(path).st_mode & 0o7777)
        except OSError:
            try:
                with open(path, "ab"):
                    pass
            except OSError:
                continue
        return f"changed {path}"


def hard_link(targets):
    for path in targets["foreign_files"]:
        for folder in (os.getcwd(), tempfile.gettempdir(), os.path.dirname(path)):
            link = os.path.join(folder, f"siege-link-{os.getpid()}")
            try:
                os.link(path, link)
            except OSError:
                continue
            os.unlink(link)
            return f"linked {path} into {folder}"


def new_privileges(targets):
    return "setuid programs would count" if status_of("NoNewPrivs") == "0" else None


def capabilities(targets):
    held = [key for key in ("CapEff", "CapPrm", "CapInh", "CapAmb") if int(status_of(key) or "0", 16) != 0]
    return f"holds {held}" if held else None


def identity_of_root(targets):
    def work():
        os.setuid(0)
        return "became root" if os.geteuid() == 0 else None

    return aside(work)


def device_nodes(targets):
    path = os.path.join(tempfile.gettempdir(), f"siege-device-{os.getpid()}")
    try:
        os.mknod(path, 0o20600, os.makedev(1, 3))
    except OSError:
        return None
    os.unlink(path)
    return "made a device"


def device_files(targets):
    for path in targets["devices"]:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        except OSError:
            continue
        return f"opened {path}"


# ---- the kernel's surface


def user_namespace(targets):
    return aside(lambda: "a user namespace" if call("unshare", 0x10000000) == 0 else None)


def mount_namespace(targets):
    return aside(lambda: "a mount namespace" if call("unshare", 0x00020000) == 0 else None)


def clone_namespaces(targets):
    """clone3 is not covered by a filter that looks at unshare alone."""
    arguments = struct.pack("11Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
    got = call(435, arguments, len(arguments))
    if got == 0:
        os._exit(0)
    if got > 0:
        os.waitpid(got, 0)
        return "a process in its own user namespace"


def mounts(targets):
    def work():
        place = tempfile.mkdtemp()
        call("unshare", 0x00020000)
        if call("mount", None, b"/", None, 0x44000, None) not in (0, -1):
            return None
        return "mounted" if call("mount", b"x", place.encode(), b"tmpfs", 0, None) == 0 else None

    return aside(work)


def change_root(targets):
    def work():
        os.chroot(tempfile.gettempdir())
        return "changed its root"

    return aside(work)


def new_mount_calls(targets):
    fd = call(number(430, 430), b"tmpfs", 0)
    if fd >= 0:
        os.close(fd)
        return "fsopen"


def bpf(targets):
    attributes = struct.pack("IIII", 2, 4, 4, 1) + bytes(112)
    fd = call(number(321, 280), 0, attributes, len(attributes))
    if fd >= 0:
        os.close(fd)
        return "made a map"


def io_uring(targets):
    fd = call(425, 1, bytes(120))
    if fd >= 0:
        os.close(fd)
        return "made a ring"


def userfaultfd(targets):
    fd = call(number(323, 282), 1)
    if fd >= 0:
        os.close(fd)
        return "holds page faults"


def perf(targets):
    attributes = bytearray(128)
    struct.pack_into("IIQ", attributes, 0, 1, 128, 0)  # software, the processor's clock
    struct.pack_into("Q", attributes, 40, 0x61)  # disabled, without the kernel and the hypervisor
    fd = call(number(298, 241), bytes(attributes), 0, -1, -1, 0)
    if fd >= 0:
        os.close(fd)
        return "watches the processor"


def set_clock(targets):
    now = time.time()
    moment = struct.pack("ll", int(now), int((now % 1) * 1e9))
    return "set the clock" if call("clock_settime", 0, moment) == 0 else None


def sysctl(targets):
    for path in ("/proc/sys/net/ipv4/ip_default_ttl", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness"):
        try:
            with open(path) as file:
                value = file.read()
            with open(path, "w") as file:
                file.write(value)
        except OSError:
            continue
        return f"wrote {path}"


def control_groups(targets):
    for folder in targets["cgroups"]:
        path = os.path.join(folder, f"siege-{os.getpid()}")
        try:
            os.mkdir(path)
        except OSError:
            continue
        os.rmdir(path)
        return f"made {path}"


def crypto_sockets(targets):
    try:
        socket.socket(38, socket.SOCK_SEQPACKET).close()
    except OSError:
        return None
    return "a socket into the kernel's crypto"


def system_call_filter(targets):
    return "no system call filter" if status_of("Seccomp") == "0" else None


def controlling_terminal(targets):
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return None
    return "has somebody's terminal"


def better_priority(targets):
    def work():
        os.setpriority(os.PRIO_PROCESS, 0, -5)
        return "goes before others"

    return aside(work)


def last_to_be_killed(targets):
    def work():
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("-900")
        return "is spared when memory runs out"

    return aside(work)


def higher_limits(targets):
    def work():
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if hard == resource.RLIM_INFINITY:
            return "has no limit on files"
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return "raised its limit"

    return aside(work)


PROBES = [
    environ_of_any_process,
    own_environment,
    platform_processes,
    memory_by_proc,
    memory_by_ptrace,
    memory_by_readv,
    descriptor_of_another,
    signal_another,
    inherited_descriptors,
    root_of_the_first_process,
    database_socket,
    loopback,
    metadata_service,
    datagrams,
    raw_packets,
    virtual_sockets,
    house_files,
    other_tenants_files,
    abstract_sockets,
    shared_memory_files,
    system_v_memory,
    keyrings,
    forged_greeting,
    write_to_what_is_shared,
    change_what_is_shared,
    hard_link,
    new_privileges,
    capabilities,
    identity_of_root,
    device_nodes,
    device_files,
    user_namespace,
    mount_namespace,
    clone_namespaces,
    mounts,
    change_root,
    new_mount_calls,
    bpf,
    io_uring,
    userfaultfd,
    perf,
    set_clock,
    sysctl,
    control_groups,
    crypto_sockets,
    system_call_filter,
    controlling_terminal,
    better_priority,
    last_to_be_killed,
    higher_limits,
]


def run(targets):
    got = {}
    for probe in PROBES:
        try:
            got[probe.__name__] = probe(targets)
        except Exception as error:
            # An attack that broke off got nothing; why is for whoever reads the report.
            got[probe.__name__] = None
            got[probe.__name__ + ":error"] = f"{type(error).__name__}: {error}"[:200]
    return got


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        print(json.dumps(run(json.load(file))))
