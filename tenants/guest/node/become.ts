/**
 * A fork for Node: this process becomes the attempt. It connects three times and puts the sockets where a
 * child's standard output and error would be, so that what subprocesses print arrives as well. Node has no
 * dup2, but the lowest free descriptor is given to the next socket: close 1, connect, and the socket is 1.
 */
import { closeSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { Writable } from "node:stream";
import { frame } from "./frames.ts";
import { Line, writeThrough } from "./line.ts";

/** Held for the life of the process: a collected socket would close the author's standard output. */
const kept: Socket[] = [];

export type Fork = {
  readonly nonce: string;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
};

export async function become(
  socketPath: string,
  fork: Fork,
  onLost: (error: Error) => void,
): Promise<Line> {
  // On top of what the sandbox gave, which is little; without a PATH no task could start a program.
  Object.assign(
    process.env,
    { PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin" },
    fork.env,
  );
  process.chdir(fork.cwd);
  // Subprocesses inherit an empty standard input, not our control channel. (Destroying the stream does not close 0.)
  process.stdin.destroy();
  closeSync(0);
  if (openSync("/dev/null", "r") !== 0) throw new Error("standard input went to somebody else");
  // The first stream of a process makes libuv open a descriptor of its own, so comms comes before 1 and 2.
  const comms = open(socketPath);
  const out = replace(1, socketPath);
  const err = replace(2, socketPath);
  await Promise.all([comms, out, err].map(connected));
  for (const [socket, role] of [
    [comms, "comms"],
    [out, "stdout"],
    [err, "stderr"],
  ] as const)
    writeThrough(descriptor(socket), frame([0, { type: "Hello", nonce: fork.nonce, role }]));
  for (const socket of [out, err]) {
    blocking(socket);
    socket.unref();
    kept.push(socket);
  }
  stage = "attempt";
  const line = new Line(comms, descriptor(comms), onLost);
  comms.resume();
  return line;
}

let stage: "spare" | "attempt" = "spare";

/**
 * Replaces Node's own streams on 1 and 2 before anybody used them. In a spare, standard output is the control
 * channel: what a preloaded package prints must not land there.
 */
export function claimStandardStreams(): void {
  for (const [name, fd] of [
    ["stdout", 1],
    ["stderr", 2],
  ] as const) {
    const stream = new Writable({
      decodeStrings: true,
      write(chunk: Buffer, _encoding, callback) {
        try {
          writeThrough(stage === "attempt" ? fd : 2, chunk);
          callback();
        } catch (error) {
          // Nobody listens any more; the attempt ends for that reason, not because it printed.
          callback(
            error instanceof Error && "code" in error && error.code === "EPIPE"
              ? null
              : asError(error),
          );
        }
      },
    });
    Object.assign(stream, { fd, isTTY: false });
    Object.defineProperty(process, name, { value: stream, configurable: true, enumerable: true });
  }
}

const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error(String(thrown));

function replace(fd: number, path: string): Socket {
  closeSync(fd);
  const socket = open(path);
  if (descriptor(socket) !== fd)
    throw new Error(`descriptor ${fd} went to somebody else than the attempt's stream`);
  return socket;
}

function open(path: string): Socket {
  const socket = connect({ path, allowHalfOpen: true });
  socket.pause();
  return socket;
}

const connected = (socket: Socket): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });

/** Node's handle of a socket: not documented, but the only name its descriptor has. */
type Handle = { readonly fd: number; setBlocking(on: boolean): number };
const handleOf = (socket: Socket): Handle => (socket as unknown as { _handle: Handle })._handle;
const descriptor = (socket: Socket): number => handleOf(socket).fd;
/** A flood of output must pause the author's code, not fill our memory. */
const blocking = (socket: Socket): void => {
  handleOf(socket).setBlocking(true);
};
