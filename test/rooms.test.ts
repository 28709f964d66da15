import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";
import { keepers, pure, pureAllowed, rooms } from "./rooms.ts";

const root = join(import.meta.dirname, "..");
const roomOf = (path: string): string => path.split("/").slice(0, 2).join("/");

const sources = Object.keys(rooms)
  .filter((room) => existsSync(join(root, room)))
  .flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: "utf8" })
      .filter((file) => /\.tsx?$/.test(file) && !/\.test\.tsx?$|^dist\//.test(file))
      .map((file) => ({
        path: `${room}/${file}`,
        text: readFileSync(join(root, room, file), "utf8"),
      })),
  );

type Import = { readonly target: string; readonly ofTypes: boolean };
const importsOf = (text: string): Import[] =>
  [
    ...text.matchAll(
      /(?:^|\n)\s*(?:import|export)\b([^"';]*?)from\s*"([^"]+)"|import\(\s*"([^"]+)"\s*\)|(?:^|\n)import\s*"([^"]+)"/g,
    ),
  ].map((m) => ({
    target: m[2] ?? m[3] ?? m[4] ?? "",
    ofTypes: /^\s+type\b/.test(m[1] ?? ""),
  }));

const faults = sources.flatMap(({ path, text }) => {
  const room = roomOf(path);
  const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
  const byImport = importsOf(code).flatMap(({ target, ofTypes }) => {
    if (target.startsWith(".")) {
      const other = roomOf(relative(root, join(root, dirname(path), target)));
      return other === room ||
        rooms[room]?.includes(other) ||
        rooms[room]?.includes("*") ||
        (ofTypes && rooms[room]?.includes(`types of ${other}`))
        ? []
        : [`${path} may not import ${other}`];
    }
    if (pure.includes(room))
      return pureAllowed[room]?.includes(target)
        ? []
        : [`${path} is pure and may not import ${target}`];
    const name = target.startsWith("@")
      ? target.split("/").slice(0, 2).join("/")
      : (target.split("/")[0] ?? target);
    const keeper = keepers[name];
    return keeper && !keeper.includes(room) && !rooms[room]?.includes("*")
      ? [`${path} may not import ${name}: it lives in ${keeper.join(", ")}`]
      : [];
  });
  const dice =
    pure.includes(room) &&
    /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bprocess\.|\bfetch\(/.test(code);
  return dice
    ? [...byImport, `${path} is pure and may not read the clock, the dice or the process`]
    : byImport;
});

test("there is something to check", () => expect(sources.length).toBeGreaterThan(5));
test("every import follows the map of rooms", () => expect(faults).toEqual([]));
test("the map itself has no cycle", () => {
  const visit = (room: string, path: string[]): void => {
    expect(path, `cycle: ${[...path, room].join(" -> ")}`).not.toContain(room);
    for (const next of (rooms[room] ?? []).filter((r) => r !== "*")) visit(next, [...path, room]);
  };
  for (const room of Object.keys(rooms)) visit(room, []);
});
