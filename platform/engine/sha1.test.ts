import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sha1Hex } from "./sha1.ts";

test("it is SHA-1, for every text and length", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      expect(sha1Hex(text)).toBe(createHash("sha1").update(text).digest("hex"));
    }),
  );
});
