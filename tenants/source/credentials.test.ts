import { createHmac, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { hostKeysOf } from "./credentials.ts";

const key = "AAAAC3NzaC1lZDI1NTE5AAAAIAAA";
const salt = randomBytes(20);
const hashed = `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update("github.com").digest("base64")}`;

test.each([
  [`github.com ssh-ed25519 ${key}`, "github.com", 22, 1],
  [`github.com,140.82.121.3 ssh-ed25519 ${key} comment`, "github.com", 22, 1],
  [`${hashed} ssh-ed25519 ${key}`, "github.com", 22, 1],
  [`[git.example.org]:2222 ecdsa-sha2-nistp256 ${key}`, "git.example.org", 2222, 1],
  [`git.example.org ssh-ed25519 ${key}`, "git.example.org", 2222, 0],
  [`@revoked github.com ssh-ed25519 ${key}`, "github.com", 22, 0],
  [`# github.com ssh-ed25519 ${key}`, "github.com", 22, 0],
  [`gitlab.com ssh-ed25519 ${key}`, "github.com", 22, 0],
  [`*.com ssh-ed25519 ${key}`, "github.com", 22, 0],
])("%s holds, for %s:%i, %i keys", (lines, host, port, count) => {
  expect(hostKeysOf(lines, host, port)).toHaveLength(count);
});
