/** The command that repeats one task on a laptop, in a checkout of its repository. */
import { quoted } from "../../parts/copy-as.tsx";

export type Repro = {
  readonly path: string;
  readonly dag: string;
  readonly task: string;
  /** JSON text. */
  readonly conf: string;
  readonly logicalDate: string | null;
};

export function reproArgs({ path, dag, task, conf, logicalDate }: Repro): readonly string[] {
  const words = [path, dag];
  return [
    "run",
    // A value that begins like an option must hang on its own.
    ...(task.startsWith("-") ? [`--task=${task}`] : ["--task", task]),
    ...(conf.trim() === "" || conf.trim() === "{}" ? [] : ["--conf", conf.trim()]),
    ...(logicalDate === null ? [] : ["--logical-date", logicalDate]),
    ...(words.some((word) => word.startsWith("-")) ? ["--"] : []),
    ...words,
  ];
}

export const reproCommand = (repro: Repro): string =>
  ["npx", "airlock", ...reproArgs(repro)].map(quoted).join(" ");
