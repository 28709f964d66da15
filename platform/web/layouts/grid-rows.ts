/**
 * Which rows the grid has, which of them are in sight, what is under the pointer, where a key leads. Plain data in,
 * plain data out: the canvas only paints it.
 */

import type { GridStructure as Shape } from "../../api/ui/grid-structure.ts";

export type { Shape };

/** A row stands for the tasks `from` up to before `to`: those of a group lie side by side. */
export type Row = {
  readonly kind: "task" | "group";
  /** Into the shape's tasks or groups. */
  readonly index: number;
  readonly id: string;
  readonly label: string;
  readonly depth: number;
  readonly from: number;
  readonly to: number;
  readonly folded: boolean;
};

/** `words`: only tasks that hold them all in id, name or operator, with the groups around them, whatever is folded. */
export function rowsOf(shape: Shape, folded: ReadonlySet<string>, words = ""): readonly Row[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const spans = spansOf(shape);
  const depths: number[] = [];
  for (const [index, { parent }] of shape.groups.entries())
    depths[index] = parent < 0 ? 0 : (depths[parent] ?? 0) + 1;
  const hits = wanted.length === 0 ? undefined : hitsOf(shape, wanted);
  const rows: Row[] = [];
  // A folded group swallows what is inside: tasks before this one.
  let swallowedTo = 0;
  for (const node of shape.tree) {
    if (node >= 0) {
      const task = shape.tasks[node];
      if (task === undefined || node < swallowedTo || hits?.has(node) === false) continue;
      rows.push({
        kind: "task",
        index: node,
        id: task.id,
        label: task.name ?? shortened(task.id, shape.groups[task.group]?.id),
        depth: task.group < 0 ? 0 : (depths[task.group] ?? 0) + 1,
        from: node,
        to: node + 1,
        folded: false,
      });
      continue;
    }
    const index = -1 - node;
    const group = shape.groups[index];
    const [from, to] = spans[index] ?? [0, 0];
    // An empty group inside a folded one has no task that would tell: its parents do.
    if (group === undefined || (to > from ? from < swallowedTo : isInside(shape, index, folded)))
      continue;
    if (hits !== undefined && !hits.hasIn(from, to)) continue;
    const isFolded = hits === undefined && folded.has(group.id);
    if (isFolded) swallowedTo = Math.max(swallowedTo, to);
    rows.push({
      kind: "group",
      index,
      id: group.id,
      label: shortened(group.id, shape.groups[group.parent]?.id),
      depth: depths[index] ?? 0,
      from,
      to,
      folded: isFolded,
    });
  }
  return rows;
}

function isInside(shape: Shape, group: number, folded: ReadonlySet<string>): boolean {
  let at = shape.groups[group]?.parent ?? -1;
  for (let steps = 0; at >= 0 && steps <= shape.groups.length; steps += 1) {
    const around = shape.groups[at];
    if (around === undefined) return false;
    if (folded.has(around.id)) return true;
    at = around.parent;
  }
  return false;
}

/** `extract.load` inside `extract` is read as `load`. */
const shortened = (id: string, group: string | undefined): string =>
  group !== undefined && id.startsWith(`${group}.`) && id.length > group.length + 1
    ? id.slice(group.length + 1)
    : id;

/** From the first to behind the last task of each group, with those of the groups inside it. */
export function spansOf(shape: Shape): readonly (readonly [number, number])[] {
  const spans: [number, number][] = shape.groups.map(() => [Number.POSITIVE_INFINITY, -1]);
  for (const [task, { group }] of shape.tasks.entries())
    for (let at = group, steps = 0; at >= 0 && steps <= shape.groups.length; steps += 1) {
      const span = spans[at];
      if (span === undefined) break;
      span[0] = Math.min(span[0], task);
      span[1] = Math.max(span[1], task + 1);
      at = shape.groups[at]?.parent ?? -1;
    }
  return spans.map(([from, to]) => (to < 0 ? [0, 0] : [from, to]));
}

function hitsOf(shape: Shape, wanted: readonly string[]) {
  const hits = new Set<number>();
  const upTo = new Uint32Array(shape.tasks.length + 1);
  for (const [at, { id, name, operator }] of shape.tasks.entries()) {
    const text = `${id} ${name ?? ""} ${operator}`.toLowerCase();
    if (wanted.every((word) => text.includes(word))) hits.add(at);
    upTo[at + 1] = hits.size;
  }
  return {
    has: (task: number) => hits.has(task),
    hasIn: (from: number, to: number) => (upTo[to] ?? 0) > (upTo[from] ?? 0),
  };
}

// ---- what is folded, in an address

