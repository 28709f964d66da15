/** Tasks that are other programs: a shell command, a Python script. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fail, skip } from "../../sdk/outcome.ts";
import type { Operation } from "./catalogue.ts";
import { type Args, argsOf, optionalText, requiredFile, textArg, textMap } from "./read-args.ts";

/** Airflow's BashOperator: this code says "skip me". */
const skipExitCode = 99;
const resultBytesMax = 64 * 1024 * 1024;
const stopGraceMs = 3000;

/**
 * `bash -c command`, in the folder of the DAG file. Its output is what it wrote to `$AIRLOCK_RESULT` as
 * JSON, else the last line it printed. Exit code 99 skips the task, any other but 0 fails it.
 */
export async function runBash(raw: unknown, operation: Operation): Promise<unknown> {
  const args = argsOf(raw);
  const command = textArg(args, "command");
  const { result, lastLine } = await runProgram(
    // bash takes a socket on its standard input for a remote login and would read start-up files.
    [
      ["bash", "--norc", "--noprofile", "-c", command],
      ["sh", "-c", command],
    ],
    args,
    operation,
  );
  return result === undefined ? lastLine : result.value;
}

/**
 * A script of the repository, or code in the DAG file. If it defines `main`, that is called with `args` by
 * name and what it returns is the output; else it runs as it stands, with `args` as JSON on its standard
 * input, and may write JSON to `$AIRLOCK_RESULT`.
 */
export async function runPython(raw: unknown, operation: Operation): Promise<unknown> {
  const args = argsOf(raw);
  const code = optionalText(args, "code");
  const script = optionalText(args, "script");
  if ((code === undefined) === (script === undefined))
    throw new TypeError("a python task has either script or code");
  const inline = join(workFolder(), "inline.py");
  if (code !== undefined) writeFileSync(inline, code);
  const path =
    script === undefined ? inline : requiredFile(operation.root, operation.dagFile, script);
  const { result } = await runProgram(
    [[process.env["AIRLOCK_PYTHON"] ?? "python3", "-c", pythonRunner, path]],
    args,
    operation,
  );
  return result?.value;
}

const pythonRunner = `
import ast, json, os, runpy, sys, traceback
path = sys.argv[1]
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
reason = os.environ.pop("AIRLOCK_REASON")
result = os.environ["AIRLOCK_RESULT"]
try:
    with open(path, "rb") as f:
        tree = ast.parse(f.read(), path)
    has_main = any(isinstance(n, ast.FunctionDef) and n.name == "main" for n in tree.body)
    if has_main:
        args = json.load(sys.stdin)
        space = runpy.run_path(path, run_name="airlock_task")
        value = space["main"](**args)
        if value is not None:
            with open(result, "w") as f:
                json.dump(value, f, allow_nan=False)
    else:
        runpy.run_path(path, run_name="__main__")
except SystemExit:
    raise
except BaseException as e:
    frames = traceback.extract_tb(e.__traceback__)
    own = [i for i, f in enumerate(frames) if f.filename == path]
    tb = e.__traceback__
    for _ in range(own[0] if own else 0):
        tb = tb.tb_next
    traceback.print_exception(type(e), e, tb)
    with open(reason, "w") as f:
        f.write("".join(traceback.format_exception_only(type(e), e)).strip()[-4000:])
    sys.exit(1)
`;

type Ended = {
  readonly result: { readonly value: unknown } | undefined;
  readonly lastLine: string;
};

async function runProgram(
  programs: readonly (readonly string[])[],
  args: Args,
  operation: Operation,
): Promise<Ended> {
  const { context, root, dagFile } = operation;
  const work = workFolder();
  const resultPath = join(work, "result.json");
  const reasonPath = join(work, "reason.txt");
  rmSync(resultPath, { force: true });
  const input = JSON.stringify(
    args["args"] ?? (operation.item === undefined ? {} : { item: operation.item }),
  );
  const env = {
    ...process.env,
    ...factsEnv(operation),
    ...textMap(args, "env"),
    AIRLOCK_RESULT: resultPath,
    AIRLOCK_REASON: reasonPath,
    AIRLOCK_BUNDLE: root,
  };
  const cwd = join(root, dirname(dagFile));
  const ended = await startFirst(programs, env, cwd, input, context.signal);
  if (context.signal.aborted) throw context.signal.reason;
  if (ended.code === skipExitCode) throw skip(`exit code ${skipExitCode}`);
  if (ended.code !== 0) {
    const said = existsSync(reasonPath) ? readFileSync(reasonPath, "utf8") : ended.lastError;
    const how =
      ended.code === null ? `was killed by ${String(ended.signal)}` : `exit code ${ended.code}`;
    throw fail(existsSync(reasonPath) ? said : said === "" ? how : `${how}: ${said}`);
  }
  return { result: resultOf(resultPath), lastLine: ended.lastLine };
}

