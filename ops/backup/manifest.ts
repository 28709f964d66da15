/** `manifest.json` of a backup: written last, so that a folder without it is no backup; and the check of what it names. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { isAbsolute, join, normalize } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";

const path = z
  .string()
  .max(4_096)
  .refine(
    (text) => !isAbsolute(text) && !normalize(text).startsWith(".."),
    "leads out of the backup",
  );

const manifest = z.object({
  format: z.literal(1),
  /** Of the program that made it. */
  airlock: z.string(),
  made_at: z.iso.datetime(),
  /** The database's clock: what was committed before it is in it. */
  consistent_at: z.iso.datetime(),
  postgres: z.object({ version: z.string(), first_wal: z.string(), last_wal: z.string() }),
  /** false: the platform's keys came from AIRLOCK_SECRET_KEY, and are not in it. */
  has_keys: z.boolean(),
  /** Where WAL is archived for points in time after it. */
  wal_archive: z.string().nullable(),
  folders: z.array(path).max(1_000_000),
  files: z
    .array(z.object({ path, bytes: z.number().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) }))
    .max(10_000_000),
});
export type Manifest = z.output<typeof manifest>;

export const manifestName = "manifest.json";

/** The manifest of the backup in a folder; a string: why it is none. */
export async function readManifest(folder: string): Promise<Manifest | string> {
  let text: string;
  try {
    text = await readFile(join(folder, manifestName), "utf8");
  } catch {
    return `${folder} is no backup: it has no ${manifestName} (one that broke off has none).`;
  }
  try {
    const read = manifest.safeParse(JSON.parse(text));
    if (read.success) return read.data;
    const [issue] = read.error.issues;
    return `${join(folder, manifestName)}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "wrong"}`;
  } catch {
    return `${join(folder, manifestName)} is not JSON.`;
  }
}

/** What differs from the manifest, a sentence each, at most twenty. */
export async function findDamage(
  folder: string,
  { files }: Manifest,
  onBytes: (bytes: number) => void,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const file of files) {
    if (found.length >= 20) break;
    const at = join(folder, file.path);
    const bytes = await stat(at).then(
      ({ size }) => size,
      () => undefined,
    );
    if (bytes === undefined) found.push(`${file.path} is missing.`);
    else if (bytes !== file.bytes)
      found.push(`${file.path} has ${bytes} bytes instead of ${file.bytes}.`);
    else if ((await hashOf(at, onBytes)) !== file.sha256)
      found.push(`${file.path} is not what was written.`);
  }
  return found;
}

async function hashOf(file: string, onBytes: (bytes: number) => void): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: 1 << 18 }), async (chunks) => {
    for await (const chunk of chunks as AsyncIterable<Buffer>) {
      hash.update(chunk);
      onBytes(chunk.length);
    }
  });
  return hash.digest("hex");
}
