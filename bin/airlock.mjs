#!/usr/bin/env node
// Begins under whatever Node the machine has, goes on under the pinned one: npm's package `node`, installed
// beside us. Plain JavaScript, so that an old Node can say what is wrong.
// oxlint-disable typescript/no-unsafe-call typescript/no-unsafe-member-access typescript/no-unsafe-assignment typescript/no-unsafe-argument typescript/no-unsafe-return -- no types here
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module, { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const wanted = 24;
const folder = dirname(dirname(fileURLToPath(import.meta.url)));
// Node refuses to strip types below node_modules, so what is published is built.
const source = join(folder, "platform", "main", "airlock.ts");
const program =
  existsSync(source) && !folder.split(sep).includes("node_modules")
    ? source
    : join(folder, "dist", "platform", "main", "airlock.js");

if (Number(process.versions.node.split(".")[0]) >= wanted) {
  process.argv[1] = program;
  keepCompiled();
  await import(pathToFileURL(program).href);
} else {
  goOnUnder(pinnedNode());
}

/**
 * What was compiled (and, in a checkout, stripped of its types) is kept from one start to the next: half the time
 * to start, and the type stripper's 20 MB are never loaded. In our own folder, never in a shared temporary one: what
 * lies there is run. Where it cannot be written, nothing is kept.
 */
function keepCompiled() {
  try {
    module.enableCompileCache?.(join(folder, "node_modules", ".cache", "airlock"));
  } catch {
    // an older Node, or a read-only folder: slower, not broken
  }
}

function pinnedNode() {
  let path;
  try {
    path = join(
      dirname(createRequire(import.meta.url).resolve("node/package.json")),
      "bin",
      process.platform === "win32" ? "node.exe" : "node",
    );
  } catch {
    path = undefined;
  }
  if (path !== undefined && existsSync(path)) return path;
  console.error(
    `Airlock runs on Node ${wanted}; this is Node ${process.version} (${process.execPath}), and npm's package \`node\`,\n` +
      "which brings the right one, is not installed or its install script did not run. Install it with:\n" +
      "  npm install --ignore-scripts=false     (newer npm asks first: npm install-scripts approve node)\n",
  );
  process.exit(1);
}

function goOnUnder(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  // The terminal sends Ctrl-C to the child as well; whoever ends us by pid means the child.
  const passed = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2", "SIGWINCH", "SIGCONT"];
  for (const signal of passed)
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  child.once("error", (error) => {
    console.error(`${node} cannot be started: ${error.message}`);
    process.exit(1);
  });
  child.once("exit", (code, signal) => {
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  });
}
