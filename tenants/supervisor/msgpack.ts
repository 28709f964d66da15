/**
 * MessagePack read with bounds, since strangers write it: every declared count is checked against the bytes
 * that are left before anything is allocated, and depth ends at 64. Maps become objects with string keys,
 * timestamps (extension −1) ISO strings; other extensions are refused. Integers beyond 2^53 stay bigint, so
 * that whoever makes JSON of them has to decide.
 */
const depthMax = 64;

export class FrameProblem extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FrameProblem";
  }
}

export function decode(bytes: Buffer): unknown {
  const at = { bytes, offset: 0 };
  const value = readValue(at, 0);
  if (at.offset !== bytes.length) throw new FrameProblem("a frame has bytes after its value");
  return value;
}

type Cursor = { readonly bytes: Buffer; offset: number };

function readValue(at: Cursor, depth: number): unknown {
  if (depth > depthMax) throw new FrameProblem(`a frame is nested deeper than ${String(depthMax)}`);
  const tag = take(at, 1).readUInt8(0);
  if (tag <= 0x7f) return tag;
  if (tag >= 0xe0) return tag - 0x100;
  if (tag <= 0x8f) return readMap(at, tag & 0x0f, depth);
  if (tag <= 0x9f) return readArray(at, tag & 0x0f, depth);
  if (tag <= 0xbf) return readText(at, tag & 0x1f);
  switch (tag) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
      return readBinary(at, take(at, 1).readUInt8(0));
    case 0xc5:
      return readBinary(at, take(at, 2).readUInt16BE(0));
    case 0xc6:
      return readBinary(at, take(at, 4).readUInt32BE(0));
    case 0xc7:
      return readExtension(at, take(at, 1).readUInt8(0));
    case 0xca:
      return take(at, 4).readFloatBE(0);
    case 0xcb:
      return take(at, 8).readDoubleBE(0);
    case 0xcc:
      return take(at, 1).readUInt8(0);
    case 0xcd:
      return take(at, 2).readUInt16BE(0);
    case 0xce:
      return take(at, 4).readUInt32BE(0);
    case 0xcf:
      return narrow(take(at, 8).readBigUInt64BE(0));
    case 0xd0:
      return take(at, 1).readInt8(0);
    case 0xd1:
      return take(at, 2).readInt16BE(0);
    case 0xd2:
      return take(at, 4).readInt32BE(0);
    case 0xd3:
      return narrow(take(at, 8).readBigInt64BE(0));
    case 0xd6:
      return readExtension(at, 4);
    case 0xd7:
      return readExtension(at, 8);
    case 0xd9:
      return readText(at, take(at, 1).readUInt8(0));
    case 0xda:
      return readText(at, take(at, 2).readUInt16BE(0));
    case 0xdb:
      return readText(at, take(at, 4).readUInt32BE(0));
    case 0xdc:
      return readArray(at, take(at, 2).readUInt16BE(0), depth);
    case 0xdd:
      return readArray(at, take(at, 4).readUInt32BE(0), depth);
    case 0xde:
      return readMap(at, take(at, 2).readUInt16BE(0), depth);
    case 0xdf:
      return readMap(at, take(at, 4).readUInt32BE(0), depth);
    default:
      throw new FrameProblem(`a frame has the unknown type byte 0x${tag.toString(16)}`);
  }
}

function take(at: Cursor, length: number): Buffer {
  if (length > at.bytes.length - at.offset)
    throw new FrameProblem("a frame declares more than it holds");
  const part = at.bytes.subarray(at.offset, at.offset + length);
  at.offset += length;
  return part;
}

const readText = (at: Cursor, length: number): string => take(at, length).toString("utf8");
const readBinary = (at: Cursor, length: number): Buffer => Buffer.from(take(at, length));

function readArray(at: Cursor, length: number, depth: number): unknown[] {
  // Every element takes a byte at least.
  if (length > at.bytes.length - at.offset)
    throw new FrameProblem("a frame declares more than it holds");
  const items: unknown[] = [];
  for (let i = 0; i < length; i++) items.push(readValue(at, depth + 1));
  return items;
}

