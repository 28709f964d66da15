/**
 * The array types that our statements use, told to the driver ahead. Left to itself it asks the server for all of
 * them on every new connection: a round trip more, and when the server goes away during that question (a restart)
 * nobody handles the failure and the process ends.
 */
import type postgres from "postgres";

const text = (part: string): string => part;
const elements: Readonly<Record<string, { oid: number; read: (part: string) => unknown }>> = {
  bools: { oid: 1000, read: (part) => part === "t" },
  names: { oid: 1003, read: text },
  int2s: { oid: 1005, read: Number },
  int4s: { oid: 1007, read: Number },
  texts: { oid: 1009, read: text },
  varchars: { oid: 1015, read: text },
  int8s: { oid: 1016, read: text },
  float4s: { oid: 1021, read: Number },
  float8s: { oid: 1022, read: Number },
  oids: { oid: 1028, read: Number },
  timestamps: { oid: 1185, read: (part) => new Date(part) },
  numerics: { oid: 1231, read: text },
  uuids: { oid: 2951, read: text },
};

export const arrayTypes: Record<string, postgres.PostgresType> = Object.fromEntries(
  Object.entries(elements).map(([name, { oid, read }]) => [
    name,
    {
      to: oid,
      from: [oid],
      serialize: writeArray,
      parse: (raw: string) => readArray(raw).map((part) => (part === null ? null : read(part))),
    },
  ]),
);

/** Postgres' own notation; always quoted, so that nothing in a value can end it. What is text already is that notation. */
function writeArray(values: unknown): string {
  if (!Array.isArray(values)) return typeof values === "string" ? values : "{}"; // to throw in here would leave the connection waiting for ever
  const parts = values.map((value: unknown) => {
    if (value === null || value === undefined) return "null";
    const plain = value instanceof Date ? value.toISOString() : `${value as string | number}`;
    return `"${plain.replace(/["\\]/g, "\\$&")}"`;
  });
  return `{${parts.join(",")}}`;
}

/** One dimension: `{a,"b,\"c\"",NULL}`. */
function readArray(raw: string): (string | null)[] {
  const parts: (string | null)[] = [];
  const part = /"((?:[^"\\]|\\.)*)"|([^,{}"]+)/gs;
  for (const [, quoted, plain = ""] of raw.matchAll(part))
    if (quoted !== undefined) parts.push(quoted.replace(/\\(.)/gs, "$1"));
    else parts.push(plain === "NULL" ? null : plain);
  return parts;
}
