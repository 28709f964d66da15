/**
 * How each driver says a launch as one command line. Three layers, outermost first: `entered` joins the
 * control groups, sets rlimits and drops the uid; `online` makes a network of the allowed addresses; the
 * driver's own part builds the view of the file system and the namespaces.
 */
import { readdirSync, statSync } from "node:fs";
import type { Bind, Launch } from "./launch.ts";

export type Machine = {
  readonly root: boolean;
  /** Top-level folders that are links on this host (`/bin` → `usr/bin`), and those that are not. */
  readonly links: readonly { readonly path: string; readonly target: string }[];
  readonly systemFolders: readonly string[];
  /** Whether memory and processes are limited by control groups; else rlimits have to do. */
  readonly groupMemory: boolean;
  readonly groupProcesses: boolean;
  /** Absolute Python with ctypes, for the drivers that need it to load the system call filter. */
  readonly python?: string;
  readonly filter?: string;
  /** bash where there is one: dash cannot close descriptors above 9. */
  readonly shell: readonly string[];
};

/** uid inside: the same for all, so that nothing inside tells tenants apart. */
const uidInside = "1000";
/** The filter is handed over as this descriptor, the network helper's channel as the next. */
const filterFd = 3;
const channelFd = 4;

/** Threads that this user runs already, with room for those that come and go. */
function processesOfThisUser(): number {
  const uid = process.getuid?.();
  let count = 256;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (statSync(`/proc/${name}`).uid === uid) count += readdirSync(`/proc/${name}/task`).length;
    } catch {
      // It has ended.
    }
  }
  return count;
}

export type Prepared = Launch & {
  /** Folder of this launch alone, for its mount point. */
  readonly scratch: string;
  /** Arguments of the network layer; undefined without egress. */
  readonly online?: { readonly node: string; readonly listen: string; readonly addresses: string };
};

/** As root the uid drops *before* the namespace: a user namespace made by root is uid 0 on the host, whatever it shows inside. */
export function bubblewrapLine(bwrap: string, machine: Machine, launch: Prepared): string[] {
  return [
    ...entered(machine, launch),
    ...online(launch),
    bwrap,
    "--unshare-user",
    "--unshare-pid",
    ...(launch.online === undefined ? ["--unshare-net"] : []),
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--die-with-parent",
    "--new-session",
    ...(launch.first ? ["--as-pid-1"] : []),
    "--uid",
    uidInside,
    "--gid",
    uidInside,
    "--hostname",
    "guest",
    ...machine.systemFolders.flatMap((path) => ["--ro-bind", path, path]),
    ...machine.links.flatMap(({ path, target }) => ["--symlink", target, path]),
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--size",
    String(tmpBytes(launch)),
    "--tmpfs",
    "/tmp",
    ...launch.binds.flatMap(({ from, to, access }) => [
      access === "write" ? "--bind" : "--ro-bind",
      from,
      to,
    ]),
    "--remount-ro",
    "/",
    "--chdir",
    launch.cwd,
    "--cap-drop",
    "ALL",
    "--disable-userns",
    "--clearenv",
    ...Object.entries(launch.env).flatMap(([name, value]) => ["--setenv", name, value]),
    ...(machine.filter === undefined ? [] : ["--seccomp", String(filterFd)]),
    "--",
    ...rationed(machine, launch),
    ...launch.command,
  ];
}

/** The same view built with util-linux alone, for machines without bubblewrap. */
export function namespacesLine(machine: Machine, launch: Prepared): string[] {
  return [
    ...entered(machine, launch),
    ...online(launch),
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "--propagation",
    "private",
    "--pid",
    "--fork",
    "--kill-child=KILL",
    "--ipc",
    "--uts",
    "--cgroup",
    ...(launch.online === undefined ? ["--net"] : []),
    "--",
    "/bin/sh",
    "-c",
    buildRoot,
    "sh",
    launch.scratch,
    String(tmpBytes(launch)),
    ...machine.systemFolders.flatMap((path) => ["read", path, path]),
    ...machine.links.flatMap(({ path, target }) => ["link", target, path]),
    ...launch.binds.flatMap(({ from, to, access }) => [access, from, to]),
    "--",
    launch.cwd,
    "unshare",
    "--user",
    `--map-user=${uidInside}`,
    `--map-group=${uidInside}`,
    "--",
    "setpriv",
    "--no-new-privs",
    "--pdeathsig",
    "KILL",
    "--",
    "env",
    "-i",
    ...Object.entries(launch.env).map(([name, value]) => `${name}=${value}`),
    ...filtered(machine),
    ...rationed(machine, launch),
    ...(launch.first ? [] : ["/bin/sh", "-c", '"$@"; exit $?', "sh"]),
    ...launch.command,
  ];
}

