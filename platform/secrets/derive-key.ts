import { hkdfSync } from "node:crypto";
import type { PlatformKeys } from "./platform-keys.ts";

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
