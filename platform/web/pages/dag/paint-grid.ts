/** Paints what is in sight of the grid. Each state is drawn once, as a small picture, and then copied: 2,000 cells a frame. */
import { absent, stateCodeMax, stateOfCode } from "../../../model/grid-matrix.ts";
import {
  type By,
  type CellRun,
  type Cells,
  codeAt,
  groupCodeAt,
  shadeAt,
  shadeSteps,
} from "../../layouts/grid-cells.ts";
import type { Geometry, Place, Row, View, Window } from "../../layouts/grid-rows.ts";

export type Ink = {
  readonly surface: string;
  readonly sunken: string;
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly focus: string;
  readonly accent: string;
  readonly accentSoft: string;
  readonly warn: string;
  readonly states: readonly string[];
  readonly shades: readonly string[];
  readonly font: string;
};

export function readInk(dark: boolean): Ink {
  const style = getComputedStyle(document.documentElement);
  const get = (name: string): string => style.getPropertyValue(name).trim();
  return {
    surface: get("--surface"),
    sunken: get("--sunken"),
    text: get("--text"),
    muted: get("--muted"),
    line: get("--line"),
    focus: get("--focus"),
    accent: get("--accent"),
    accentSoft: get("--accent-soft"),
    warn: get("--warn"),
    states: Array.from({ length: stateCodeMax + 1 }, (_, code) =>
      get(`--state-${stateOfCode(code) ?? "none"}`),
    ),
    shades: dark
      ? ["#1f4b57", "#2b6a6a", "#7d7a35", "#b07f2a", "#d9663b", "#ff6a63"]
      : ["#cfe5e4", "#8fc4bf", "#e5d58a", "#e3ab4d", "#d9663b", "#b3261e"],
    font: getComputedStyle(document.body).fontFamily,
  };
}

export type Sprites = {
  readonly image: HTMLCanvasElement;
  readonly size: number;
  readonly scale: number;
};
const spriteSize = 14;

/** All states side by side: filled with their colour, told apart by what is cut out of it. */
export function drawSprites(ink: Ink, scale: number): Sprites {
  const image = document.createElement("canvas");
  image.width = Math.ceil(spriteSize * (stateCodeMax + 1) * scale);
  image.height = Math.ceil(spriteSize * scale);
  const c = image.getContext("2d");
  if (c === null) return { image, size: spriteSize, scale };
  c.scale(scale, scale);
  for (let code = 1; code <= stateCodeMax; code += 1) {
    c.save();
    c.translate(code * spriteSize, 0);
    drawState(c, stateOfCode(code) ?? "none", ink.states[code] ?? ink.muted, ink.surface);
    c.restore();
  }
  return { image, size: spriteSize, scale };
}

