/** One file, parsed in a child of its own, with an end to its time and its output. Whatever it does is that file's error. */
import type {
  FileProblem,
  ParsedFile,
  ParseHost,
  ParseRequest,
} from "../../platform/model/guest.ts";
import { isObject } from "../../platform/model/json.ts";
import { plain } from "../sandbox/plain-text.ts";
import { answerLookup, type Reply, RequestProblem, refusal } from "./answer-requests.ts";
import { bytesText, replyFrame } from "./conduct-attempt.ts";
import { FrameCutter, FrameTooLong, frameOf } from "./frames.ts";
import { type Mask, openMask } from "./mask-secrets.ts";
import { parseRequest } from "./start-frames.ts";
import type { Child, ChildExit } from "./warm-guest.ts";

/** What a DAG file may print while it is parsed. */
const parseOutputBytesMax = 1 << 20;
/** A file of 10,000 tasks is about 3 MB. */
const resultBytesMax = 16 << 20;
const wordsKept = 4000;
const killedWaitMs = 2000;

export type ParseFileOptions = {
  readonly child: Child;
  readonly request: ParseRequest;
  readonly file: string;
  readonly host: ParseHost;
  readonly signal: AbortSignal;
  readonly begunAt: number;
};

export async function parseFile(options: ParseFileOptions): Promise<ParsedFile> {
  const { child, request, file, host, signal, begunAt } = options;
  const { key } = request;
  const { bundle } = child;
  const mask = openMask();
  const { promise: said, resolve: say } = Promise.withResolvers<ParsedFile>();
  const cutter = new FrameCutter(resultBytesMax);
  let words = "";
  let printed = 0;
  let asking = Promise.resolve();

  const failed = (message: string, hint: string): void => {
    const traceback = words.trim();
    say({
      ...nothing(file, begunAt),
      errors: [
        {
          message: mask.text(message),
          hint,
          ...(traceback === "" ? {} : { traceback: readable(traceback, mask) }),
        },
      ],
    });
  };
  const onFrame = async (frame: unknown): Promise<void> => {
    const [id, message] = Array.isArray(frame) ? (frame as unknown[]) : [];
    if (typeof id !== "number" || !isObject(message)) throw new RequestProblem("it is no request");
    if (message["type"] === "Log" || message["type"] === "TaskStarted") return;
    if (message["type"] === "DagFileParsingResult") {
      child.comms.write(frameOf([id]));
      say(readResult(message, { file, bundle, mask, begunAt }));
      return;
    }
    let reply: Reply;
    try {
      reply = await answerLookup(message, host, mask);
    } catch (error) {
      reply = refusal(error instanceof Error ? error.message : String(error));
    }
    if (!child.comms.destroyed) child.comms.write(frameOf(replyFrame(id, reply)));
  };
  const answered = async (frame: unknown): Promise<void> => {
    try {
      await onFrame(frame);
    } catch (error) {
      unreadable(error);
    }
  };
  child.comms.on("data", (chunk: Buffer) => {
    try {
      cutter.push(chunk);
      for (let frame = cutter.take(); frame !== undefined; frame = cutter.take()) {
        const whole = frame;
        asking = asking.then(() => answered(whole));
      }
    } catch (error) {
      unreadable(error);
    }
  });
  const unreadable = (error: unknown): void => {
    if (error instanceof FrameTooLong)
      failed(
        `Its DAGs are larger than ${bytesText(resultBytesMax)}.`,
        "Split the file, or create fewer tasks in it.",
      );
    else
      failed(
        "It wrote into the connection to the supervisor.",
        "Do not touch descriptors that the file did not open itself.",
      );
  };
  for (const role of ["stdout", "stderr"] as const)
    void child.output(role).then((socket) => {
      socket?.on("data", (chunk: Buffer) => {
        printed += chunk.length;
        words = (words + chunk.toString("utf8")).slice(-wordsKept);
        if (printed <= parseOutputBytesMax) return;
        socket.pause();
        failed(
          `It printed more than ${bytesText(parseOutputBytesMax)} while it was parsed.`,
          "Print inside tasks, not at the top level of the file.",
        );
      });
      socket?.resume();
    });
  void child.exited.then(async (exit) => {
    // What it sent before its end is in the kernel already.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await asking;
    failed(...wordsForExit(exit, child, request));
  });
  const timer = setTimeout(
    () =>
      failed(
        `It was not parsed after ${String(key.limits.parseSeconds)} s.`,
        "Look for an endless loop or slow work (requests, queries) at the top level; move it into a task.",
      ),
    key.limits.parseSeconds * 1000,
  );
  const onAbort = (): void => failed("Its parse was stopped.", "Push again.");
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  child.comms.write(
    frameOf([0, parseRequest(key, bundle, file, request.dagsFolder, request.levelOverride)]),
  );
  child.comms.resume();
  const result = await said;
  clearTimeout(timer);
  signal.removeEventListener("abort", onAbort);
  void endParse(child);
  return result;
}

