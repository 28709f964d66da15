/**
 * msgpack for frames of plain data. Reading is bounded: no declared length is believed that the bytes left
 * cannot hold, and nothing nests deeper than 64, so a short frame cannot take much memory. Integers stay
 * integers on the wire, because a Python task on the other end sees the difference.
 */

const depthMax = 64;
const text = new TextDecoder("utf-8");

export function encode(value: unknown): Buffer {
  const parts: Buffer[] = [];
  write(value, parts, 0);
  return Buffer.concat(parts);
}

/** Throws if the bytes are not exactly one value. */
export function decode(bytes: Buffer): unknown {
  const cursor = { at: 0 };
  const value = read(bytes, cursor, 0);
  if (cursor.at !== bytes.length) throw new Error("msgpack: bytes left over");
  return value;
}

function write(value: unknown, parts: Buffer[], depth: number): void {
  if (depth > depthMax) throw new RangeError(`the value nests deeper than ${depthMax} levels`);
  if (value === null || value === undefined) parts.push(Buffer.of(0xc0));
  else if (typeof value === "boolean") parts.push(Buffer.of(value ? 0xc3 : 0xc2));
  else if (typeof value === "number") parts.push(number(value));
  else if (typeof value === "string") {
    const bytes = Buffer.from(value, "utf8");
    parts.push(head(bytes.length, 0xa0, 31, [0xd9, 0xda, 0xdb]), bytes);
  } else if (Array.isArray(value)) {
    parts.push(head(value.length, 0x90, 15, [undefined, 0xdc, 0xdd]));
    for (const item of value) write(item, parts, depth + 1);
  } else if (typeof value === "object") {
    const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
    parts.push(head(entries.length, 0x80, 15, [undefined, 0xde, 0xdf]));
    for (const [key, inner] of entries) {
      write(key, parts, depth + 1);
      write(inner, parts, depth + 1);
    }
  } else throw new TypeError(`a ${typeof value} cannot be sent`);
}

function number(value: number): Buffer {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    if (value >= 0 && value < 128) return Buffer.of(value);
    if (value < 0 && value >= -32) return Buffer.of(value + 256);
    const bytes = Buffer.alloc(9);
    if (value >= -0x8000_0000 && value <= 0x7fff_ffff) {
      bytes[0] = 0xd2;
      bytes.writeInt32BE(value, 1);
      return bytes.subarray(0, 5);
    }
    bytes[0] = 0xd3;
    bytes.writeBigInt64BE(BigInt(value), 1);
    return bytes;
  }
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xcb;
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

function head(
  length: number,
  fix: number,
  fixMax: number,
  [one, two, four]: readonly [number | undefined, number, number],
): Buffer {
  if (length <= fixMax) return Buffer.of(fix | length);
  if (one !== undefined && length < 0x100) return Buffer.of(one, length);
  if (length < 0x1_0000) return Buffer.of(two, length >> 8, length & 0xff);
  const bytes = Buffer.alloc(5);
  bytes[0] = four;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

type Cursor = { at: number };

function read(bytes: Buffer, cursor: Cursor, depth: number): unknown {
  if (depth > depthMax) throw new RangeError("msgpack: nested too deep");
  const tag = bytes.readUInt8(take(bytes, cursor, 1));
  if (tag < 0x80) return tag;
  if (tag < 0x90) return readMap(bytes, cursor, tag & 0x0f, depth);
  if (tag < 0xa0) return readList(bytes, cursor, tag & 0x0f, depth);
  if (tag < 0xc0) return readText(bytes, cursor, tag & 0x1f);
  if (tag >= 0xe0) return tag - 256;
  switch (tag) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
    case 0xc5:
    case 0xc6: {
      const length = size(bytes, cursor, tag - 0xc4);
      const at = take(bytes, cursor, length);
      return bytes.subarray(at, at + length);
    }
    case 0xca:
      return bytes.readFloatBE(take(bytes, cursor, 4));
    case 0xcb:
      return bytes.readDoubleBE(take(bytes, cursor, 8));
    case 0xcc:
      return bytes.readUInt8(take(bytes, cursor, 1));
    case 0xcd:
      return bytes.readUInt16BE(take(bytes, cursor, 2));
    case 0xce:
      return bytes.readUInt32BE(take(bytes, cursor, 4));
    case 0xcf:
      return Number(bytes.readBigUInt64BE(take(bytes, cursor, 8)));
    case 0xd0:
      return bytes.readInt8(take(bytes, cursor, 1));
    case 0xd1:
      return bytes.readInt16BE(take(bytes, cursor, 2));
    case 0xd2:
      return bytes.readInt32BE(take(bytes, cursor, 4));
    case 0xd3:
      return Number(bytes.readBigInt64BE(take(bytes, cursor, 8)));
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return readExtension(bytes, cursor, 1 << (tag - 0xd4));
    case 0xc7:
    case 0xc8:
    case 0xc9:
      return readExtension(bytes, cursor, size(bytes, cursor, tag - 0xc7));
    case 0xd9:
    case 0xda:
    case 0xdb:
      return readText(bytes, cursor, size(bytes, cursor, tag - 0xd9));
    case 0xdc:
    case 0xdd:
      return readList(bytes, cursor, size(bytes, cursor, tag - 0xdb), depth);
    case 0xde:
    case 0xdf:
      return readMap(bytes, cursor, size(bytes, cursor, tag - 0xdd), depth);
    default:
      throw new Error(`msgpack: tag ${tag} is not in use`);
  }
}