const factsEnv = ({ start }: Operation): Record<string, string> => ({
  AIRLOCK_DAG_ID: start.dag_id,
  AIRLOCK_TASK_ID: start.task_id,
  AIRLOCK_RUN_ID: start.run.run_id,
  AIRLOCK_LOGICAL_DATE: start.run.logical_date ?? start.run.run_after,
  AIRLOCK_TRY_NUMBER: String(start.try_number),
});

/** A folder of this attempt for what is between us and the program; not among its artifacts. */
function workFolder(): string {
  const folder = join(process.cwd(), ".airlock");
  mkdirSync(folder, { recursive: true });
  return folder;
}

function resultOf(path: string): { readonly value: unknown } | undefined {
  if (!existsSync(path)) return undefined;
  const { size } = statSync(path);
  if (size > resultBytesMax)
    throw new RangeError(
      `$AIRLOCK_RESULT holds ${Math.ceil(size / 1024 / 1024)} MiB, it may hold 64 MiB`,
    );
  const text = readFileSync(path, "utf8");
  if (text.trim() === "") return undefined;
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    throw new TypeError(`$AIRLOCK_RESULT does not hold JSON: ${text.slice(0, 80)}`, {
      cause: error,
    });
  }
}

type Exit = {
  readonly code: number | null;
  readonly signal: string | null;
  readonly lastLine: string;
  readonly lastError: string;
};

/** The first of the programs that exists. What it prints is passed on as it comes. */
async function startFirst(
  [first, ...others]: readonly (readonly string[])[],
  env: NodeJS.ProcessEnv,
  cwd: string,
  input: string,
  signal: AbortSignal,
): Promise<Exit> {
  const [program, ...argv] = first ?? [];
  if (program === undefined) throw new Error("no program to start");
  try {
    return await new Promise<Exit>((resolve, reject) => {
      const child = spawn(program, argv, { env, cwd, stdio: ["pipe", "pipe", "pipe"] });
      const out = passOn(child.stdout, process.stdout);
      const err = passOn(child.stderr, process.stderr);
      let killer: NodeJS.Timeout | undefined;
      const stop = (): void => {
        child.kill("SIGTERM");
        killer = setTimeout(() => child.kill("SIGKILL"), stopGraceMs);
      };
      signal.addEventListener("abort", stop, { once: true });
      child.on("error", reject);
      child.on("exit", (code, killedBy) => {
        signal.removeEventListener("abort", stop);
        clearTimeout(killer);
        const answer = (): void => {
          child.stdout.destroy();
          child.stderr.destroy();
          resolve({ code, signal: killedBy, lastLine: out.last(), lastError: err.last() });
        };
        // A daemon it left behind may hold the pipes open for ever: what is in them arrives at once.
        const late = setTimeout(answer, 500);
        child.on("close", () => {
          clearTimeout(late);
          answer();
        });
      });
      // A program that does not read its input is no error.
      child.stdin.on("error", () => undefined);
      child.stdin.end(input);
    });
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (missing && others.length > 0) return startFirst(others, env, cwd, input, signal);
    if (missing)
      throw new Error(`${program} is not installed where this task runs`, { cause: error });
    throw error;
  }
}

const lineBytesMax = 64 * 1024;

/** Passes a stream on and remembers its last line that is not empty. */
function passOn(from: NodeJS.ReadableStream, to: NodeJS.WritableStream): { last: () => string } {
  let last = "";
  let open = "";
  from.setEncoding("utf8");
  from.on("data", (chunk: string) => {
    to.write(chunk);
    const lines = (open + chunk).split("\n");
    open = (lines.pop() ?? "").slice(-lineBytesMax);
    last = lines.findLast((line) => line.trim() !== "")?.slice(0, lineBytesMax) ?? last;
  });
  return { last: () => (open.trim() === "" ? last : open).trimEnd() };
}
