import { text } from "node:stream/consumers";
import { wrongUse } from "./problem.ts";

/** A secret from a person, not shown, or the first line of standard input. Never from an argument: those are seen by everybody on the machine. */
export async function askSecret(prompt: string, twice: boolean): Promise<string> {
  if (!process.stdin.isTTY) {
    const [line = ""] = (await text(process.stdin)).split(/\r?\n/);
    if (line === "")
      throw wrongUse("standard input has no secret", "write it there, or call this in a terminal");
    return line;
  }
  const first = await askHidden(`${prompt}: `);
  if (first === "") throw wrongUse("an empty secret");
  if (twice && (await askHidden("Again: ")) !== first) throw wrongUse("the two are not the same");
  return first;
}

function askHidden(prompt: string): Promise<string> {
  const { stdin } = process;
  process.stderr.write(prompt);
  stdin.setRawMode(true);
  stdin.resume();
  stdin.setEncoding("utf8");
  return new Promise((resolve) => {
    let typed = "";
    const end = (): void => {
      stdin.off("data", hear);
      stdin.setRawMode(false);
      stdin.pause();
      process.stderr.write("\n");
    };
    const hear = (chunk: string): void => {
      for (const key of chunk) {
        if (key === "\u0003") {
          end();
          process.exit(130);
        }
        if (key === "\r" || key === "\n" || key === "\u0004") {
          end();
          return resolve(typed);
        }
        typed = key === "\u007f" || key === "\b" ? typed.slice(0, -1) : typed + key;
      }
    };
    stdin.on("data", hear);
  });
}
