import { randomBytes } from "node:crypto";
import { decrypt, encrypt } from "./envelope.ts";
import type { PlatformKey, PlatformKeys } from "./platform-keys.ts";

/** A tenant's data key as the database holds it: useless without the platform key it names. */
export type WrappedKey = {
  readonly tenant: string;
  readonly version: number;
  readonly platformKeyId: string;
  readonly wrapped: Buffer;
};

/** Where wrapped keys are kept. The store offers it; a laptop run keeps them in memory. */
export type WrappedKeyStore = {
  /** All versions of a tenant, in any order. */
  load(tenant: string): Promise<readonly WrappedKey[]>;
  /** Keeps the key unless that version exists already (another process was first); nothing else changes. */
  add(key: WrappedKey): Promise<void>;
  /** All wrapped keys that are not under this platform key, at most `limit`. */
  notUnder(platformKeyId: string, limit: number): Promise<readonly WrappedKey[]>;
  /** Replaces the wrapping if the row still has the wrapping `from`. */
  rewrap(key: WrappedKey, from: Buffer): Promise<void>;
};

type SecretKind = "connection" | "variable" | "repository" | "webhook" | "session";

/**
 * Seals and opens a tenant's secrets. `id` is the row that the value lies in: a value opens only there.
 * `open` throws `SecretUnreadable` when the value was tampered with or its platform key is gone.
 */
export type Keyring = {
  seal(tenant: string, kind: SecretKind, id: string, plain: string): Promise<Buffer>;
  open(tenant: string, kind: SecretKind, id: string, sealed: Uint8Array): Promise<string>;
  /** New values are sealed under a new data key from now on; old ones still open. */
  renewDataKey(tenant: string): Promise<number>;
  /** Wraps every data key with the first platform key; answers how many were rewrapped. Values stay as they are. */
  rewrapAll(): Promise<number>;
  /** Drops cached data keys of a tenant (deleted, or rotated by another process). */
  forget(tenant: string): void;
};

export class SecretUnreadable extends Error {
  override name = "SecretUnreadable";
}

const format = 1;
const headBytes = 5;
const tenantsCachedMax = 1_000;

export function openKeyring(keys: PlatformKeys, store: WrappedKeyStore): Keyring {
  const [first] = keys;
  const cache = new Map<string, Map<number, Buffer>>();

  const seal: Keyring["seal"] = async (tenant, kind, id, plain) => {
    const [version, key] = await newest(tenant);
    const head = Buffer.alloc(headBytes);
    head.writeUInt8(format, 0);
    head.writeUInt32BE(version, 1);
    const body = encrypt(key, Buffer.from(plain, "utf8"), { tenant, kind, id, version });
    return Buffer.concat([head, body]);
  };

  const open: Keyring["open"] = async (tenant, kind, id, raw) => {
    const sealed = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
    if (sealed.length < headBytes || sealed.readUInt8(0) !== format)
      throw new SecretUnreadable(`${kind} ${id} of ${tenant} is not a sealed value`);
    const version = sealed.readUInt32BE(1);
    const key = (await dataKeys(tenant, version)).get(version);
    const plain = key && decrypt(key, sealed.subarray(headBytes), { tenant, kind, id, version });
    if (!plain) throw new SecretUnreadable(`${kind} ${id} of ${tenant} cannot be opened`);
    return plain.toString("utf8");
  };

  const renewDataKey: Keyring["renewDataKey"] = async (tenant) => {
    const [version] = await newest(tenant);
    await make(tenant, version + 1);
    const [now] = await newest(tenant);
    return now;
  };

  const rewrapAll: Keyring["rewrapAll"] = async () => {
    let done = 0;
    for (;;) {
      const batch = await store.notUnder(first.id, 500);
      if (batch.length === 0) return done;
      for (const old of batch) {
        const key = unwrap(old);
        await store.rewrap(wrap(old.tenant, old.version, key), old.wrapped);
        done++;
      }
    }
  };

  return { seal, open, renewDataKey, rewrapAll, forget: (tenant) => void cache.delete(tenant) };

  async function newest(tenant: string): Promise<[number, Buffer]> {
    let keysOfTenant = await dataKeys(tenant);
    if (keysOfTenant.size === 0) {
      await make(tenant, 1);
      keysOfTenant = await dataKeys(tenant);
    }
    const version = Math.max(...keysOfTenant.keys());
    const key = keysOfTenant.get(version);
    if (!key) throw new Error(`no data key for ${tenant} after making one`);
    return [version, key];
  }

  async function make(tenant: string, version: number): Promise<void> {
    await store.add(wrap(tenant, version, randomBytes(32)));
    // Read back, not kept: another process may have been first, and its key is the one that counts.
    cache.delete(tenant);
  }

  async function dataKeys(tenant: string, wanted?: number): Promise<Map<number, Buffer>> {
    const cached = cache.get(tenant);
    if (cached && cached.size > 0 && (wanted === undefined || cached.has(wanted))) return cached;
    const loaded = new Map(
      (await store.load(tenant)).map((row) => [row.version, unwrap(row)] as const),
    );
    if (cache.size >= tenantsCachedMax) {
      const oldest = cache.keys().next().value;
      if (oldest !== undefined) cache.delete(oldest);
    }
    cache.delete(tenant);
    cache.set(tenant, loaded);
    return loaded;
  }

  function wrap(tenant: string, version: number, key: Buffer): WrappedKey {
    const wrapped = encrypt(first.bytes, key, { tenant, kind: "data-key", id: first.id, version });
    return { tenant, version, platformKeyId: first.id, wrapped };
  }

  function unwrap(row: WrappedKey): Buffer {
    const by = keys.find((key: PlatformKey) => key.id === row.platformKeyId);
    if (!by)
      throw new SecretUnreadable(
        `the data key of ${row.tenant} is wrapped by platform key ${row.platformKeyId}, which is not in AIRLOCK_SECRET_KEY`,
      );
    const belongsTo = {
      tenant: row.tenant,
      kind: "data-key",
      id: row.platformKeyId,
      version: row.version,
    };
    const key = decrypt(by.bytes, row.wrapped, belongsTo);
    if (!key) throw new SecretUnreadable(`the data key of ${row.tenant} cannot be unwrapped`);
    return key;
  }
}
