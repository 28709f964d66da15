/**
 * A run as rows of bars. Pure: data, what is asked to be seen, and the present as a number; times are milliseconds
 * from the data's own base. Nothing here knows pixels.
 */

export type GanttData = {
  readonly tasks: readonly string[];
  readonly names: readonly string[];
  /** Places in `tasks`. */
  readonly downstream: readonly (readonly number[])[];
  /** Place in `groups`; −1: in none. */
  readonly group: readonly number[];
  readonly groups: readonly string[];
  readonly parent: readonly number[];
  readonly instances: {
    readonly task: readonly number[];
    readonly map: readonly number[];
    readonly state: readonly (string | null)[];
    readonly try: readonly number[];
    readonly scheduled: readonly (number | null)[];
    readonly started: readonly (number | null)[];
    readonly ended: readonly (number | null)[];
    readonly labels: ReadonlyMap<number, string>;
  };
  readonly attempts: {
    /** Place in `instances`; those of one instance stand together, oldest first. */
    readonly instance: readonly number[];
    readonly try: readonly number[];
    readonly admitted: readonly number[];
    readonly started: readonly (number | null)[];
    readonly ended: readonly (number | null)[];
    readonly start_ms: readonly (number | null)[];
    readonly outcome: readonly (string | null)[];
  };
};

/**
 * waiting: its upstreams are done, it has no slot. queued: it has a slot, no worker. starting: claimed, its own code
 * does not run yet. retry: it failed and waits for its next try.
 */
export type BarKind = "waiting" | "queued" | "starting" | "running" | "retry" | "summary";
export type Bar = {
  readonly kind: BarKind;
  readonly from: number;
  readonly to: number;
  readonly tryNumber: number;
  readonly state: string | null;
  /** It grows with the present. */
  readonly live: boolean;
};

export type GanttRow = {
  readonly key: string;
  readonly kind: "group" | "mapped" | "instance";
  readonly depth: number;
  readonly label: string;
  /** Place in `tasks`; −1: a group. */
  readonly task: number;
  /** Place in `instances`; −1: it stands for several. */
  readonly instance: number;
  readonly state: string | null;
  /** Of what it stands for, the worst first. */
  readonly counts: readonly (readonly [state: string | null, count: number])[];
  readonly bars: readonly Bar[];
  readonly from: number | null;
  readonly to: number | null;
  readonly isOpen: boolean;
  readonly isCritical: boolean;
};

export type GanttView = {
  /** Keys of rows that are unfolded; "all". */
  readonly open: ReadonlySet<string> | "all";
  readonly sort: "start" | "topology";
  readonly states: ReadonlySet<string>;
  readonly text: string;
};

export type GanttIndex = {
  readonly data: GanttData;
  readonly upstream: readonly (readonly number[])[];
  readonly order: readonly number[];
  readonly instancesOf: readonly (readonly number[])[];
  /** First attempt of each instance, and how many. */
  readonly attemptsOf: ReadonlyMap<number, readonly [first: number, count: number]>;
};

/** What depends on the data alone. */
export function indexGantt(data: GanttData): GanttIndex {
  const upstream: number[][] = data.tasks.map(() => []);
  for (const [from, tos] of data.downstream.entries())
    for (const to of tos) upstream[to]?.push(from);
  const instancesOf: number[][] = data.tasks.map(() => []);
  for (const [place, task] of data.instances.task.entries()) instancesOf[task]?.push(place);
  const attemptsOf = new Map<number, readonly [number, number]>();
  for (const [at, instance] of data.attempts.instance.entries()) {
    const [first = at, count = 0] = attemptsOf.get(instance) ?? [];
    attemptsOf.set(instance, [first, count + 1]);
  }
  return { data, upstream, order: topology(data.downstream, upstream), instancesOf, attemptsOf };
}

/** Each task's place in an order in which nothing comes before what it needs. */
function topology(
  downstream: readonly (readonly number[])[],
  upstream: readonly (readonly number[])[],
): readonly number[] {
  const open = upstream.map((ups) => ups.length);
  const ready = open.flatMap((count, task) => (count === 0 ? [task] : []));
  const order = upstream.map(() => Number.MAX_SAFE_INTEGER);
  for (let at = 0; at < ready.length; at += 1) {
    const task = ready[at] as number;
    order[task] = at;
    for (const next of downstream[task] ?? []) {
      const left = (open[next] ?? 0) - 1;
      open[next] = left;
      if (left === 0) ready.push(next);
    }
  }
  return order;
}

export type GanttLayout = {
  readonly rows: readonly GanttRow[];
  readonly from: number;
  readonly to: number;
  /** Places in `instances`, last first: each one's end let the next begin. */
  readonly critical: readonly number[];
  readonly isLive: boolean;
};

