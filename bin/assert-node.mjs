// oxlint-disable typescript/no-unsafe-call typescript/no-unsafe-member-access -- no types here
// npm scripts put node_modules/.bin first, so this is the pinned Node, unless install scripts were
// switched off: then npm silently runs the machine's own Node, which cannot run TypeScript.
const wanted = 24;
const major = Number(process.versions.node.split(".")[0]);
if (major < wanted) {
  console.error(
    `Airlock runs on Node ${wanted}; this is Node ${process.version} (${process.execPath}).\n` +
      "The npm package `node` brings it. Install it with its install script:\n" +
      "  npm ci --ignore-scripts=false\n",
  );
  process.exit(1);
}
