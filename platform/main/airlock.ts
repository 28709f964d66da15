/** The `airlock` command: reads the command line, does one deed, tells a problem once, exits as the contract says. */
import { CommanderError } from "commander";
import { buildProgram } from "./build-program.ts";
import { CommandProblem } from "./problem.ts";

process.exitCode = await main(process.argv);

async function main(argv: readonly string[]): Promise<number> {
  // A reader that has seen enough (`| head`) is no problem of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  try {
    await buildProgram().parseAsync([...argv]);
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError)
      return error.exitCode === 0 || error.code === "commander.help" ? error.exitCode && 2 : 2;
    if (error instanceof CommandProblem) {
      process.stderr.write(
        `airlock: ${error.message}\n${error.hint === undefined ? "" : `  → ${error.hint}\n`}`,
      );
      return error.exitCode;
    }
    process.stderr.write(
      `airlock: ${error instanceof Error ? error.message : String(error)}\n${
        process.env["AIRLOCK_LOG_LEVEL"] === "debug" && error instanceof Error
          ? `${error.stack ?? ""}\n`
          : ""
      }`,
    );
    return 1;
  }
}