function drawState(
  c: CanvasRenderingContext2D,
  state: string,
  colour: string,
  paper: string,
): void {
  const box = (): void => {
    c.beginPath();
    c.roundRect(1, 1, 12, 12, 2.5);
  };
  const line = (...points: readonly number[]): void => {
    c.beginPath();
    for (let i = 0; i < points.length; i += 2) {
      const x = points[i] ?? 0;
      const y = points[i + 1] ?? 0;
      if (i === 0) c.moveTo(x, y);
      else c.lineTo(x, y);
    }
    c.stroke();
  };
  c.fillStyle = colour;
  c.strokeStyle = colour;
  c.lineWidth = 1.5;
  c.lineCap = "round";
  const hollow = ["none", "scheduled", "queued", "removed", "skipped"].includes(state);
  box();
  if (hollow) {
    c.beginPath();
    c.roundRect(1.75, 1.75, 10.5, 10.5, 2);
    if (state === "none") c.setLineDash([1.5, 2.5]);
    c.stroke();
    c.setLineDash([]);
  } else c.fill();
  c.strokeStyle = hollow ? colour : paper;
  c.fillStyle = hollow ? colour : paper;
  switch (state) {
    case "failed":
      c.lineWidth = 1.8;
      line(4.5, 4.5, 9.5, 9.5);
      line(9.5, 4.5, 4.5, 9.5);
      break;
    case "upstream_failed":
      line(7, 10, 7, 4.5);
      line(4.5, 6.8, 7, 4.2, 9.5, 6.8);
      break;
    case "running":
      c.beginPath();
      c.moveTo(5, 4);
      c.lineTo(10, 7);
      c.lineTo(5, 10);
      c.fill();
      break;
    case "up_for_retry":
    case "restarting":
      c.beginPath();
      c.arc(7, 7, 2.8, 0.6, Math.PI * 1.7);
      c.stroke();
      break;
    case "up_for_reschedule":
      line(7, 4.4, 7, 7.2, 9, 8.6);
      break;
    case "deferred":
      line(5.4, 4.5, 5.4, 9.5);
      line(8.6, 4.5, 8.6, 9.5);
      break;
    case "queued":
      line(4.5, 5.5, 9.5, 5.5);
      line(4.5, 8.5, 9.5, 8.5);
      break;
    case "scheduled":
      line(7, 4.6, 7, 7.2, 8.8, 8.2);
      break;
    case "skipped":
      line(5, 4.6, 7.4, 7, 5, 9.4);
      line(7.8, 4.6, 10.2, 7, 7.8, 9.4);
      break;
    case "removed":
      line(4.6, 7, 9.4, 7);
      break;
    default:
  }
}

export type Scene = {
  readonly cells: Cells<CellRun>;
  readonly rows: readonly Row[];
  readonly by: By;
  readonly bars: readonly number[];
  readonly marks: readonly boolean[];
  readonly geometry: Geometry;
  readonly ink: Ink;
  readonly sprites: Sprites;
  readonly hover: Place | undefined;
  readonly cursor: Place | undefined;
  /** Has the keyboard. */
  readonly focused: boolean;
  readonly picked: Place | undefined;
  /** Loudest shade by group and run; −2: not looked at yet. */
  readonly groupShades: Int8Array;
};

/** Columns go from the oldest run to the newest; runs are kept the other way. */
export const runOfColumn = (column: number, runs: number): number => runs - 1 - column;

export function paintGrid(
  c: CanvasRenderingContext2D,
  scene: Scene,
  view: View,
  seen: Window,
  scale: number,
): void {
  const { geometry, ink } = scene;
  c.setTransform(scale, 0, 0, scale, 0, 0);
  c.fillStyle = ink.surface;
  c.fillRect(0, 0, view.width, view.height);
  const x = (column: number): number => geometry.labels + column * geometry.column - view.left;
  const y = (row: number): number => geometry.head + row * geometry.row - view.top;
  const bands = (place: Place | undefined, colour: string): void => {
    if (place === undefined) return;
    c.fillStyle = colour;
    if (place.row >= 0) c.fillRect(0, y(place.row), view.width, geometry.row);
    if (place.column >= 0) c.fillRect(x(place.column), 0, geometry.column, view.height);
  };
  bands(scene.picked, ink.accentSoft);
  bands(scene.hover, ink.sunken);

  c.save();
  c.beginPath();
  c.rect(geometry.labels, geometry.head, view.width - geometry.labels, view.height - geometry.head);
  c.clip();
  paintCells(c, scene, seen, x, y);
  outline(c, scene, x, y, false);
  c.restore();

  c.save();
  c.beginPath();
  c.rect(0, geometry.head, geometry.labels, view.height - geometry.head);
  c.clip();
  paintLabels(c, scene, seen, y);
  c.restore();

  c.save();
  c.beginPath();
  c.rect(geometry.labels, 0, view.width - geometry.labels, geometry.head);
  c.clip();
  paintHeads(c, scene, seen, x, view.height);
  outline(c, scene, x, () => 0, true);
  c.restore();

  c.fillStyle = ink.line;
  c.fillRect(0, geometry.head - 1, view.width, 1);
  c.fillRect(geometry.labels - 1, 0, 1, view.height);
}

