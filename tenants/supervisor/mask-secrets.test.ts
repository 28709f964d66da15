import { expect, test } from "vitest";
import { openMask } from "./mask-secrets.ts";

const secret = 'p4ss/w?rd+"ä"';
const mask = () => {
  const made = openMask();
  made.add(secret);
  return made;
};

test.each([
  ["itself", secret],
  ["URL-encoded", encodeURIComponent(secret)],
  ["in JSON", JSON.stringify(secret).slice(1, -1)],
  ["in Python's JSON", 'p4ss/w?rd+\\"\\u00e4\\"'],
])("a secret %s is masked", (_, form) => {
  expect(mask().text(`before ${form} after`)).toBe("before *** after");
});

test.each([0, 1, 2, 3, 4])("base64 of a secret behind %i bytes is masked", (offset) => {
  const made = openMask();
  made.add("long-enough-secret");
  const encoded = Buffer.from(`${"u".repeat(offset)}long-enough-secret:tail`).toString("base64");
  const masked = made.text(encoded);
  expect(masked).toContain("***");
  expect(Buffer.from(masked.replaceAll("***", ""), "base64").toString()).not.toContain("enough");
});

test("a secret that arrives in pieces is masked wherever it was cut", () => {
  for (let cut = 1; cut < secret.length; cut++) {
    const stream = mask().stream();
    const text = `x ${secret.slice(0, cut)}`;
    expect(stream.push(text) + stream.push(`${secret.slice(cut)} y`) + stream.end()).toBe(
      "x *** y",
    );
  }
});

test("of two secrets that begin alike the longer is masked whole, also in pieces", () => {
  const made = openMask();
  made.add("abcde");
  made.add("abcdefgh");
  const stream = made.stream();
  expect(stream.push("-abcde") + stream.push("fgh-abcde") + stream.push("x") + stream.end()).toBe(
    "-***-***x",
  );
});

test("the lines of a secret of several lines are masked alone as well", () => {
  const made = openMask();
  made.add("-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----\n");
  expect(made.text("line MIIEvQIBADANBg end")).toBe("line *** end");
});

test("what is too short to be told from ordinary words is left", () => {
  const made = openMask();
  made.add("a");
  made.add("abcd");
  expect(made.text("abcd a")).toBe("abcd a");
});

test("words without a secret pass at once", () => {
  const stream = mask().stream();
  expect(stream.push("hello world\n")).toBe("hello world\n");
});
