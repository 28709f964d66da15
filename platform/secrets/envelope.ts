import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/** What a sealed value belongs to. It is authenticated with the value, so that a ciphertext moved to another row, tenant or key version does not open. */
export type SealedFor = {
  readonly tenant: string;
  readonly kind: string;
  readonly id: string;
  readonly version: number;
};

const ivBytes = 12;
const tagBytes = 16;

/** AES-256-GCM with a fresh 96-bit IV: iv, ciphertext, tag in one buffer. */
export function encrypt(key: Buffer, plain: Buffer, belongsTo: SealedFor): Buffer {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv("aes-256-gcm", key, iv);
  cipher.setAAD(authenticated(belongsTo));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([iv, body, cipher.getAuthTag()]);
}

/** undefined: changed, cut, moved or sealed under another key. Which of these it was cannot be told, and is nobody's business. */
export function decrypt(key: Buffer, sealed: Buffer, belongsTo: SealedFor): Buffer | undefined {
  if (sealed.length < ivBytes + tagBytes) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, ivBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(authenticated(belongsTo));
  decipher.setAuthTag(sealed.subarray(-tagBytes));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(ivBytes, -tagBytes)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** JSON, not a join: with a separator, the ids `a|b` and `a`, `b` could be made to look alike. */
const authenticated = ({ tenant, kind, id, version }: SealedFor): Buffer =>
  Buffer.from(JSON.stringify([tenant, kind, id, version]));
