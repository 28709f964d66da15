import { expect, test } from "vitest";
import { type LayoutAsk, layOutGraph } from "./lay-out-graph.ts";

const node = (id: string, parent: string | null = null, isBox = false) => ({
  id,
  parent,
  isBox,
  width: isBox ? 0 : 100,
  height: isBox ? 0 : 40,
});
const ask: LayoutAsk = {
  direction: "LR",
  nodes: [node("a"), node("b", "box"), node("c", "box"), node("d"), node("box", null, true)],
  edges: [
    { from: "a", to: "b" },
    { from: "b", to: "c" },
    { from: "c", to: "d" },
    { from: "nothing", to: "d" },
  ],
};

test("edges lead onwards, and a box is around what is in it", () => {
  const places = layOutGraph(ask);
  const at = (id: string) =>
    places.get(id) ?? { x: Number.NaN, y: Number.NaN, width: 0, height: 0 };
  for (const { from, to } of ask.edges.slice(0, 3))
    expect(at(from).x + at(from).width).toBeLessThan(at(to).x);
  const box = at("box");
  for (const id of ["b", "c"]) {
    expect(at(id).x).toBeGreaterThan(box.x);
    expect(at(id).y + at(id).height).toBeLessThan(box.y + box.height);
    expect(at(id).x + at(id).width).toBeLessThan(box.x + box.width);
  }
  const down = layOutGraph({ ...ask, direction: "TB" });
  expect(down.get("a")?.y).toBeLessThan(down.get("d")?.y ?? 0);
});

test("very many nodes are placed without their boxes, each once", () => {
  const many = Array.from({ length: 600 }, (_, at) => node(String(at), "box"));
  const places = layOutGraph({
    direction: "LR",
    nodes: [...many, node("box", null, true)],
    edges: many.slice(30).map(({ id }, at) => ({ from: String(at), to: id })),
  });
  expect(places.has("box")).toBe(false);
  expect(new Set([...places.values()].map(({ x, y }) => `${String(x)} ${String(y)}`)).size).toBe(
    600,
  );
});