export function layoutGantt(index: GanttIndex, view: GanttView, now: number): GanttLayout {
  const { data } = index;
  const critical = criticalPath(index, now);
  const criticalSet = new Set(critical);
  const isFiltered = view.states.size > 0 || view.text !== "";
  const wanted = view.text.toLowerCase();
  const keep = (place: number): boolean => {
    const { state, task, labels, map } = data.instances;
    const own = state[place] ?? "none";
    if (view.states.size > 0 && !view.states.has(own)) return false;
    if (wanted === "") return true;
    const at = task[place] ?? -1;
    return [data.tasks[at], data.names[at], labels.get(place), `[${String(map[place])}]`].some(
      (name) => name?.toLowerCase().includes(wanted),
    );
  };
  const isOpen = (key: string): boolean => isFiltered || view.open === "all" || view.open.has(key);

  type Node = { rows: () => GanttRow[]; from: number; order: number };
  const build = { index, now, criticalSet, isOpen, sort: view.sort };
  const taskNode = (task: number, depth: number): Node | undefined => {
    const all = index.instancesOf[task] ?? [];
    const places = isFiltered ? all.filter(keep) : all;
    if (places.length === 0) return undefined;
    return {
      rows: () => taskRows(build, task, places, depth),
      from: earliest(index, places),
      order: index.order[task] ?? 0,
    };
  };
  const tasksIn = Map.groupBy(
    data.tasks.map((_, task) => task),
    (task) => data.group[task] ?? -1,
  );
  const groupsIn = Map.groupBy(
    data.groups.map((_, group) => group),
    (group) => data.parent[group] ?? -1,
  );
  const membersOf = (group: number): number[] => [
    ...(tasksIn.get(group) ?? []),
    ...(groupsIn.get(group) ?? []).flatMap(membersOf),
  ];
  const inside = (group: number, depth: number): Node[] => [
    ...(tasksIn.get(group) ?? []).flatMap((task) => taskNode(task, depth) ?? []),
    ...(groupsIn.get(group) ?? []).flatMap((child) => groupNode(child, depth) ?? []),
  ];
  const groupNode = (group: number, depth: number): Node | undefined => {
    const members = membersOf(group);
    const places = members
      .flatMap((task) => index.instancesOf[task] ?? [])
      .filter((place) => !isFiltered || keep(place));
    if (places.length === 0) return undefined;
    const id = data.groups[group] ?? "";
    const key = `g ${id}`;
    return {
      rows: () => {
        const opened = isOpen(key);
        const label = id.split(".").at(-1) ?? id;
        const head = summaryRow(build, { key, kind: "group", depth, label, task: -1 }, places);
        return opened ? [head, ...sorted(inside(group, depth + 1), view.sort)] : [head];
      },
      from: earliest(index, places),
      order: Math.min(...members.map((task) => index.order[task] ?? 0)),
    };
  };
  const rows = sorted(inside(-1, 0), view.sort);
  return { rows, critical, ...extentOf(index, now) };
}

const sorted = (
  nodes: readonly { rows: () => GanttRow[]; from: number; order: number }[],
  sort: GanttView["sort"],
): GanttRow[] =>
  nodes
    .toSorted((a, b) =>
      sort === "start" ? compare(a.from, b.from) || a.order - b.order : a.order - b.order,
    )
    .flatMap(({ rows }) => rows());

/** Not a subtraction: two that have not begun are both infinite. */
const compare = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);

type Build = {
  readonly index: GanttIndex;
  readonly now: number;
  readonly criticalSet: ReadonlySet<number>;
  readonly isOpen: (key: string) => boolean;
};

function taskRows(
  build: Build,
  task: number,
  places: readonly number[],
  depth: number,
): GanttRow[] {
  const { data } = build.index;
  const name = data.names[task] ?? data.tasks[task] ?? "";
  const isMapped = places.some((place) => (data.instances.map[place] ?? -1) >= 0);
  if (!isMapped)
    return places.map((place) =>
      instanceRow(build, { key: `t ${data.tasks[task] ?? ""}`, depth, label: name, task }, place),
    );
  const key = `m ${data.tasks[task] ?? ""}`;
  const head = summaryRow(
    build,
    { key, kind: "mapped", depth, label: `${name} [${String(places.length)}]`, task },
    places,
  );
  if (!build.isOpen(key)) return [head];
  return [
    head,
    ...places.map((place) => {
      const map = data.instances.map[place] ?? -1;
      const own = data.instances.labels.get(place);
      const label = own === undefined ? `[${String(map)}]` : `[${String(map)}] ${own}`;
      return instanceRow(
        build,
        { key: `${key} ${String(map)}`, depth: depth + 1, label, task },
        place,
      );
    }),
  ];
}

