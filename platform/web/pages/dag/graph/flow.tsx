/** The picture: xyflow draws what was laid out, and keys move along the edges. Loaded when first shown. */
import "@xyflow/react/dist/base.css";
import {
  Background,
  Controls,
  type Edge,
  Handle,
  MarkerType,
  MiniMap,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
} from "@xyflow/react";
import { createContext, type KeyboardEvent, useContext, useEffect, useMemo, useRef } from "react";
import { useTheme } from "../../../frame/theme.ts";
import type { Change, Shown } from "../../../layouts/graph-model.ts";
import { ranksOf } from "../../../layouts/graph-model.ts";
import type { GraphLayout } from "../../../layouts/lay-out-graph.ts";
import { countOf, leadState, listStates, type States } from "../../../layouts/task-sums.ts";
import { StateMark, stateWords } from "../../../parts/state-mark.tsx";

/** What is said of a node, beside its place. */
export type NodeFacts = {
  readonly kind: "task" | "box" | "folded";
  readonly name: string;
  readonly detail: string;
  readonly states: States | undefined;
  readonly change: Change;
  /** Place on the critical path, from 1. */
  readonly critical: number | undefined;
  readonly mapped: boolean;
};

type FlowNode = Node<{ readonly facts: NodeFacts }, "task" | "box">;
type Deeds = {
  /** Where Tab leads to: the selected node, else the first. */
  readonly focused: string | undefined;
  readonly selected: string | undefined;
  readonly onSelect: (node: string) => void;
  readonly onFold: (node: string) => void;
  /** Set while a key moves: the node takes the focus when it is there. */
  readonly wanted: { current: string | undefined };
};
const DeedsContext = createContext<Deeds | undefined>(undefined);
const useDeeds = (): Deeds => {
  const deeds = useContext(DeedsContext);
  if (deeds === undefined) throw new Error("a node outside of its graph");
  return deeds;
};

export default function Flow(props: FlowProps) {
  return (
    <ReactFlowProvider>
      <Inner {...props} />
    </ReactFlowProvider>
  );
}

type FlowProps = {
  readonly shown: Shown;
  readonly layout: GraphLayout;
  /** Of the layout: when another one comes, all of it is shown. */
  readonly layoutKey: string;
  readonly facts: ReadonlyMap<string, NodeFacts>;
  readonly selected: string | undefined;
  readonly onSelect: (node: string | undefined) => void;
  readonly onFold: (group: string) => void;
  readonly isVertical: boolean;
  /** Edges "from\nto" of the critical path. */
  readonly criticalEdges: ReadonlySet<string>;
};