/** `width` 0, 1, 2: a length of one, two or four bytes. */
function size(bytes: Buffer, cursor: Cursor, width: number): number {
  const length = 1 << width;
  return bytes.readUIntBE(take(bytes, cursor, length), length);
}

function take(bytes: Buffer, cursor: Cursor, length: number): number {
  const { at } = cursor;
  if (length > bytes.length - at)
    throw new RangeError("msgpack: declared length exceeds the bytes");
  cursor.at = at + length;
  return at;
}

function readText(bytes: Buffer, cursor: Cursor, length: number): string {
  const at = take(bytes, cursor, length);
  return text.decode(bytes.subarray(at, at + length));
}

function readList(bytes: Buffer, cursor: Cursor, length: number, depth: number): unknown[] {
  if (length > bytes.length - cursor.at)
    throw new RangeError("msgpack: declared elements exceed the bytes");
  const list: unknown[] = [];
  for (let index = 0; index < length; index++) list.push(read(bytes, cursor, depth + 1));
  return list;
}

function readMap(bytes: Buffer, cursor: Cursor, length: number, depth: number): unknown {
  if (length * 2 > bytes.length - cursor.at)
    throw new RangeError("msgpack: declared elements exceed the bytes");
  const map: Record<string, unknown> = {};
  for (let index = 0; index < length; index++) {
    const key = read(bytes, cursor, depth + 1);
    if (typeof key !== "string" && typeof key !== "number")
      throw new TypeError("msgpack: a key must be text or a number");
    const value = read(bytes, cursor, depth + 1);
    // Not by assignment: "__proto__" must stay a key like any other.
    Object.defineProperty(map, String(key), {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return map;
}

/** Extension −1 is a time; it becomes what we speak ourselves, ISO 8601. */
function readExtension(bytes: Buffer, cursor: Cursor, length: number): unknown {
  const kind = bytes.readInt8(take(bytes, cursor, 1));
  const at = take(bytes, cursor, length);
  if (kind !== -1) throw new Error(`msgpack: extension ${kind} is not known`);
  let seconds: number;
  let nanoseconds = 0;
  if (length === 4) seconds = bytes.readUInt32BE(at);
  else if (length === 8) {
    const both = bytes.readBigUInt64BE(at);
    nanoseconds = Number(both >> 34n);
    seconds = Number(both & 0x3_ffff_ffffn);
  } else if (length === 12) {
    nanoseconds = bytes.readUInt32BE(at);
    seconds = Number(bytes.readBigInt64BE(at + 4));
  } else throw new Error("msgpack: a time of a wrong length");
  const micros = String(Math.floor(nanoseconds / 1000)).padStart(6, "0");
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) throw new RangeError("msgpack: a time out of range");
  return `${date.toISOString().slice(0, 19)}.${micros}+00:00`;
}
