/**
 * Whether a tenant's tasks could reach an address: a small program of ours, in the sandbox, with the tenant's uid and
 * egress, that connects and says how far it came. What the other side sends is not looked at and never told.
 */
import type { EgressRule } from "../../platform/model/guest.ts";
import { isObject } from "../../platform/model/json.ts";
import type { ReachAnswer, ReachTarget } from "../../platform/model/reach.ts";
import type { DoorNews } from "../sandbox/egress.ts";
import type { Sandbox } from "../sandbox/open-sandbox.ts";

export type ProbeDeps = {
  readonly sandbox: Pick<Sandbox, "launch" | "node" | "binds" | "root">;
  readonly deadlineMs?: number;
};

const deadlineMsDefault = 5_000;
const saidBytesMax = 4_096;
const memoryBytes = 2 * 1024 ** 3;

export async function probeTarget(
  target: ReachTarget,
  who: { readonly uid: number; readonly egress: readonly EgressRule[] },
  { sandbox, deadlineMs = deadlineMsDefault }: ProbeDeps,
): Promise<ReachAnswer> {
  const begun = performance.now();
  const answer = (outcome: ReachAnswer["outcome"], code?: string): ReachAnswer => ({
    outcome,
    ...(code === undefined || code === "" ? {} : { code }),
    ms: Math.round(performance.now() - begun),
  });
  const isAllowed = who.egress.some(
    ({ host, port }) => port === target.port && host.toLowerCase() === target.host.toLowerCase(),
  );
  const { promise: news, resolve: tell } = Promise.withResolvers<DoorNews["outside"]>();
  const { promise: guest, resolve: hear } = Promise.withResolvers<Said>();
  const node = sandbox.node();
  let boxed: Awaited<ReturnType<Sandbox["launch"]>>;
  try {
    boxed = await sandbox.launch({
      name: "the test of a connection",
      uid: who.uid,
      command: [node, "-e", `(${guestProgram.toString()})(process)`, JSON.stringify(target)],
      binds: node.startsWith("/usr/") ? [] : [{ from: node, to: node, access: "read" }],
      cwd: "/",
      env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" },
      egress: who.egress,
      onDoor: ({ outside }) => tell(outside),
      limits: { memoryBytes, processes: 64, openFiles: 64, fileBytes: 1 },
      first: false,
    });
  } catch {
    return answer("no_sandbox");
  }
  let said = "";
  boxed.stderr.resume();
  boxed.stdout.on("data", (chunk: Buffer) => {
    if (said.length > saidBytesMax) return;
    said += chunk.toString("utf8");
    const line = said.split("\n", 1)[0] ?? "";
    if (said.includes("\n")) hear(readSaid(line));
  });
  void boxed.exited.then(() => setTimeout(() => hear({ step: "gone", code: "" }), 50));
  const timer = setTimeout(() => hear({ step: "timeout", code: "" }), deadlineMs);
  try {
    // Without TLS, that the outside is reached is all there is to know: a server may well say nothing.
    const first = await Promise.race([
      guest,
      news.then((outside) =>
        outside === "reached" ? (target.tls ? guest : ("reached" as const)) : outside,
      ),
    ]);
    if (first === "reached") return answer("reached");
    if (first === "no_address") return answer("no_name");
    if (!("step" in first)) return answer(outcomeOf(first.code), first.code);
    switch (first.step) {
      case "connected":
        return answer("reached");
      case "secured":
        return answer("reached_tls");
      case "tls":
        return answer("tls", first.code);
      case "timeout":
        return answer("timeout");
      case "name":
        return isAllowed ? answer("no_name", first.code) : answer("not_allowed");
      case "connect":
        return isAllowed || !sandbox.binds
          ? answer(outcomeOf(first.code), first.code)
          : answer("not_allowed");
      case "closed":
      case "gone":
        return answer("closed");
    }
  } finally {
    clearTimeout(timer);
    boxed.kill();
  }
}

function outcomeOf(code: string): ReachAnswer["outcome"] {
  if (code === "ECONNREFUSED") return "refused";
  if (code === "ETIMEDOUT") return "timeout";
  return code === "ECONNRESET" ? "closed" : "unreachable";
}

const steps = ["connected", "secured", "tls", "timeout", "name", "connect", "closed"] as const;
type Said = { readonly step: (typeof steps)[number] | "gone"; readonly code: string };

/** The program is ours and where it runs is not: what it says is one of our words, or it said nothing. */
function readSaid(line: string): Said {
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch {
    return { step: "gone", code: "" };
  }
  const step = isObject(raw) ? steps.find((word) => word === raw["step"]) : undefined;
  const code = isObject(raw) ? raw["code"] : undefined;
  return step === undefined
    ? { step: "gone", code: "" }
    : { step, code: typeof code === "string" && /^[A-Z][A-Z0-9_]{0,60}$/.test(code) ? code : "" };
}

/** Runs inside: sent as text, so it may use nothing of this file. */
function guestProgram(inside: NodeJS.Process): void {
  const { lookup } = inside.getBuiltinModule("node:dns");
  const net = inside.getBuiltinModule("node:net");
  const tls = inside.getBuiltinModule("node:tls");
  const {
    host,
    port,
    tls: secure,
  } = JSON.parse(inside.argv[1] ?? "{}") as {
    host: string;
    port: number;
    tls: boolean;
  };
  const say = (step: string, code = ""): void => {
    inside.stdout.write(`${JSON.stringify({ step, code })}\n`, () => inside.exit(0));
  };
  lookup(host, (unknown: NodeJS.ErrnoException | null, address) => {
    if (unknown !== null) {
      say("name", unknown.code);
      return;
    }
    const socket = net.connect({ host: address, port });
    let isConnected = false;
    socket.on("error", (error: NodeJS.ErrnoException) =>
      say(isConnected ? "closed" : "connect", error.code),
    );
    socket.on("connect", () => {
      isConnected = true;
      if (!secure) {
        // The door outside tells whether it came further; without a door this is it.
        socket.on("close", () => say("closed"));
        setTimeout(() => say("connected"), 1_500);
        return;
      }
      const secured = tls.connect({
        socket,
        ...(net.isIP(host) === 0 ? { servername: host } : {}),
      });
      secured.on("secureConnect", () => say("secured"));
      secured.on("error", (error: NodeJS.ErrnoException) => say("tls", error.code));
      secured.on("close", () => say("closed"));
    });
  });
}