function Inner(props: FlowProps) {
  const { shown, layout, layoutKey, facts, selected, onSelect, onFold, isVertical } = props;
  const flow = useReactFlow();
  const theme = useTheme();
  const wanted = useRef<string | undefined>(undefined);
  const first = useMemo(() => shown.nodes.find(({ kind }) => kind !== "box")?.id, [shown]);
  const focused = selected !== undefined && layout.has(selected) ? selected : first;
  const nodes = useMemo(
    () => toNodes(shown, layout, facts, isVertical),
    [shown, layout, facts, isVertical],
  );
  const edges = useMemo(() => toEdges(shown, props.criticalEdges), [shown, props.criticalEdges]);
  const box = useRef<HTMLDivElement>(null);
  const placed = useRef<string | undefined>(undefined);
  useEffect(() => {
    const isNew = placed.current !== layoutKey;
    placed.current = layoutKey;
    const place = selected === undefined ? undefined : layout.get(selected);
    const size = box.current?.getBoundingClientRect();
    if (place !== undefined && size !== undefined) {
      const { x, y, zoom } = flow.getViewport();
      const left = place.x * zoom + x;
      const top = place.y * zoom + y;
      const isInSight =
        left >= 0 &&
        top >= 0 &&
        left + place.width * zoom <= size.width &&
        top + place.height * zoom <= size.height;
      if (isNew || !isInSight)
        void flow.setCenter(place.x + place.width / 2, place.y + place.height / 2, {
          zoom: isNew ? 0.9 : Math.max(zoom, 0.5),
        });
    } else if (isNew) showFrom(flow, layout, size);
  }, [flow, layoutKey, layout, selected]);
  const deeds = useMemo(
    () => ({ focused, selected, onSelect, onFold, wanted }),
    [focused, selected, onSelect, onFold],
  );
  const onKeyDown = (event: KeyboardEvent): void => {
    if (focused === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && selected !== undefined) {
      onSelect(undefined);
      return;
    }
    const to = nextNode(shown, layout, focused, event.key, isVertical);
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    wanted.current = to;
    onSelect(to);
  };
  return (
    <DeedsContext value={deeds}>
      <div
        ref={box}
        role="group"
        aria-label="Graph of tasks. Arrow keys follow the edges, Space folds a group, Escape lets go."
        className="h-full w-full"
        onKeyDown={onKeyDown}
      >
        <ReactFlow
          nodes={nodes}
          edges={edges}
          nodeTypes={nodeTypes}
          colorMode={theme}
          minZoom={0.05}
          maxZoom={2}
          nodesDraggable={false}
          nodesConnectable={false}
          nodesFocusable={false}
          edgesFocusable={false}
          elementsSelectable={false}
          disableKeyboardA11y
          onlyRenderVisibleElements={nodes.length > 150}
          onPaneClick={() => onSelect(undefined)}
        >
          <Background bgColor="var(--surface)" color="var(--line)" gap={24} />
          <Controls
            showInteractive={false}
            className="overflow-hidden rounded-md border border-line-strong bg-raised [&_svg]:fill-current"
          />
          <MiniMap
            pannable
            zoomable
            ariaLabel="Small map of the graph"
            className="rounded-md border border-line-strong max-sm:hidden"
            bgColor="var(--sunken)"
            maskColor="color-mix(in srgb, var(--page) 55%, transparent)"
            nodeColor={(node) => mapColor(node as FlowNode)}
          />
        </ReactFlow>
      </div>
    </DeedsContext>
  );
}

const readableZoom = 0.55;

/** All of it where it can still be read, else its beginning: a thread of dots tells nothing. */
function showFrom(
  flow: ReturnType<typeof useReactFlow>,
  layout: GraphLayout,
  size: DOMRect | undefined,
): void {
  const places = [...layout.values()];
  const [first] = places.toSorted((a, b) => a.x + a.y - b.x - b.y);
  const width = Math.max(...places.map((place) => place.x + place.width));
  const height = Math.max(...places.map((place) => place.y + place.height));
  if (first === undefined || size === undefined) return;
  if (Math.min(size.width / width, size.height / height) >= readableZoom)
    void flow.fitView({ padding: 0.08, maxZoom: 1 });
  else {
    const zoom = 0.75;
    const along = (at: number, length: number, all: number, room: number): number =>
      all * zoom <= room
        ? (room - all * zoom) / 2
        : Math.min(24, room / 2 - (at + length / 2) * zoom);
    void flow.setViewport({
      x: along(first.x, first.width, width, size.width),
      y: along(first.y, first.height, height, size.height),
      zoom,
    });
  }
}

function toNodes(
  shown: Shown,
  layout: GraphLayout,
  facts: ReadonlyMap<string, NodeFacts>,
  isVertical: boolean,
): FlowNode[] {
  return shown.nodes.flatMap(({ id, kind }): FlowNode[] => {
    const place = layout.get(id);
    const about = facts.get(id);
    if (place === undefined || about === undefined) return [];
    return [
      {
        id,
        type: kind === "box" ? "box" : "task",
        position: { x: place.x, y: place.y },
        width: place.width,
        height: place.height,
        zIndex: kind === "box" ? 0 : 2,
        sourcePosition: isVertical ? Position.Bottom : Position.Right,
        targetPosition: isVertical ? Position.Top : Position.Left,
        data: { facts: about },
      },
    ];
  });
}