function paintCells(
  c: CanvasRenderingContext2D,
  scene: Scene,
  seen: Window,
  x: (column: number) => number,
  y: (row: number) => number,
): void {
  const { cells, rows, by, geometry, sprites, ink } = scene;
  const runs = cells.runs.length;
  const dx = Math.round((geometry.column - sprites.size) / 2);
  const dy = Math.round((geometry.row - sprites.size) / 2);
  const source = sprites.size * sprites.scale;
  for (let at = seen.firstRow; at < seen.endRow; at += 1) {
    const row = rows[at];
    if (row === undefined) continue;
    const span = [row.from, row.to] as const;
    const top = y(at) + dy;
    for (let column = seen.firstColumn; column < seen.endColumn; column += 1) {
      const run = runOfColumn(column, runs);
      const code =
        row.kind === "task"
          ? codeAt(cells, row.index, run)
          : groupCodeAt(cells, row.index, span, run);
      if (code === absent) continue;
      const left = x(column) + dx;
      if (by === "state") {
        // An open group's sum is said by its tasks below it: paler.
        if (row.kind === "group" && !row.folded) c.globalAlpha = 0.45;
        c.drawImage(
          sprites.image,
          code * source,
          0,
          source,
          source,
          left,
          top,
          sprites.size,
          sprites.size,
        );
        c.globalAlpha = 1;
        continue;
      }
      const shade = shadeOf(scene, by, row, span, run);
      if (shade < 0) {
        c.strokeStyle = ink.line;
        c.lineWidth = 1;
        c.strokeRect(left + 3.5, top + 3.5, 7, 7);
        continue;
      }
      // Told by size as well as by colour.
      const inset = 3 - Math.round((shade / (shadeSteps - 1)) * 3);
      c.fillStyle = ink.shades[shade] ?? ink.muted;
      c.fillRect(left + inset, top + inset, sprites.size - 2 * inset, sprites.size - 2 * inset);
    }
  }
}

function shadeOf(
  scene: Scene,
  by: "duration" | "wait",
  row: Row,
  span: readonly [number, number],
  run: number,
): number {
  if (row.kind === "task") return shadeAt(scene.cells, by, span, run);
  const at = row.index * scene.cells.runs.length + run;
  const kept = scene.groupShades[at] ?? -2;
  if (kept !== -2) return kept;
  const shade = shadeAt(scene.cells, by, span, run);
  scene.groupShades[at] = shade;
  return shade;
}

function paintLabels(
  c: CanvasRenderingContext2D,
  { rows, geometry, ink, cells }: Scene,
  seen: Window,
  y: (row: number) => number,
): void {
  c.textBaseline = "middle";
  // What a tenant wrote is read from left to right here, whatever marks it holds.
  c.direction = "ltr";
  for (let at = seen.firstRow; at < seen.endRow; at += 1) {
    const row = rows[at];
    if (row === undefined) continue;
    const middle = y(at) + geometry.row / 2;
    let left = 8 + Math.min(row.depth, 8) * 12;
    if (row.kind === "group") {
      c.fillStyle = ink.muted;
      c.beginPath();
      if (row.folded) {
        c.moveTo(left + 1, middle - 4);
        c.lineTo(left + 6, middle);
        c.lineTo(left + 1, middle + 4);
      } else {
        c.moveTo(left - 1, middle - 2);
        c.lineTo(left + 7, middle - 2);
        c.lineTo(left + 3, middle + 3);
      }
      c.fill();
      left += 12;
    }
    const task = row.kind === "task" ? cells.shape.tasks[row.index] : undefined;
    const group = row.kind === "group" ? cells.shape.groups[row.index] : undefined;
    const room = geometry.labels - left - 10;
    c.font = `${row.kind === "group" ? "600" : task?.gone === true ? "italic 400" : "400"} 12px ${ink.font}`;
    c.fillStyle = task?.gone === true ? ink.muted : ink.text;
    const more =
      (row.kind === "group" && row.folded ? ` (${row.to - row.from})` : "") +
      (task?.mapped === true || group?.mapped === true ? " [ ]" : "");
    c.fillText(fitted(c, row.label, more, room), left, middle);
  }
}

