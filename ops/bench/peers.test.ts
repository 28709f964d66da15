import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { compare, findKit, measurePeer } from "./peers.ts";

const ours = new Map([
  ["three-steps-p50", 10],
  ["three-steps-cpu", 0.02],
  ["fib40", 0.5],
] as const);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "peers-"));
  vi.stubEnv("PEERS_HOME", join(folder, "home"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test("a peer's seconds stand beside ours in our unit, and its CPU is with its Postgres", () => {
  const line = {
    workload: "three-steps",
    version: "1.2",
    runs: 10,
    median_s: 0.09,
    peer_cpu_s_per_run: 0.08,
    postgres_cpu_s_per_run: 0.03,
  };
  expect(compare("temporal", line, ours)).toEqual([
    expect.objectContaining({ name: "three-steps-p50", value: 90, unit: "ms", ours: 10, ratio: 9 }),
    expect.objectContaining({ name: "three-steps-cpu", value: 0.11, ours: 0.02, ratio: 5.5 }),
  ]);
});

test("what a peer did not measure, and what we did not, is not compared", () => {
  expect(compare("hatchet", { workload: "fib40" }, ours)).toEqual([]);
  expect(compare("hatchet", { workload: "deploy", median_s: 3 }, ours)).toEqual([]);
  expect(compare("hatchet", { workload: "line-100x10", median_s: 3 }, ours)).toEqual([]);
});

test.each([
  ["no kit", () => undefined, "holds no run.sh"],
  ["one that may not run", () => writeFileSync(join(folder, "run.sh"), ""), "chmod +x"],
  ["one without a peer", () => putKit(""), "holds no peer"],
])("%s is said, with the way out", (_name, prepare, said) => {
  prepare();
  expect(findKit(folder)).toContain(said);
});

test("each line of a kit is heard, other words are not, and its failure is ours", async () => {
  install("temporal");
  putKit('echo hello; echo "{\\"workload\\":\\"$2\\",\\"of\\":\\"$1\\"}"; exit 3');
  const kit = findKit(folder);
  if (typeof kit === "string") throw new Error(kit);
  expect(kit.installed).toEqual(["temporal"]);
  const heard: unknown[] = [];
  const measured = measurePeer(kit, "temporal", ["fib40"], new AbortController().signal, (line) =>
    heard.push(line),
  );
  await expect(measured).rejects.toThrow("run.sh ended with 3");
  expect(heard).toEqual([{ workload: "fib40", of: "temporal" }]);
});

function putKit(body: string): void {
  writeFileSync(join(folder, "run.sh"), `#!/bin/sh\n${body}\n`);
  chmodSync(join(folder, "run.sh"), 0o755);
}

function install(peer: string): void {
  mkdirSync(join(folder, "home", peer, "bin"), { recursive: true });
}
