import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, expect, test } from "vitest";
import { openDirectoryObjects } from "./open-objects.ts";

const folder = mkdtempSync(join(tmpdir(), "airlock-objects-"));
const objects = openDirectoryObjects(folder);
afterAll(() => rmSync(folder, { recursive: true }));

const textOf = async (body: Readable | undefined): Promise<string> => {
  const parts: Buffer[] = [];
  for await (const part of body ?? []) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
};

test("what was put is read whole and by range", async () => {
  expect(await objects.put("xcom/acme/a1/1-0", Buffer.from("0123456789"))).toEqual({ bytes: 10 });
  expect(await textOf(await objects.read("xcom/acme/a1/1-0"))).toBe("0123456789");
  expect(await textOf(await objects.read("xcom/acme/a1/1-0", { start: 2, end: 5 }))).toBe("234");
  expect(await objects.size("xcom/acme/a1/1-0")).toBe(10);
});

test("a stream is written whole", async () => {
  const body = Readable.from([Buffer.from("ab"), Buffer.from("cd")]);
  expect(await objects.put("artifacts/acme/a1/2-report", body)).toEqual({ bytes: 4 });
  expect(await textOf(await objects.read("artifacts/acme/a1/2-report"))).toBe("abcd");
});

test("a stream that breaks leaves nothing behind", async () => {
  const body = Readable.from(
    (async function* () {
      yield Buffer.from("ab");
      throw new Error("the pipe broke");
    })(),
  );
  await expect(objects.put("artifacts/acme/a2/1-x", body)).rejects.toThrow("the pipe broke");
  expect(await objects.size("artifacts/acme/a2/1-x")).toBeUndefined();
  expect(readdirSync(join(folder, "artifacts/acme/a2"))).toEqual([]);
});

test("a key cannot leave the folder", async () => {
  for (const key of ["../x", "a/../../x", "/etc/passwd", "a//b", "a/b\0c", "a"])
    await expect(objects.read(key)).rejects.toThrow("not an object key");
});

test("what does not exist is undefined, and removing a prefix takes all below it", async () => {
  expect(await objects.read("xcom/acme/none/1")).toBeUndefined();
  await objects.put("logs/acme/a/1", Buffer.from("x"));
  await objects.remove("logs/acme/");
  expect(await objects.size("logs/acme/a/1")).toBeUndefined();
});