/** The answer is there: nothing of the file goes on. */
async function endParse(child: Child): Promise<void> {
  child.kill();
  await Promise.race([
    child.exited,
    new Promise((resolve) => setTimeout(resolve, killedWaitMs).unref()),
  ]);
  await child.release();
}

function wordsForExit(exit: ChildExit, child: Child, { key }: ParseRequest): [string, string] {
  const hits = child.group?.hits() ?? { memory: 0, processes: 0 };
  if (hits.memory > 0)
    return [
      `It needed more memory than the limit of ${bytesText(key.limits.memoryBytes)} while it was parsed.`,
      "Load data inside tasks, not at the top level of the file.",
    ];
  const how = exit.signal === null ? `with exit code ${String(exit.code)}` : `by ${exit.signal}`;
  if (hits.processes > 0)
    return [
      `It started more than ${String(key.limits.processes)} processes while it was parsed, and its process ended ${how}.`,
      "Start processes inside tasks, not at the top level of the file.",
    ];
  return [
    `Its process ended ${how} while it was parsed.`,
    "Look for sys.exit, os._exit or a crashing extension module at the top level of the file.",
  ];
}

type ResultOf = {
  readonly file: string;
  readonly bundle: string;
  readonly mask: Mask;
  readonly begunAt: number;
};

function readResult(
  message: { readonly [k: string]: unknown },
  { file, bundle, mask, begunAt }: ResultOf,
): ParsedFile {
  const dags = message["dags"];
  return {
    path: file,
    dags: Array.isArray(dags) ? dags : [],
    errors: readProblems(message["errors"], mask),
    warnings: readProblems(message["warnings"], mask),
    inputs: readInputs(message, file, bundle),
    packages: texts(message["packages"], 1000).filter((name) =>
      // Python modules and npm packages, nothing that could be read as a path or an option.
      /^@?\w[\w.:-]*(?:\/[\w.-]+)?$/.test(name),
    ),
    ms: performance.now() - begunAt,
  };
}

/** Files that were read, and folders that were listed (with a slash at their end): a file that appears there may change the DAG. */
function readInputs(
  message: { readonly [k: string]: unknown },
  file: string,
  bundle: string,
): readonly string[] {
  const inside = (raw: unknown): readonly string[] =>
    texts(raw, inputsMax)
      .map((path) => (path === bundle ? "." : path))
      .map((path) => (path.startsWith(`${bundle}/`) ? path.slice(bundle.length + 1) : path))
      .filter((path) => !path.startsWith("/") && !path.split("/").includes(".."));
  const { inputs, listed } = message;
  const tooMany = [inputs, listed].some((raw) => Array.isArray(raw) && raw.length > inputsMax);
  return [
    ...new Set([
      file,
      ...inside(inputs),
      ...inside(listed).map((path) =>
        path === "" || path === "." ? "/" : path.replace(/\/?$/, "/"),
      ),
      // What was cut off could be any file.
      ...(tooMany ? ["/"] : []),
    ]),
  ];
}

const inputsMax = 10_000;

function readProblems(raw: unknown, mask: Mask): readonly FileProblem[] {
  if (!Array.isArray(raw)) return [];
  return raw
    .filter(isObject)
    .slice(0, 100)
    .map((problem) => {
      const line = problem["line"];
      const column = problem["column"];
      const { message, hint, traceback } = problem;
      return {
        ...(Number.isSafeInteger(line) ? { line: line as number } : {}),
        ...(Number.isSafeInteger(column) ? { column: column as number } : {}),
        message: sentence(message, mask) ?? "The file could not be parsed.",
        ...(typeof hint === "string" ? { hint: sentence(hint, mask) ?? "" } : {}),
        ...(typeof traceback === "string"
          ? { traceback: readable(traceback.slice(-16_384), mask) }
          : {}),
      };
    });
}

const sentence = (raw: unknown, mask: Mask): string | undefined =>
  typeof raw === "string" && raw !== "" ? readable(raw.slice(0, 4000), mask) : undefined;

const readable = (text: string, mask: Mask): string =>
  mask.text(text).split(/\r?\n/).map(plain).join("\n");

const texts = (raw: unknown, max: number): readonly string[] =>
  Array.isArray(raw)
    ? raw
        .filter((item): item is string => typeof item === "string" && item.length <= 1000)
        .slice(0, max)
    : [];

export const nothing = (file: string, begunAt: number): ParsedFile => ({
  path: file,
  dags: [],
  errors: [],
  warnings: [],
  inputs: [file],
  packages: [],
  ms: performance.now() - begunAt,
});