const edgeLook: Record<Change, { readonly stroke: string; readonly dash?: string }> = {
  same: { stroke: "var(--line-strong)" },
  added: { stroke: "var(--state-success)" },
  removed: { stroke: "var(--danger)", dash: "6 4" },
  changed: { stroke: "var(--warn)", dash: "2 3" },
};

function toEdges(shown: Shown, critical: ReadonlySet<string>): Edge[] {
  return shown.edges.map(({ from, to, count, change }) => {
    const isCritical = critical.has(`${from}\n${to}`);
    const look = edgeLook[change];
    const stroke = isCritical ? "var(--accent)" : look.stroke;
    return {
      id: `${from}\n${to}`,
      source: from,
      target: to,
      zIndex: 1,
      ...(count > 1 ? { label: `× ${String(count)}` } : {}),
      labelStyle: { fill: "var(--text)", fontSize: 11 },
      labelBgStyle: { fill: "var(--surface)" },
      style: {
        stroke,
        strokeWidth: isCritical ? 3 : change === "same" ? 1.3 : 2,
        ...(look.dash === undefined ? {} : { strokeDasharray: look.dash }),
      },
      markerEnd: { type: MarkerType.ArrowClosed, color: stroke, width: 14, height: 14 },
    };
  });
}

const mapColor = ({ data, type }: FlowNode): string => {
  if (type === "box") return "transparent";
  const { change, states } = data.facts;
  if (change !== "same") return edgeLook[change].stroke;
  const state = states === undefined ? undefined : leadState(states);
  return state === undefined ? "var(--line-strong)" : `var(--state-${state})`;
};

const changeLook: Record<
  Change,
  { readonly border: string; readonly sign: string; readonly word: string }
> = {
  same: { border: "border-line-strong", sign: "", word: "" },
  added: { border: "border-2 border-(--state-success)", sign: "+", word: "added" },
  removed: { border: "border-2 border-dashed border-danger", sign: "−", word: "removed" },
  changed: { border: "border-2 border-dotted border-warn", sign: "~", word: "changed" },
};

function TaskNode({ id, data: { facts }, sourcePosition, targetPosition }: NodeProps<FlowNode>) {
  const { focused, selected, onSelect, onFold, wanted } = useDeeds();
  const isFocused = focused === id;
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!isFocused || wanted.current !== id) return;
    wanted.current = undefined;
    button.current?.focus({ preventScroll: true });
  }, [isFocused, id, wanted]);
  const { name, detail, states, change, critical, kind } = facts;
  const look = changeLook[change];
  const lead = states === undefined ? undefined : leadState(states);
  const isFolded = kind === "folded";
  return (
    <>
      <Handle type="target" position={targetPosition ?? Position.Left} className="opacity-0" />
      <button
        ref={button}
        type="button"
        tabIndex={isFocused ? 0 : -1}
        title={`${name}\n${detail}`}
        onClick={() => onSelect(id)}
        onDoubleClick={() => isFolded && onFold(id)}
        onKeyDown={(event) => {
          if (event.key !== " " || !isFolded) return;
          event.preventDefault();
          onFold(id);
        }}
        className={`relative flex h-full w-full items-center gap-2 overflow-visible rounded-md border pl-2 text-left text-text ${isFolded ? "pr-9" : "pr-2"} ${look.border} ${critical === undefined ? "" : "ring-2 ring-accent ring-offset-1 ring-offset-surface"} ${selected === id ? "bg-accent-soft" : "bg-raised"} ${isFolded || facts.mapped ? "shadow-[3px_3px_0_0_var(--line-strong)]" : ""}`}
      >
        {states !== undefined && (
          <span aria-hidden className="flex">
            <StateMark state={lead} size={18} />
          </span>
        )}
        {isFolded && <span className="sr-only">Folded group </span>}
        <span className="min-w-0 grow">
          <span className="block truncate text-sm leading-4.5 font-medium" dir="auto">
            {name}
          </span>
          <span className="block truncate text-xs leading-4 text-muted" dir="auto">
            {detail}
          </span>
        </span>
        <span className="sr-only">{restOfLabel(facts)}</span>
        {look.sign !== "" && (
          <span
            aria-hidden
            className="absolute -top-2.5 -right-2 flex size-5 items-center justify-center rounded-full border border-line-strong bg-surface text-sm font-bold"
          >
            {look.sign}
          </span>
        )}
        {critical !== undefined && (
          <span
            aria-hidden
            className="absolute -top-2.5 -left-2 flex h-5 min-w-5 items-center justify-center rounded-full bg-accent px-1 text-xs font-bold text-accent-text"
          >
            {critical}
          </span>
        )}
      </button>
      {isFolded && (
        <button
          type="button"
          // By keys Space on the node does the same.
          tabIndex={-1}
          aria-label={`Unfold group ${name}`}
          title="Unfold"
          onClick={() => onFold(id)}
          className="absolute top-1/2 right-1.5 flex size-6 -translate-y-1/2 items-center justify-center rounded border border-line bg-sunken text-muted hover:text-text"
        >
          ▸
        </button>
      )}
      <Handle type="source" position={sourcePosition ?? Position.Right} className="opacity-0" />
    </>
  );
}

