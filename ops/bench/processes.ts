/** CPU and memory of a process with all that it started, read from /proc: load of others on the machine does not count. */
import { readdirSync, readFileSync } from "node:fs";

const ticksPerSecond = 100;

type Stat = { readonly pid: number; readonly parent: number; readonly cpuTicks: number };

/**
 * CPU seconds of these processes and their descendants so far, with those descendants that ended and were
 * waited for. Differences of it count; the value itself has no meaning.
 */
export function cpuSecondsOf(roots: readonly number[]): number {
  return treeOf(roots).reduce((sum, { cpuTicks }) => sum + cpuTicks, 0) / ticksPerSecond;
}

/** Proportional set size in MB: shared pages count once among those that share them. */
export function memoryOf(roots: readonly number[]): number {
  return treeOf(roots).reduce((sum, { pid }) => sum + pssKb(pid), 0) / 1024;
}

/** How many processes they are. */
export const processesOf = (roots: readonly number[]): number => treeOf(roots).length;

function treeOf(roots: readonly number[]): Stat[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? []);
  const byParent = Map.groupBy(all, (stat) => stat.parent);
  const found = all.filter(({ pid }) => roots.includes(pid));
  for (const at of found)
    for (const child of byParent.get(at.pid) ?? []) if (!found.includes(child)) found.push(child);
  return found;
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name may hold spaces and brackets: fields count from behind its last bracket.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const field = (n: number): number => Number(fields[n - 3]);
    return { pid, parent: field(4), cpuTicks: field(14) + field(15) + field(16) + field(17) };
  } catch {
    return undefined;
  }
}

function pssKb(pid: number): number {
  try {
    return Number(
      /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0,
    );
  } catch {
    return 0;
  }
}