/** No namespaces: dropped privileges, rlimits, an empty environment, and that is all. */
export function plainLine(machine: Machine, launch: Prepared): string[] {
  return [
    ...entered(machine, launch),
    "/bin/sh",
    "-c",
    'cd "$1" && shift && exec "$@"',
    "sh",
    launch.cwd,
    "setpriv",
    "--no-new-privs",
    "--pdeathsig",
    "KILL",
    "--",
    "env",
    "-i",
    ...Object.entries(launch.env).map(([name, value]) => `${name}=${value}`),
    ...filtered(machine),
    ...rationed(machine, launch, machine.root ? 0 : processesOfThisUser()),
    ...launch.command,
  ];
}

/** The groups are joined by the process itself before anything of a tenant runs: nobody can fork out of them. */
function entered(machine: Machine, launch: Prepared): string[] {
  const uid = String(launch.uid);
  return [
    ...machine.shell,
    "-c",
    enter,
    "sh",
    String(launch.limits.openFiles),
    String(launch.limits.fileBytes),
    ...(launch.group?.joinFiles ?? []),
    "--",
    ...(machine.root
      ? ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--inh-caps=-all", "--"]
      : []),
  ];
}

// Descriptors that the house itself inherited end here. A hard limit of this machine that is lower than what
// we ask for stays: `ulimit` then fails, and may.
const enter = `
for fd in /proc/self/fd/*; do
  fd=\${fd##*/}
  case $fd in
    [0-4]) ;;
    [5-9]) eval "exec $fd>&-" ;;
    *) [ -z "$BASH_VERSION" ] || eval "exec $fd>&-" ;;
  esac
done
ulimit -c 0
ulimit -n "$1" 2>/dev/null
unit=512
[ -z "$BASH_VERSION" ] || unit=1024
ulimit -f $((($2 + unit - 1) / unit)) 2>/dev/null
{ echo 900 >/proc/self/oom_score_adj; } 2>/dev/null
umask 022
shift 2
while [ "$1" != -- ]; do
  echo 0 >"$1" || { echo "airlock: cannot join $1" >&2; exit 125; }
  shift
done
shift
exec "$@"`;

function online({ online: wanted }: Prepared): string[] {
  if (wanted === undefined) return [];
  return [
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "--",
    "/bin/sh",
    "-c",
    goOnline,
    "sh",
    wanted.addresses,
    wanted.node,
    helper,
    wanted.listen,
  ];
}

/**
 * In a network of its own, addresses that the tenant may reach are made local, and a helper listens on them and
 * hands the listening sockets to the house, which accepts outside. Nothing else has a route.
 */
const goOnline = `
up() {
  ip link set lo up || return 1
  for address in $1; do ip address add "$address/32" dev lo || return 1; done
}
up "$1" 2>/dev/null || /usr/bin/python3 -I -S -c '
import fcntl, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(s, 0x8914, struct.pack("16sH14s", b"lo", 0x49, b""))
for i, a in enumerate(sys.argv[1].split()):
    fcntl.ioctl(s, 0x8916, struct.pack("16sHH4s8s", b"lo:%d" % (i + 1), 2, 0, socket.inet_aton(a), b""))
' "$1" || { echo "airlock: neither ip (Debian package iproute2) nor python3 could bring the network up" >&2; exit 125; }
"$2" -e "$3" "$4" </dev/null >/dev/null || { echo "airlock: the network helper failed" >&2; exit 125; }
shift 4
unset NODE_CHANNEL_FD NODE_CHANNEL_SERIALIZATION_MODE
exec "$@" ${String(channelFd)}>&-`;

