import { createHash, pbkdf2, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { hash, verify } from "@node-rs/argon2";

/** A password as people type it: taken exactly, never trimmed or normalised. */
export const passwordBytesMax = 1_024;
const passwordCharactersMin = 8;

export type PasswordVerdict =
  /** `better` is the same password under today's hash, when the stored one is an older kind. */
  { readonly right: true; readonly better?: string } | { readonly right: false };

/** argon2id, 19 MiB, 2 passes (OWASP's first choice). */
export const hashPassword = (password: string): Promise<string> =>
  inTurn(() => hash(password, settings));

/**
 * Is this the password of `stored`? Knows argon2id and Werkzeug's `pbkdf2:` and `scrypt:` (a migrated Airflow).
 * Without a stored hash it works as long as with one, so that a stranger cannot tell which names exist.
 */
export async function checkPassword(
  stored: string | undefined,
  password: string,
): Promise<PasswordVerdict> {
  if (stored === undefined) {
    await inTurn(async () => verify(await nobodysHash(), password));
    return { right: false };
  }
  if (stored.startsWith("$argon2id$")) {
    const right = await inTurn(() => verify(stored, password));
    return { right };
  }
  if (!(await inTurn(() => checkWerkzeug(stored, password)))) return { right: false };
  return { right: true, better: await hashPassword(password) };
}

/** What is wrong with a new password, or undefined. */
export function passwordProblem(password: string): string | undefined {
  if (Buffer.byteLength(password) > passwordBytesMax)
    return `password must be at most ${passwordBytesMax} bytes`;
  if (password.length < passwordCharactersMin)
    return `password must be at least ${passwordCharactersMin} characters`;
  return undefined;
}

/** 256 random bits as text that is safe in URLs and headers. */
export const newSecret = (): string => randomBytes(32).toString("base64url");

/** For secrets of full randomness only: what is stored of a session or a token. */
export const hashSecret = (secret: string): Buffer => createHash("sha256").update(secret).digest();

const settings = {
  // Argon2id: its name is an ambient const enum, which a file that is only stripped of types cannot read.
  algorithm: 2,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
};

let nobody: Promise<string> | undefined;
const nobodysHash = (): Promise<string> => (nobody ??= hash(newSecret(), settings));

/** Two at a time: a flood of sign-ins may take two cores and 40 MB, never the machine. */
const atOnceMax = 2;
let running = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= atOnceMax) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

/** `method:parameters$salt$hex` of werkzeug.security. Bounds, since a migrated row is a stranger's. */
async function checkWerkzeug(stored: string, password: string): Promise<boolean> {
  const [method = "", salt = "", hex = "", more] = stored.split("$");
  if (more !== undefined || salt === "" || !/^(?:[0-9a-f]{2}){16,64}$/.test(hex)) return false;
  const expected = Buffer.from(hex, "hex");
  const [name, ...parameters] = method.split(":");
  if (name === "pbkdf2") {
    const [digest = "", rounds = "260000"] = parameters;
    const iterations = Number(rounds);
    if (!["sha1", "sha256", "sha512"].includes(digest)) return false;
    if (!Number.isInteger(iterations) || iterations < 1 || iterations > 5_000_000) return false;
    const found = await promisify(pbkdf2)(password, salt, iterations, expected.length, digest);
    return timingSafeEqual(found, expected);
  }
  if (name === "scrypt") {
    const [N = 32_768, r = 8, p = 1] = parameters.map(Number);
    const memory = 128 * N * r * p;
    if (![N, r, p].every((n) => Number.isInteger(n) && n > 0) || memory > 256 * 1024 * 1024)
      return false;
    // Not a power of two: scrypt would throw.
    if ((N & (N - 1)) !== 0 || N < 2) return false;
    const found = await new Promise<Buffer>((resolve, reject) => {
      scrypt(
        password,
        salt,
        expected.length,
        { N, r, p, maxmem: 2 * memory + 1024 },
        (error, key) => (error ? reject(error) : resolve(key)),
      );
    });
    return timingSafeEqual(found, expected);
  }
  return false;
}
