/** `airlock db check`: the invariants, each with the rows that break it. Reads one snapshot of a live system, changes nothing. */
import { join } from "node:path";
import type { Ink } from "../../local/write-findings.ts";
import { findEmbedded } from "../../postgres/embedded.ts";
import { type Checked, checkInvariants } from "../../store/invariants.ts";
import { codeOf, isAway } from "../../store/open.ts";
import { findHome } from "../home.ts";
import { inkFor } from "../ink.ts";
import { type Format, oneLine, printAnswer, tell, write } from "../print-answer.ts";
import { failed, unreachable } from "../problem.ts";

/** Answers whether everything holds. */
export async function dbCheck(format: Format): Promise<boolean> {
  const url = await findDatabase();
  const ink = inkFor(process.stdout);
  let checked: readonly Checked[];
  try {
    checked = await checkInvariants(url, ({ id }) => process.stderr.isTTY && tell(`… ${id}`));
  } catch (error) {
    throw explain(error);
  }
  const ok = checked.every((one) => one.ok);
  if (format !== "table") await printAnswer({ ok, invariants: checked }, format, []);
  else await write(checked.map((one) => draw(one, ink)).join(""));
  return ok;
}

async function findDatabase(): Promise<string> {
  const given = process.env["DATABASE_URL"];
  if (given !== undefined && given !== "") return given;
  const home = findHome();
  const found = await findEmbedded(join(home, "postgres"));
  if (found === undefined)
    throw unreachable(
      `no database runs in ${home}`,
      "start the platform (npm start), or set DATABASE_URL or AIRLOCK_HOME to the one to check",
    );
  return found.url;
}

function explain(error: unknown): unknown {
  const code = codeOf(error);
  if (isAway(error) || code === "ENOTFOUND")
    return unreachable(
      `the database does not answer (${code})`,
      "check DATABASE_URL, and that it runs",
    );
  if (code === "28P01" || code === "28000" || code === "3D000")
    return unreachable(`the database refuses: ${(error as Error).message}`, "check DATABASE_URL");
  if (code === "42P01" || code === "3F000")
    return failed(
      "this database is not, or not yet, one of Airlock's",
      "check DATABASE_URL; a start of this release brings an older one up to date",
    );
  return error;
}

const draw = ({ id, sentence, ok, violations, rows }: Checked, ink: Ink): string =>
  ok
    ? `${ink.green("ok")}        ${id.padEnd(12)}  ${sentence}\n`
    : `${ink.red("violated")}  ${id.padEnd(12)}  ${sentence} ${violations} ${violations === 1 ? "row breaks" : "rows break"} it:\n${rows
        .map((row) => `            ${oneLine(JSON.stringify(row))}\n`)
        .join(
          "",
        )}${violations > rows.length ? `            … and ${violations - rows.length} more\n` : ""}`;