function instanceRow(
  { index, now, criticalSet }: Build,
  row: Pick<GanttRow, "key" | "depth" | "label" | "task">,
  place: number,
): GanttRow {
  const bars = barsOf(index, place, now);
  const state = index.data.instances.state[place] ?? null;
  return {
    ...row,
    kind: "instance",
    instance: place,
    state,
    counts: [[state, 1]],
    bars,
    from: bars[0]?.from ?? null,
    to: bars.at(-1)?.to ?? null,
    isOpen: false,
    isCritical: criticalSet.has(place),
  };
}

/** Bad news first. */
const rank = [
  "failed",
  "upstream_failed",
  "up_for_retry",
  "restarting",
  "running",
  "queued",
  "scheduled",
  "deferred",
  "up_for_reschedule",
  null,
  "success",
  "skipped",
  "removed",
];
const rankOf = (state: string | null): number => {
  const at = rank.indexOf(state);
  return at < 0 ? rank.length : at;
};

function summaryRow(
  { index, now, criticalSet, isOpen }: Build,
  row: Pick<GanttRow, "key" | "kind" | "depth" | "label" | "task">,
  places: readonly number[],
): GanttRow {
  const counts = new Map<string | null, number>();
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  let live = false;
  for (const place of places) {
    const state = index.data.instances.state[place] ?? null;
    counts.set(state, (counts.get(state) ?? 0) + 1);
    const span = spanOf(index, place, now);
    if (span === undefined) continue;
    from = Math.min(from, span.from);
    to = Math.max(to, span.to);
    live ||= span.live;
  }
  const sortedCounts = [...counts].toSorted(([a], [b]) => rankOf(a) - rankOf(b));
  const state = sortedCounts[0]?.[0] ?? null;
  const has = from <= to;
  return {
    ...row,
    instance: -1,
    state,
    counts: sortedCounts,
    bars: has ? [{ kind: "summary", from, to, tryNumber: 0, state, live }] : [],
    from: has ? from : null,
    to: has ? to : null,
    isOpen: isOpen(row.key),
    isCritical: places.some((place) => criticalSet.has(place)),
  };
}

const isOver = (state: string | null): boolean =>
  state !== null && ["success", "failed", "skipped", "upstream_failed", "removed"].includes(state);

/** The bars of one instance: what it waited, started and ran, try after try. */
export function barsOf(
  { data, attemptsOf }: GanttIndex,
  place: number,
  now: number,
): readonly Bar[] {
  const { attempts, instances } = data;
  const state = instances.state[place] ?? null;
  const scheduled = instances.scheduled[place] ?? null;
  const ended = instances.ended[place] ?? null;
  const current = instances.try[place] ?? 0;
  const [first = 0, count = 0] = attemptsOf.get(place) ?? [];
  const bars: Bar[] = [];
  const add = (bar: Bar): void => {
    // Clocks of several machines: a bar never runs backwards.
    if (bar.to > bar.from || (bar.kind === "running" && bar.to === bar.from)) bars.push(bar);
  };
  for (let at = first; at < first + count; at += 1) {
    const tryNumber = attempts.try[at] ?? 0;
    const isLast = at === first + count - 1;
    const admitted = attempts.admitted[at] ?? 0;
    const started = attempts.started[at] ?? null;
    // An attempt that its worker lost may be open while its instance is over.
    const end = attempts.ended[at] ?? (isLast && !isOver(state) ? null : (ended ?? now));
    const word =
      isLast && tryNumber === current ? state : outcomeState(attempts.outcome[at] ?? null);
    const common = { tryNumber, state: word };
    const ready =
      isLast && scheduled !== null && tryNumber === current
        ? Math.min(scheduled, admitted)
        : admitted;
    const before = at > first ? (attempts.ended[at - 1] ?? null) : null;
    if (before !== null && (attempts.try[at - 1] ?? 0) < tryNumber)
      add({
        kind: "retry",
        from: before,
        to: ready,
        tryNumber: attempts.try[at - 1] ?? 0,
        state: "up_for_retry",
        live: false,
      });
    // Only the last scheduling is kept: what earlier tries waited for their slot is not known.
    if (isLast && scheduled !== null && scheduled < admitted && tryNumber === current)
      add({ ...common, kind: "waiting", from: scheduled, to: admitted, live: false });
    if (started === null) {
      add({ ...common, kind: "queued", from: admitted, to: end ?? now, live: end === null });
      continue;
    }
    add({ ...common, kind: "queued", from: admitted, to: started, live: false });
    const until = end ?? Math.max(now, started);
    const code = Math.min(started + (attempts.start_ms[at] ?? 0), until);
    add({ ...common, kind: "starting", from: started, to: code, live: false });
    add({ ...common, kind: "running", from: code, to: until, live: end === null });
  }
  const lastEnd = count === 0 ? null : (attempts.ended[first + count - 1] ?? null);
  const lastTry = count === 0 ? 0 : (attempts.try[first + count - 1] ?? 0);
  if (state === "scheduled" && scheduled !== null && (count === 0 || lastEnd !== null))
    add({ kind: "waiting", from: scheduled, to: now, tryNumber: current, state, live: true });
  else if (state === "up_for_retry" && lastEnd !== null)
    add({ kind: "retry", from: lastEnd, to: now, tryNumber: lastTry, state, live: true });
  else if (count === 0 && ended !== null && instances.started[place] !== null)
    // The engine ended it itself, in no time.
    add({
      kind: "running",
      from: instances.started[place] ?? ended,
      to: ended,
      tryNumber: current,
      state,
      live: false,
    });
  return bars;
}

