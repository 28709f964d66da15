import { createHash, hkdfSync, randomBytes } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Answer, bad, good } from "../model/answer.ts";

/** A key that wraps the tenants' data keys. `id` is the head of its hash, so that a wrapped key can name it. */
export type PlatformKey = { readonly id: string; readonly bytes: Buffer };
/** The first wraps, all of them unwrap: how a rotation goes without downtime. */
export type PlatformKeys = readonly [PlatformKey, ...PlatformKey[]];
export type PlatformKeyProblem = { readonly field: string; readonly message: string };

const fileName = "secret.key";
const keyBytes = 32;

/**
 * The platform keys of this installation: `fromEnvironment` is AIRLOCK_SECRET_KEY (base64 of 32 bytes,
 * comma-separated, the first encrypts); without it the file in `home`, made (mode 0600) at the first start.
 */
export function openPlatformKeys(
  fromEnvironment: string | undefined,
  home: string,
): Answer<PlatformKeys, PlatformKeyProblem> {
  if (fromEnvironment !== undefined && fromEnvironment.trim() !== "")
    return readPlatformKeys(fromEnvironment, "AIRLOCK_SECRET_KEY");
  const file = join(home, fileName);
  return readPlatformKeys(readOrMake(file, home), file);
}

/** Keys from text; `field` names their source in the problem. */
export function readPlatformKeys(
  text: string,
  field: string,
): Answer<PlatformKeys, PlatformKeyProblem> {
  const keys: PlatformKey[] = [];
  for (const [at, part] of text
    .split(",")
    .map((p) => p.trim())
    .entries()) {
    // Buffer.from skips what is not base64: without this pattern a typing error would become another key.
    const bytes = /^[A-Za-z0-9+/_-]{43}=?$/.test(part) ? Buffer.from(part, "base64") : undefined;
    if (bytes?.length !== keyBytes)
      return bad({ field, message: `key ${at + 1} of ${field} must be base64 of 32 bytes` });
    keys.push({ id: createHash("sha256").update(bytes).digest("hex").slice(0, 16), bytes });
  }
  const [first, ...rest] = keys;
  return first
    ? good([first, ...rest])
    : bad({ field, message: `${field} must hold at least one key` });
}

/**
 * Keys for one purpose, one per platform key: the first is for writing, all are for checking what was written
 * before a rotation. So a platform key may only be thrown away when nothing made with it must be checked any more.
 */
export function deriveKeys(keys: PlatformKeys, purpose: "audit"): readonly [Buffer, ...Buffer[]] {
  const derive = ({ bytes }: PlatformKeys[number]): Buffer =>
    Buffer.from(hkdfSync("sha256", bytes, "airlock", purpose, 32));
  const [first, ...rest] = keys;
  return [derive(first), ...rest.map(derive)];
}

/** Written aside and linked into place: of two processes that start at once, both read the one key that won. */
function readOrMake(file: string, home: string): string {
  const before = tryRead(file);
  if (before !== undefined) return before;
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const aside = `${file}.${randomBytes(6).toString("hex")}`;
  writeFileSync(aside, `${randomBytes(keyBytes).toString("base64")}\n`, {
    mode: 0o600,
    flag: "wx",
  });
  chmodSync(aside, 0o600);
  try {
    linkSync(aside, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    unlinkSync(aside);
  }
  return readFileSync(file, "utf8");
}

function tryRead(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`cannot read the platform key ${file}`, { cause: error });
  }
}
