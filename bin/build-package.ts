// What `npm pack` publishes: plain JavaScript and types in dist/, laid out as the sources are, so that everything
// that looks for a file beside itself finds it; and the node guest as one folder that needs nothing beside it.
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildPage } from "../platform/main/build-page.ts";
import { bundleGuest } from "../tenants/guest/node/bundle-guest.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const rooms = ["platform", "tenants", "policies", "ops", "migrate"];

rmSync(dist, { recursive: true, force: true });
execFileSync(
  process.execPath,
  [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", join(root, "tsconfig.build.json")],
  {
    stdio: "inherit",
  },
);
// tsc leaves `.ts` in the imports of declarations, and only we know that it means their neighbours.
for (const path of filesBelow(dist, (name) => name.endsWith(".d.ts")))
  writeFileSync(
    path,
    readFileSync(path, "utf8").replaceAll(/(from "\.[^"]*|import\("\.[^"]*)\.ts"/g, '$1.js"'),
  );

const source = /\.tsx?$/;
const left =
  /(?:^|\/)(?:node_modules|__pycache__|tests|test-guest|samples|cases|cron-cases)(?:\/|$)|\.test\.|\.golden\.|airflow-client\.py$|generate\.py$|\.md$/;
for (const room of rooms.filter((name) => existsSync(join(root, name))))
  cpSync(join(root, room), join(dist, room), {
    recursive: true,
    filter: (path) => {
      const inner = path.slice(root.length + 1);
      return inner === "tenants/examples" || inner.startsWith("tenants/examples/")
        ? !/\/(?:node_modules|__pycache__)$/.test(inner)
        : !source.test(inner) && !left.test(inner) && !inner.startsWith("platform/web");
    },
  });

await buildPage((line) => console.error(line));
cpSync(join(root, "platform", "web", "dist"), join(dist, "platform", "web", "dist"), {
  recursive: true,
});
await bundleGuest(join(dist, "guest", "node"));

mkdirSync(join(dist, "schema"), { recursive: true });
copyFileSync(
  join(root, "tenants", "guest", "yaml", "schema", "dag.v1.json"),
  join(dist, "schema", "dag.v1.json"),
);
// Rooms ask two folders up for name and version; and this marks what lies here as modules.
const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly name: string;
  readonly version: string;
};
writeFileSync(
  join(dist, "package.json"),
  `${JSON.stringify({ name, version, type: "module" }, null, 2)}\n`,
);

function filesBelow(folder: string, wanted: (file: string) => boolean): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => wanted(file))
    .map((file) => join(folder, file));
}
