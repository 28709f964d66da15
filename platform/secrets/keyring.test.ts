import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { openKeyring, type WrappedKey, type WrappedKeyStore } from "./keyring.ts";
import { type PlatformKeys, readPlatformKeys } from "./platform-keys.ts";

function memoryStore(): WrappedKeyStore & { rows: WrappedKey[] } {
  const rows: WrappedKey[] = [];
  const same = (a: WrappedKey, b: WrappedKey): boolean =>
    a.tenant === b.tenant && a.version === b.version;
  return {
    rows,
    load: async (tenant) => rows.filter((row) => row.tenant === tenant),
    add: async (key) => void (rows.some((row) => same(row, key)) || rows.push(key)),
    notUnder: async (id, limit) => rows.filter((r) => r.platformKeyId !== id).slice(0, limit),
    rewrap: async (key, from) => {
      const at = rows.findIndex((row) => same(row, key) && row.wrapped.equals(from));
      if (at >= 0) rows[at] = key;
    },
  };
}

function keys(...raw: Buffer[]): PlatformKeys {
  const read = readPlatformKeys(raw.map((k) => k.toString("base64")).join(","), "test");
  if (!read.ok) throw new Error(read.problem.message);
  return read.value;
}

test("what was sealed opens again as exactly the same text", async () => {
  const ring = openKeyring(keys(randomBytes(32)), memoryStore());
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "grapheme" }), async (text) => {
      const sealed = await ring.seal("acme", "variable", "v", text);
      expect(await ring.open("acme", "variable", "v", sealed)).toBe(text);
    }),
    { numRuns: 50 },
  );
});

test("the same text never gives the same bytes, nor is it in them", async () => {
  const ring = openKeyring(keys(randomBytes(32)), memoryStore());
  const one = await ring.seal("acme", "connection", "pg", "canary-secret");
  const two = await ring.seal("acme", "connection", "pg", "canary-secret");
  expect(one.equals(two)).toBe(false);
  expect(one.includes("canary")).toBe(false);
});

test("a ciphertext moved to another row, kind or tenant does not open", async () => {
  const ring = openKeyring(keys(randomBytes(32)), memoryStore());
  const sealed = await ring.seal("acme", "connection", "pg", "s3cret");
  await ring.seal("beta", "connection", "pg", "other");
  await expect(ring.open("acme", "connection", "pg2", sealed)).rejects.toThrow("cannot be opened");
  await expect(ring.open("acme", "variable", "pg", sealed)).rejects.toThrow("cannot be opened");
  await expect(ring.open("beta", "connection", "pg", sealed)).rejects.toThrow("cannot be opened");
});

test("ids that contain the separator of others do not pass for one another", async () => {
  const ring = openKeyring(keys(randomBytes(32)), memoryStore());
  const sealed = await ring.seal("acme", "variable", 'a","b', "x");
  await expect(ring.open("acme", "variable", "a", sealed)).rejects.toThrow("cannot be opened");
});

test("any flipped bit, and any cut, is noticed", async () => {
  const ring = openKeyring(keys(randomBytes(32)), memoryStore());
  const sealed = await ring.seal("acme", "variable", "v", "hello");
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const changed = Buffer.from(sealed);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await expect(ring.open("acme", "variable", "v", changed)).rejects.toThrow(/opened|sealed/);
  }
  for (let length = 0; length < sealed.length; length++)
    await expect(ring.open("acme", "variable", "v", sealed.subarray(0, length))).rejects.toThrow(
      /opened|sealed/,
    );
});

test("a wrapped data key copied to another tenant does not unwrap", async () => {
  const store = memoryStore();
  const platform = keys(randomBytes(32));
  const sealed = await openKeyring(platform, store).seal("acme", "variable", "v", "x");
  const [row] = store.rows;
  if (row) store.rows.push({ ...row, tenant: "beta" });
  await expect(openKeyring(platform, store).open("beta", "variable", "v", sealed)).rejects.toThrow(
    "cannot be unwrapped",
  );
});

test("the platform key rotates without touching a value, and the old key can then be thrown away", async () => {
  const store = memoryStore();
  const [old, fresh] = [randomBytes(32), randomBytes(32)];
  const sealed = await openKeyring(keys(old), store).seal("acme", "variable", "v", "kept");
  const both = openKeyring(keys(fresh, old), store);
  expect(await both.open("acme", "variable", "v", sealed)).toBe("kept");
  expect(await both.rewrapAll()).toBe(1);
  expect(await both.rewrapAll()).toBe(0);
  const after = openKeyring(keys(fresh), store);
  expect(await after.open("acme", "variable", "v", sealed)).toBe("kept");
  await expect(openKeyring(keys(old), store).open("acme", "variable", "v", sealed)).rejects.toThrow(
    "AIRLOCK_SECRET_KEY",
  );
});

test("a data key renewed by another process is found when its first value is read", async () => {
  const store = memoryStore();
  const platform = keys(randomBytes(32));
  const here = openKeyring(platform, store);
  const there = openKeyring(platform, store);
  const old = await here.seal("acme", "variable", "v", "old");
  expect(await there.renewDataKey("acme")).toBe(2);
  const renewed = await there.seal("acme", "variable", "v", "new");
  expect(await here.open("acme", "variable", "v", renewed)).toBe("new");
  expect(await here.open("acme", "variable", "v", old)).toBe("old");
});
