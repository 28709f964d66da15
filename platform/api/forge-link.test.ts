import { expect, test } from "vitest";
import { forgeLink } from "./forge-link.ts";

const at = { commit: "c0ffee", path: "dags/a b#1.py" };
const file = "dags/a%20b%231.py";

test.each([
  [
    "https://github.com/acme/pipelines.git",
    `https://github.com/acme/pipelines/blob/c0ffee/${file}`,
  ],
  ["ssh://git@github.com:22/acme/x.git", `https://github.com/acme/x/blob/c0ffee/${file}`],
  [
    "https://gitlab.example.org/a/b/c.git",
    `https://gitlab.example.org/a/b/c/-/blob/c0ffee/${file}`,
  ],
  ["https://codeberg.org/a/b", `https://codeberg.org/a/b/src/commit/c0ffee/${file}`],
  ["https://gitea.example.org/a/b/", `https://gitea.example.org/a/b/src/commit/c0ffee/${file}`],
])("%s is read on its forge", (url, link) => expect(forgeLink(url, at)).toBe(link));

test.each([
  null,
  "https://git.example.org/a/b.git",
  "https://notgithub.com/a/b.git",
  "http://github.com/a/b.git",
  "https://github.com:8443/a/b.git",
  "https://github.com/",
  "https://github.com/a",
  "https://github.com/a/%22onmouseover=",
  "javascript:alert(1)",
  "nonsense",
])("%s has no link", (url) => expect(forgeLink(url, at)).toBeNull());