/** How an attempt ended, as the state that its try has. */
const outcomeState = (outcome: string | null): string | null => {
  switch (outcome) {
    case null:
      return "running";
    case "success":
    case "skipped":
    case "deferred":
      return outcome;
    case "reschedule":
      return "up_for_reschedule";
    default:
      return "failed";
  }
};

function spanOf(
  index: GanttIndex,
  place: number,
  now: number,
): { readonly from: number; readonly to: number; readonly live: boolean } | undefined {
  const bars = barsOf(index, place, now);
  const [first] = bars;
  const last = bars.at(-1);
  return first === undefined || last === undefined
    ? undefined
    : { from: first.from, to: last.to, live: bars.some(({ live }) => live) };
}

/** When the first of them was ready to run. */
function earliest({ data, attemptsOf }: GanttIndex, places: readonly number[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (const place of places) {
    const first = attemptsOf.get(place)?.[0];
    const { scheduled, started } = data.instances;
    for (const time of [
      first === undefined ? null : data.attempts.admitted[first],
      first === undefined ? scheduled[place] : null,
      first === undefined ? started[place] : null,
    ])
      if (typeof time === "number" && time < least) least = time;
  }
  return least;
}

function extentOf(
  index: GanttIndex,
  now: number,
): { readonly from: number; readonly to: number; readonly isLive: boolean } {
  let from = 0;
  let to = 1;
  let isLive = false;
  for (let place = 0; place < index.data.instances.task.length; place += 1) {
    const span = spanOf(index, place, now);
    if (span === undefined) continue;
    from = Math.min(from, span.from);
    to = Math.max(to, span.to);
    isLive ||= span.live;
  }
  return { from, to, isLive };
}

/**
 * Back from what ended last: of each task's upstreams, the instance that ended last is what it waited for. Places in
 * `instances`, last first.
 */
export function criticalPath(index: GanttIndex, now: number): readonly number[] {
  const { instances } = index.data;
  const endOf = (place: number): number => {
    const started = instances.started[place] ?? null;
    return started === null ? Number.NEGATIVE_INFINITY : (instances.ended[place] ?? now);
  };
  const latest = (places: Iterable<number>): number | undefined => {
    let best: number | undefined;
    for (const place of places)
      if (Number.isFinite(endOf(place)) && (best === undefined || endOf(place) > endOf(best)))
        best = place;
    return best;
  };
  const path: number[] = [];
  const been = new Set<number>();
  let at = latest(instances.task.keys());
  while (at !== undefined) {
    path.push(at);
    const task = instances.task[at] ?? -1;
    if (been.has(task)) break;
    been.add(task);
    at = latest((index.upstream[task] ?? []).flatMap((before) => index.instancesOf[before] ?? []));
  }
  return path;
}

/** Round steps of time for an axis: at most `most` of them. */
export function ticksOf(from: number, to: number, most: number): readonly number[] {
  const span = Math.max(to - from, 1);
  const step = steps.find((size) => span / size <= most) ?? Math.ceil(span / most / day) * day;
  const ticks: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) ticks.push(at);
  return ticks;
}
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const steps = [
  1,
  2,
  5,
  10,
  20,
  50,
  100,
  200,
  500,
  ...[1, 2, 5, 10, 15, 30].map((n) => n * second),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * minute),
  ...[1, 2, 3, 6, 12].map((n) => n * hour),
  ...[1, 2, 7, 14, 30].map((n) => n * day),
];
