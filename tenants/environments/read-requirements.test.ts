import { expect, test } from "vitest";
import { readRequirements } from "./read-requirements.ts";

const read = (text: string, files: { readonly [path: string]: string } = {}) =>
  readRequirements("requirements.txt", text, (path) => files[path]);

test("comments, continued lines and included files become plain lines", () => {
  const answer = read(
    "\ufeff# top\nsix==1.16.0  # why\nfoo>=1 \\\n  --hash=sha256:ab\n-r more/base.txt\n",
    {
      "more/base.txt": "Bar_Baz[extra]~=2.0 ; python_version > '3'\n-c ../limits.txt",
      "limits.txt": "urllib3<2",
    },
  );
  expect(answer).toMatchObject({
    ok: true,
    value: {
      lines: [
        "six==1.16.0",
        "foo>=1 --hash=sha256:ab",
        "Bar_Baz[extra]~=2.0 ; python_version > '3'",
      ],
      constraints: ["urllib3<2"],
    },
  });
  if (answer.ok)
    expect(answer.value.places.get("bar-baz")).toEqual({ path: "more/base.txt", line: 1 });
});

test.each([
  ["-e .", "Editable"],
  ["--editable=git+https://x/y", "Editable"],
  ["./lib", "path"],
  ["../lib", "path"],
  ["/etc/passwd", "path"],
  ["lib @ file:///etc", "path"],
  ["lib @ https://example.org/lib.whl", "address"],
  ["https://example.org/lib.whl", "address"],
  ["git+ssh://git@example.org/lib", "address"],
  ["--index-url https://example.org", "--index-url"],
  ["--extra-index-url=https://example.org", "--extra-index-url"],
  ["--find-links /tmp", "--find-links"],
  ["--trusted-host x", "--trusted-host"],
  ["--global-option=x", "--global-option"],
  ["-r /etc/passwd", "not in the repository"],
  ["-r ../../etc/passwd", "not in the repository"],
  ["-r none.txt", "not in the repository"],
  ["!!!", "no requirement"],
])("%s is refused, with its line and the way out", (line, words) => {
  const answer = read(`six\n\n${line}\n`);
  expect(answer).toMatchObject({ ok: false, problem: { path: "requirements.txt", line: 3 } });
  if (!answer.ok) {
    expect(answer.problem.message).toContain(words);
    expect(answer.problem.hint).not.toBe("");
  }
});

test("files that include each other are read once", () => {
  expect(read("-r a.txt\nsix", { "a.txt": "-r requirements.txt\nfoo" })).toMatchObject({
    ok: true,
    value: { lines: ["foo", "six"] },
  });
});