function readMap(at: Cursor, length: number, depth: number): { [key: string]: unknown } {
  if (length * 2 > at.bytes.length - at.offset)
    throw new FrameProblem("a frame declares more than it holds");
  const map: { [key: string]: unknown } = {};
  for (let i = 0; i < length; i++) {
    const key = readValue(at, depth + 1);
    if (typeof key !== "string" && typeof key !== "number" && typeof key !== "boolean")
      throw new FrameProblem("a frame has a map key that is no text");
    const value = readValue(at, depth + 1);
    const name = String(key);
    // Assigning `__proto__` would change the object instead of filling it.
    if (name === "__proto__")
      Object.defineProperty(map, name, {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    else map[name] = value;
  }
  return map;
}

function readExtension(at: Cursor, length: number): string {
  const type = take(at, 1).readInt8(0);
  if (type !== -1) throw new FrameProblem(`a frame has the unknown extension ${String(type)}`);
  const bytes = take(at, length);
  let seconds: number;
  let nanos = 0;
  if (length === 4) seconds = bytes.readUInt32BE(0);
  else if (length === 8) {
    const packed = bytes.readBigUInt64BE(0);
    nanos = Number(packed >> 34n);
    seconds = Number(packed & 0x3ffffffffn);
  } else if (length === 12) {
    nanos = bytes.readUInt32BE(0);
    seconds = Number(bytes.readBigInt64BE(4));
  } else throw new FrameProblem("a frame has a timestamp of an unknown length");
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime()) || nanos > 999_999_999)
    throw new FrameProblem("a frame has a timestamp out of range");
  const micros = String(Math.floor(nanos / 1000)).padStart(6, "0");
  return date.toISOString().replace(/\.\d{3}Z$/, `.${micros}Z`);
}

const narrow = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;

/** For what we write: JSON values. `undefined` in an object is left out, elsewhere it is nil. */
export function encode(value: unknown): Buffer {
  const out = { bytes: Buffer.allocUnsafe(512), length: 0 };
  writeValue(out, value);
  return out.bytes.subarray(0, out.length);
}

type Out = { bytes: Buffer; length: number };

function room(out: Out, more: number): number {
  const from = out.length;
  if (from + more > out.bytes.length) {
    const bigger = Buffer.allocUnsafe(Math.max(out.bytes.length * 2, from + more));
    out.bytes.copy(bigger, 0, 0, from);
    out.bytes = bigger;
  }
  out.length = from + more;
  return from;
}

function writeValue(out: Out, value: unknown): void {
  if (value === null || value === undefined) writeTag(out, 0xc0);
  else if (value === true) writeTag(out, 0xc3);
  else if (value === false) writeTag(out, 0xc2);
  else if (typeof value === "number") writeNumber(out, value);
  else if (typeof value === "string") writeText(out, value);
  else if (Array.isArray(value)) {
    writeCount(out, value.length, 0x90, 0xdc);
    for (const item of value as readonly unknown[]) writeValue(out, item);
  } else if (typeof value === "object") {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    writeCount(out, entries.length, 0x80, 0xde);
    for (const [name, item] of entries) {
      writeText(out, name);
      writeValue(out, item);
    }
  } else throw new TypeError(`cannot write a ${typeof value} into a frame`);
}

function writeTag(out: Out, tag: number): void {
  const at = room(out, 1);
  out.bytes[at] = tag;
}

function writeCount(out: Out, count: number, short: number, wide: number): void {
  if (count < 16) writeTag(out, short | count);
  else if (count < 0x10000) {
    writeTag(out, wide);
    const at = room(out, 2);
    out.bytes.writeUInt16BE(count, at);
  } else {
    writeTag(out, wide + 1);
    const at = room(out, 4);
    out.bytes.writeUInt32BE(count, at);
  }
}

function writeNumber(out: Out, value: number): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    if (value >= 0 && value < 0x80) writeTag(out, value);
    else if (value < 0 && value >= -32) writeTag(out, value + 0x100);
    else if (value >= -0x80000000 && value <= 0x7fffffff) {
      writeTag(out, 0xd2);
      const at = room(out, 4);
      out.bytes.writeInt32BE(value, at);
    } else {
      writeTag(out, 0xd3);
      const at = room(out, 8);
      out.bytes.writeBigInt64BE(BigInt(value), at);
    }
    return;
  }
  writeTag(out, 0xcb);
  const at = room(out, 8);
  out.bytes.writeDoubleBE(value, at);
}

function writeText(out: Out, text: string): void {
  const length = Buffer.byteLength(text);
  if (length < 32) writeTag(out, 0xa0 | length);
  else if (length < 0x100) {
    writeTag(out, 0xd9);
    writeTag(out, length);
  } else if (length < 0x10000) {
    writeTag(out, 0xda);
    const at = room(out, 2);
    out.bytes.writeUInt16BE(length, at);
  } else {
    writeTag(out, 0xdb);
    const at = room(out, 4);
    out.bytes.writeUInt32BE(length, at);
  }
  const at = room(out, length);
  out.bytes.write(text, at, "utf8");
}