/** Ends after the house has confirmed: two owners of one listening socket would share its connections. */
const helper = `
const rules = JSON.parse(process.argv[1]);
const servers = [];
process.on("message", () => process.exit(0));
process.on("disconnect", () => process.exit(1));
let open = 0;
rules.forEach(([address, port], index) => {
  const server = require("node:net").createServer();
  server.on("error", (error) => { console.error("airlock: " + error.message); process.exit(1); });
  server.listen({ host: address, port, backlog: 128 }, () => {
    process.send({ rule: index }, server, (error) => { if (error) process.exit(1); });
  });
});`;

function filtered(machine: Machine): string[] {
  return machine.filter === undefined || machine.python === undefined
    ? []
    : [machine.python, "-I", "-S", "-c", loadFilter];
}

const loadFilter = `
import ctypes, os, sys
code = os.read(${String(filterFd)}, 65536)
os.close(${String(filterFd)})
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
held = ctypes.create_string_buffer(code, len(code))
program = Program(len(code) // 8, ctypes.cast(held, ctypes.c_void_p))
libc = ctypes.CDLL(None)
libc.prctl(36, 1, 0, 0, 0)  # without a pid namespace orphans come to it all the same
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
    sys.exit("airlock: cannot load the system call filter")
os.execv(sys.argv[1], sys.argv[1:])`;

/**
 * Where no control group counts: per process for memory, and for processes what the kernel counts. Set inside, that
 * is this user namespace alone; without namespaces it is all that the uid runs (`others`) and the limit is rough.
 */
function rationed(machine: Machine, launch: Launch, others = 0): string[] {
  const { processes, memoryBytes } = launch.limits;
  const rations = [
    ...(machine.groupProcesses ? [] : [`--nproc=${both(processes + others)}`]),
    ...(machine.groupMemory ? [] : [`--data=${both(memoryBytes)}`]),
  ];
  return rations.length === 0 ? [] : ["/usr/bin/prlimit", ...rations, "--"];
}

const both = (n: number): string => `${String(n)}:${String(n)}`;

const tmpBytes = (launch: Launch): number =>
  Math.min(launch.limits.memoryBytes, launch.limits.fileBytes);

const buildRoot = `
set -e
root=$1 size=$2
shift 2
mount -t tmpfs -o mode=0755,nosuid,nodev,size=4m airlock "$root"
cd "$root"
mkdir proc dev tmp old
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t tmpfs -o "mode=1777,nosuid,nodev,size=$size" tmp tmp
mount -t tmpfs -o mode=0755,nosuid,size=1m dev dev
for node in null zero full random urandom tty; do
  : >dev/$node
  mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,nosuid,noexec devpts dev/pts 2>/dev/null || :
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o "mode=1777,nosuid,nodev,size=$size" shm dev/shm
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
while [ "$1" != -- ]; do
  kind=$1 from=$2 to=$root$3
  shift 3
  if [ "$kind" = link ]; then
    ln -s "$from" "$to"
    continue
  fi
  if [ -d "$from" ]; then
    mkdir -p "$to"
  else
    mkdir -p "\${to%/*}"
    [ -e "$to" ] || : >"$to"
  fi
  mount --rbind "$from" "$to"
  flags=nosuid,nodev
  [ "$kind" = write ] || flags=ro,nosuid,nodev
  mount -o "remount,bind,$flags" "$to" 2>/dev/null || mount -o "remount,bind,$flags,noexec" "$to"
done
cwd=$2
shift 2
hostname guest 2>/dev/null || :
ip link set lo up 2>/dev/null || :
echo 1 >proc/sys/user/max_user_namespaces
pivot_root . old
umount -l /old
rmdir /old
mount -o remount,bind,ro,nosuid,nodev /
cd "$cwd"
exec "$@"`;

export const readOnly = (path: string): Bind => ({ from: path, to: path, access: "read" });
