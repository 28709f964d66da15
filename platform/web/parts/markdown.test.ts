import { expect, test } from "vitest";
import { safeAddress } from "./markdown.tsx";

test.each([
  "https://example.org/runbook?a=1#b",
  "http://10.0.0.1:8080/",
  "mailto:ann@example.org",
  "HTTPS://example.org/",
])("%s leads somewhere", (address) => {
  expect(safeAddress(address)).toBe(address);
});

test.each([
  "javascript:alert(1)",
  "JaVaScRiPt:alert(1)",
  " javascript:alert(1)",
  "java\tscript:alert(1)",
  "java\nscript:alert(1)",
  "\u0001javascript:alert(1)",
  "vbscript:msgbox(1)",
  "data:text/html,<script>alert(1)</script>",
  "blob:https://example.org/1",
  "file:///etc/passwd",
  "view-source:https://example.org",
  // Relative to this page, where their reader is signed in.
  "/t/acme/api/v2/dags",
  "//example.org/x",
  "../sign-out",
  "?tab=code",
  "#x",
  "",
])("%j leads nowhere", (address) => {
  expect(safeAddress(address)).toBe("");
});
