/**
 * Replaces what a task learned as a secret by `***` in everything that leaves it: the value itself and the
 * forms it takes on its way into logs (base64 at any offset, URL-encoded, JSON-escaped, line by line).
 * Not found: reversed, encrypted, cut into pieces by the author, values under five characters.
 */
const secretLengthMin = 5;
const secretsMax = 10_000;
const shown = "***";

export type Mask = {
  add(secret: string): void;
  /** For a text that is whole. */
  text(text: string): string;
  /** For a text that arrives in pieces: what may be the beginning of a secret is held back until the next piece or `end`. */
  stream(): { push(piece: string): string; end(): string };
};

export function openMask(): Mask {
  const forms = new Set<string>();
  let pattern: RegExp | undefined;
  let longest = 0;
  let beginnings = new Set<string | undefined>();

  const find = (): RegExp | undefined => {
    if (pattern === undefined && forms.size > 0) {
      // Longest first: of two secrets that begin alike the longer must win.
      const sorted = [...forms].sort((a, b) => b.length - a.length);
      longest = sorted[0]?.length ?? 0;
      beginnings = new Set(sorted.map((form) => form[0]));
      pattern = new RegExp(
        sorted.map((form) => form.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|"),
        "g",
      );
    }
    return pattern;
  };
  const text = (raw: string): string => {
    const secrets = find();
    return secrets === undefined ? raw : raw.replace(secrets, shown);
  };
  /** Index from which the end of this text could be the beginning of a secret. */
  const openEnd = (raw: string): number => {
    find();
    for (let i = Math.max(0, raw.length - longest + 1); i < raw.length; i++) {
      if (!beginnings.has(raw[i])) continue;
      const tail = raw.slice(i);
      for (const form of forms) if (form.length > tail.length && form.startsWith(tail)) return i;
    }
    return raw.length;
  };
  return {
    add: (secret) => {
      if (secret.length < secretLengthMin || forms.size > secretsMax) return;
      for (const form of formsOf(secret)) forms.add(form);
      pattern = undefined;
    },
    text,
    stream: () => {
      let held = "";
      return {
        push: (piece) => {
          const whole = held + piece;
          if (forms.size === 0) return whole;
          const secrets = find() as RegExp;
          const mayGoOn = openEnd(whole);
          let out = "";
          let from = 0;
          for (const match of whole.matchAll(secrets)) {
            // It may be the beginning of a longer secret whose end has not come yet.
            if (match.index >= mayGoOn) break;
            out += whole.slice(from, match.index) + shown;
            from = match.index + match[0].length;
          }
          const rest = whole.slice(from);
          const open = openEnd(rest);
          held = rest.slice(open);
          return out + rest.slice(0, open);
        },
        end: () => {
          const rest = text(held);
          held = "";
          return rest;
        },
      };
    },
  };
}

function formsOf(secret: string): readonly string[] {
  const lines = secret.split(/\r?\n/).filter((line) => line.length >= 8);
  const wholes = lines.length > 1 ? [secret, ...lines] : [secret];
  return wholes
    .flatMap((whole) => [
      whole,
      whole.trim(),
      encodeURIComponent(wellFormed(whole)),
      encodeURIComponent(wellFormed(whole)).replaceAll("%20", "+"),
      encodeURI(wellFormed(whole)),
      pythonQuoted(whole),
      JSON.stringify(whole).slice(1, -1),
      asciiJson(whole),
      ...base64Forms(whole),
    ])
    .filter((form) => form.length >= secretLengthMin);
}

const wellFormed = (text: string): string => text.toWellFormed();

/** urllib.parse.quote: like encodeURIComponent, but slashes stay and `!'()*` do not. */
const pythonQuoted = (text: string): string =>
  encodeURIComponent(wellFormed(text))
    .replaceAll("%2F", "/")
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** json.dumps of Python escapes everything that is not ASCII. */
const asciiJson = (text: string): string =>
  JSON.stringify(text)
    .slice(1, -1)
    .replace(/[\u0080-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Inside something longer (`user:password`) a secret begins at any of three offsets; only the middle is its own. */
function base64Forms(secret: string): readonly string[] {
  const bytes = Buffer.from(secret, "utf8");
  return [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    const from = Math.ceil((offset * 4) / 3);
    const clean = Math.floor(((offset + bytes.length) * 8) / 6);
    const own = encoded.slice(from, clean);
    if (own.length < 6) return [];
    return [own, own.replaceAll("+", "-").replaceAll("/", "_")];
  });
}
