/** Which host process is which inside: read from /proc, never believed from the guest. */
import { readFileSync, readlinkSync } from "node:fs";

/** The pids below a launcher that are in a pid namespace of their own; in the plain driver all of them. */
export function pidsInside(launcher: number, namespaced: boolean): readonly number[] {
  const found = descendants(launcher);
  if (!namespaced) return [launcher, ...found];
  const outside = namespaceOf(process.pid);
  return found.filter((pid) => namespaceOf(pid) !== outside);
}

export function hostPidOf(launcher: number, pid: number, namespaced: boolean): number | undefined {
  return pidsInside(launcher, namespaced).find((host) => innermostPid(host) === pid);
}

/**
 * The child of `parent` that calls itself `pid`, in the very namespace of `parent`. Asked again after a move:
 * a pid that was given to somebody else meanwhile fails here.
 */
export function childOf(parent: number, pid: number): number | undefined {
  const namespace = namespaceOf(parent);
  if (namespace === undefined) return undefined;
  // The newest child is last in the kernel's list.
  const children = childrenOf(parent);
  for (let i = children.length - 1; i >= 0; i--) {
    const host = children[i] as number;
    if (innermostPid(host) === pid && namespaceOf(host) === namespace) return host;
  }
  return undefined;
}

export function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, "utf8")
      .split(" ")
      .filter(Boolean)
      .map(Number);
  } catch {
    return [];
  }
}

export function innermostPid(host: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${String(host)}/status`, "utf8");
    const pids = /^NSpid:\s*(.*)$/m.exec(status)?.[1]?.split(/\s+/);
    return pids === undefined ? undefined : Number(pids.at(-1));
  } catch {
    return undefined;
  }
}

/** CPU seconds and peak resident memory of one process, where no control group counts them. */
export function usageOf(host: number): { cpu_s: number; peak_memory_bytes: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${String(host)}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0);
    const status = readFileSync(`/proc/${String(host)}/status`, "utf8");
    const peakKb = Number(/^VmHWM:\s*(\d+)/m.exec(status)?.[1] ?? 0);
    return { cpu_s: ticks / 100, peak_memory_bytes: peakKb * 1024 };
  } catch {
    return undefined;
  }
}

function descendants(pid: number): number[] {
  const found: number[] = [];
  for (let todo = [...childrenOf(pid)]; todo.length > 0; ) {
    const next = todo.pop() as number;
    found.push(next);
    todo = [...todo, ...childrenOf(next)];
  }
  return found;
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${String(pid)}/ns/pid`);
  } catch {
    return undefined;
  }
}
