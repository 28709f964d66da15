/**
 * Time and who acts in it. Everything that happens is an event with a time; the next one is the earliest. A
 * process acts only inside events of its own, and an event is over when no promise of the process has anything left
 * to do: so one seed is one order of things, whatever the machine.
 */
import crypto, { type UUID } from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import timersPromises from "node:timers/promises";
import type { Dice } from "./dice.ts";

/** 2026-01-01: where the clocks begin. */
export const epochMs = Date.UTC(2026, 0, 1);

/** A process of the house. Killed, it never acts again; frozen, all that it would have done waits. */
export class Process {
  readonly name: string;
  readonly home: string;
  dead = false;
  frozen = false;
  /** What its wall clock is ahead of true time. */
  clockAheadMs = 0;
  readonly held: (() => void)[] = [];
  constructor(name: string, home: string) {
    this.name = name;
    this.home = home;
  }
}

type Event = {
  readonly at: number;
  readonly order: number;
  readonly process: Process | undefined;
  run: (() => void) | undefined;
};

export class World {
  /** True time since the start. */
  nowMs = 0;
  /** Whose event this is. */
  current: Process | undefined;
  events = 0;
  readonly #heap: Event[] = [];
  #order = 0;

  /** A thing of nobody's (the database, the weather) or of one process. Answers how to call it off. */
  after(ms: number, process: Process | undefined, run: () => void): () => void {
    const event: Event = {
      at: this.nowMs + Math.max(0, ms),
      order: this.#order++,
      process,
      run,
    };
    push(this.#heap, event);
    return () => {
      event.run = undefined;
    };
  }

  /** Goes on until there is nothing left to say (`isOver`), or it is as late as this. */
  async play(untilMs: number, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const event = this.#heap[0];
      if (event === undefined || event.at > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return;
      }
      pop(this.#heap);
      if (event.run === undefined || event.process?.dead === true) continue;
      this.nowMs = event.at;
      this.events += 1;
      if (event.process === undefined) event.run();
      else if (event.process.frozen) event.process.held.push(event.run);
      else await this.act(event.process, event.run);
    }
  }

  async act(process: Process, run: () => void): Promise<void> {
    this.current = process;
    run();
    // The tick comes when no promise has anything left to do.
    await new Promise((resolve) => {
      nextTick(resolve);
    });
    this.current = undefined;
  }

  thaw(process: Process): void {
    process.frozen = false;
    for (const run of process.held.splice(0)) this.after(0, process, run);
  }
}

// Inside `act` a process is one of ours.
const nextTick = (run: (value: undefined) => void): void => {
  process.nextTick(run, undefined);
};

function push(heap: Event[], event: Event): void {
  heap.push(event);
  for (let at = heap.length - 1; at > 0; ) {
    const up = (at - 1) >> 1;
    if (isBefore(heap[up], event)) break;
    swap(heap, at, up);
    at = up;
  }
}

function pop(heap: Event[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  heap[0] = last;
  for (let at = 0; ; ) {
    const left = 2 * at + 1;
    const least = isBefore(heap[left + 1], heap[left]) ? left + 1 : left;
    if (least >= heap.length || isBefore(heap[at], heap[least])) return;
    swap(heap, at, least);
    at = least;
  }
}

const isBefore = (a: Event | undefined, b: Event | undefined): boolean =>
  a !== undefined && (b === undefined || a.at < b.at || (a.at === b.at && a.order < b.order));

function swap(heap: Event[], i: number, j: number): void {
  const [a, b] = [heap[i], heap[j]];
  if (a === undefined || b === undefined) return;
  heap[i] = b;
  heap[j] = a;
}

/**
 * Puts the world's time in place of the machine's, and dice of the seed in place of its random ids: timers, waits,
 * both clocks. The world plays without ever giving way to a timer or a socket of the machine, so nobody else's
 * code sees any of this. Answers how to take it back.
 */
export function ownTime(world: World, ids: Dice): () => void {
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
    now: Date.now,
    pause: timersPromises.setTimeout,
    uuid: crypto.randomUUID,
  };
  const later = (run: () => void, ms: number): Timer => {
    const owner = world.current;
    if (owner === undefined) throw new Error("a timer of nobody's");
    return new Timer(world.after(ms, owner, run));
  };
  const every = (run: () => void, ms: number): Timer => {
    const owner = world.current;
    if (owner === undefined) throw new Error("a timer of nobody's");
    const again = (): void => {
      timer.callOff = world.after(ms, owner, again);
      run();
    };
    const timer = new Timer(world.after(ms, owner, again));
    return timer;
  };
  const stop = (timer: unknown): void => {
    if (timer instanceof Timer) timer.callOff();
  };
  const hex = (digits: number): string =>
    Array.from({ length: digits }, () => ids.between(0, 15).toString(16)).join("");
  Object.assign(globalThis, {
    setTimeout: later,
    clearTimeout: stop,
    setInterval: every,
    clearInterval: stop,
  });
  Date.now = () => Math.floor(epochMs + world.nowMs + (world.current?.clockAheadMs ?? 0));
  Object.defineProperty(performance, "now", {
    value: () => world.nowMs,
    configurable: true,
    writable: true,
  });
  timersPromises.setTimeout = (<T>(ms: number, value: T) =>
    new Promise<T>((resolve) => {
      later(() => resolve(value), ms);
    })) as typeof real.pause;
  crypto.randomUUID = (): UUID => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}` as UUID;
  syncBuiltinESMExports();
  return () => {
    const { setTimeout, clearTimeout, setInterval, clearInterval } = real;
    Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval });
    Date.now = real.now;
    Reflect.deleteProperty(performance, "now");
    timersPromises.setTimeout = real.pause;
    crypto.randomUUID = real.uuid;
    syncBuiltinESMExports();
  };
}

class Timer {
  callOff: () => void;
  constructor(callOff: () => void) {
    this.callOff = callOff;
  }
  unref(): this {
    return this;
  }
  ref(): this {
    return this;
  }
}