const fits = new Map<string, string>();
/** Cut so that it fits, its end kept: names differ there as often as in front. Remembered, since measuring is what costs. */
function fitted(c: CanvasRenderingContext2D, label: string, more: string, room: number): string {
  const key = `${c.font}\n${room}\n${label}\n${more}`;
  const kept = fits.get(key);
  if (kept !== undefined) return kept;
  // Marks that turn the direction of text are no part of what is drawn.
  const clean = label.replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "");
  let text = clean + more;
  if (c.measureText(text).width > room) {
    let least = 1;
    let most = clean.length;
    while (least < most) {
      const half = (least + most + 1) >> 1;
      if (c.measureText(cut(clean, half) + more).width <= room) least = half;
      else most = half - 1;
    }
    text = cut(clean, least) + more;
  }
  if (fits.size > 20_000) fits.clear();
  fits.set(key, text);
  return text;
}
const cut = (text: string, length: number): string =>
  `${text.slice(0, Math.ceil(length * 0.6))}…${text.slice(text.length - Math.floor(length * 0.4))}`;

function paintHeads(
  c: CanvasRenderingContext2D,
  scene: Scene,
  seen: Window,
  x: (column: number) => number,
  height: number,
): void {
  const { cells, geometry, ink, bars, marks } = scene;
  const runs = cells.runs.length;
  const room = geometry.head - 22;
  for (let column = seen.firstColumn; column < seen.endColumn; column += 1) {
    const run = runOfColumn(column, runs);
    const found = cells.runs[run];
    if (found === undefined) continue;
    const bar = Math.max(2, Math.round((bars[run] ?? 0) * room));
    const left = x(column);
    c.fillStyle = stateInk(ink, found.state);
    c.beginPath();
    c.roundRect(left + 3, 6 + room - bar, geometry.column - 6, bar, 2);
    c.fill();
    // Its state by shape as well, below the bar.
    c.drawImage(
      scene.sprites.image,
      codeOf(found.state) * scene.sprites.size * scene.sprites.scale,
      0,
      scene.sprites.size * scene.sprites.scale,
      scene.sprites.size * scene.sprites.scale,
      left + (geometry.column - 11) / 2,
      geometry.head - 14,
      11,
      11,
    );
    if (marks[run] === true) {
      c.fillStyle = ink.warn;
      c.beginPath();
      c.moveTo(left - 4, 1);
      c.lineTo(left + 4, 1);
      c.lineTo(left, 7);
      c.fill();
      c.fillRect(left - 0.5, 1, 1, height);
    }
  }
}

const codeOf = (state: string): number => {
  for (let code = 1; code <= stateCodeMax; code += 1) if (stateOfCode(code) === state) return code;
  return absent;
};
const stateInk = (ink: Ink, state: string): string => ink.states[codeOf(state)] ?? ink.muted;

function outline(
  c: CanvasRenderingContext2D,
  { cursor, focused, geometry, ink }: Scene,
  x: (column: number) => number,
  y: (row: number) => number,
  head: boolean,
): void {
  if (cursor === undefined || !focused || cursor.row < 0 !== head || cursor.column < 0) return;
  c.strokeStyle = ink.focus;
  c.lineWidth = 2;
  c.strokeRect(
    x(cursor.column) + 1,
    y(cursor.row) + 1,
    geometry.column - 2,
    (head ? geometry.head : geometry.row) - 2,
  );
}