/** What is seen of a node by shape and colour, for those who hear it. */
function restOfLabel({ states, change, critical }: NodeFacts): string {
  const told =
    states === undefined
      ? ""
      : listStates(states)
          .map(([state, count]) =>
            countOf(states) === 1 ? stateWords[state] : `${String(count)} ${stateWords[state]}`,
          )
          .join(", ");
  return [
    told,
    changeLook[change].word,
    critical === undefined ? "" : `${String(critical)}. on the critical path`,
  ]
    .filter(Boolean)
    .join(", ");
}

function BoxNode({ id, data: { facts } }: NodeProps<FlowNode>) {
  const { onFold } = useDeeds();
  return (
    <div className="pointer-events-none h-full w-full rounded-lg border border-line-strong bg-sunken/50">
      <button
        type="button"
        onClick={() => onFold(id)}
        aria-label={`Fold group ${facts.name}`}
        title={facts.name}
        className="pointer-events-auto m-0.5 flex max-w-full items-center gap-1 rounded bg-sunken px-1.5 text-xs text-muted hover:text-text"
      >
        <span aria-hidden>▾</span>
        <span className="truncate" dir="auto">
          {facts.name}
        </span>
      </button>
    </div>
  );
}

const nodeTypes = { task: TaskNode, box: BoxNode };

/** Along the edges with the arrows of the direction, across them to the neighbours of the same rank. */
function nextNode(
  shown: Shown,
  layout: GraphLayout,
  from: string,
  key: string,
  isVertical: boolean,
): string | undefined {
  const [up, down, before, after] = isVertical
    ? ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"]
    : ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
  const across = (id: string): number => {
    const place = layout.get(id);
    return place === undefined ? 0 : isVertical ? place.x : place.y;
  };
  const nearest = (ids: readonly string[]): string | undefined =>
    ids.toSorted(
      (a, b) => Math.abs(across(a) - across(from)) - Math.abs(across(b) - across(from)),
    )[0];
  if (key === down)
    return nearest(shown.edges.filter((edge) => edge.from === from).map(({ to }) => to));
  if (key === up)
    return nearest(shown.edges.filter((edge) => edge.to === from).map((edge) => edge.from));
  if (key !== before && key !== after) return undefined;
  const ranks = ranksOf(shown);
  const side = [...ranks]
    .flatMap(([id, rank]) => (rank === ranks.get(from) ? [id] : []))
    .toSorted((a, b) => across(a) - across(b));
  return side[side.indexOf(from) + (key === after ? 1 : -1)];
}