/** "a,b": these are folded. "*,a": all but these. */
export function readFolded(
  text: string | undefined,
  groups: readonly string[],
): ReadonlySet<string> {
  if (text === undefined || text === "") return new Set();
  const [first, ...rest] = text.split(",");
  if (first !== "*") return new Set(text.split(","));
  const open = new Set(rest);
  return new Set(groups.filter((id) => !open.has(id)));
}

/** The shorter way to say it; undefined: nothing is folded. */
export function writeFolded(
  folded: ReadonlySet<string>,
  groups: readonly string[],
): string | undefined {
  const closed = groups.filter((id) => folded.has(id));
  if (closed.length === 0) return undefined;
  const open = groups.filter((id) => !folded.has(id));
  return closed.length <= open.length ? closed.join(",") : ["*", ...open].join(",");
}

// ---- places

export type Geometry = {
  readonly labels: number;
  readonly head: number;
  readonly row: number;
  readonly column: number;
};

export type View = {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly top: number;
};

export type Window = {
  readonly firstRow: number;
  /** Behind the last one. */
  readonly endRow: number;
  readonly firstColumn: number;
  readonly endColumn: number;
};

const bounded = (value: number, least: number, most: number): number =>
  Math.max(least, Math.min(value, most));

export function windowOf(geometry: Geometry, view: View, rows: number, columns: number): Window {
  const across = Math.max(0, view.width - geometry.labels);
  const down = Math.max(0, view.height - geometry.head);
  const firstRow = bounded(Math.floor(view.top / geometry.row), 0, rows);
  const firstColumn = bounded(Math.floor(view.left / geometry.column), 0, columns);
  return {
    firstRow,
    endRow: bounded(Math.ceil((view.top + down) / geometry.row), firstRow, rows),
    firstColumn,
    endColumn: bounded(Math.ceil((view.left + across) / geometry.column), firstColumn, columns),
  };
}

/** Row −1: the heads of the runs. Column −1: the names of the tasks. */
export type Place = { readonly row: number; readonly column: number };

/** `x`, `y`: from the corner of what is seen. undefined: nothing is there. */
export function hitTest(
  geometry: Geometry,
  view: View,
  rows: number,
  columns: number,
  x: number,
  y: number,
): Place | undefined {
  if (x < 0 || y < 0 || x >= view.width || y >= view.height) return undefined;
  const row = y < geometry.head ? -1 : Math.floor((y - geometry.head + view.top) / geometry.row);
  const column =
    x < geometry.labels ? -1 : Math.floor((x - geometry.labels + view.left) / geometry.column);
  if (row >= rows || column >= columns || (row < 0 && column < 0)) return undefined;
  return { row, column };
}

/** Where a key leads; undefined: it is no key of moving. */
export function moveOf(
  key: string,
  ctrl: boolean,
  at: Place,
  rows: number,
  columns: number,
  page: number,
): Place | undefined {
  const to = (row: number, column: number): Place => {
    const next = { row: bounded(row, -1, rows - 1), column: bounded(column, -1, columns - 1) };
    // There is nothing in the corner.
    return next.row < 0 && next.column < 0
      ? columns > 0 && at.column >= 0
        ? { row: -1, column: 0 }
        : { row: Math.min(0, rows - 1), column: -1 }
      : next;
  };
  switch (key) {
    case "ArrowUp":
      return to(at.row - 1, at.column);
    case "ArrowDown":
      return to(at.row + 1, at.column);
    case "ArrowLeft":
      return to(at.row, at.column - 1);
    case "ArrowRight":
      return to(at.row, at.column + 1);
    case "PageUp":
      return to(Math.max(0, at.row - page), at.column);
    case "PageDown":
      return to(at.row + page, at.column);
    case "Home":
      return ctrl ? to(0, at.column) : to(at.row, 0);
    case "End":
      return ctrl ? to(rows - 1, at.column) : to(at.row, columns - 1);
    default:
      return undefined;
  }
}

/** How far to scroll so that a place is seen whole. */
export function scrollTo(
  geometry: Geometry,
  view: View,
  place: Place,
): { readonly left: number; readonly top: number } {
  const across = Math.max(geometry.column, view.width - geometry.labels);
  const down = Math.max(geometry.row, view.height - geometry.head);
  const into = (scrolled: number, start: number, size: number, room: number): number =>
    start < scrolled ? start : start + size > scrolled + room ? start + size - room : scrolled;
  return {
    left:
      place.column < 0
        ? view.left
        : into(view.left, place.column * geometry.column, geometry.column, across),
    top: place.row < 0 ? view.top : into(view.top, place.row * geometry.row, geometry.row, down),
  };
}
