import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readIndexSettings } from "./index-settings.ts";

test("without settings the public index is the only thing to reach", () => {
  expect(readIndexSettings({}, [])).toMatchObject({
    egress: [
      { host: "pypi.org", port: 443 },
      { host: "files.pythonhosted.org", port: 443 },
    ],
    binds: [],
    hosts: ["pypi.org", "files.pythonhosted.org"],
  });
});

test("a machine's index, proxy and certificates are handed on, and nothing else of its environment", () => {
  const { env, egress } = readIndexSettings(
    {
      PIP_INDEX_URL: "https://index.test:8443/simple",
      PIP_TARGET: "/elsewhere",
      HTTPS_PROXY: "http://proxy.test:3128",
      PIP_CERT: "/none/ca.pem",
      DATABASE_URL: "postgres://secret",
      AIRLOCK_SECRET_KEY: "secret",
    },
    [],
  );
  expect(egress).toEqual([
    { host: "index.test", port: 8443 },
    { host: "proxy.test", port: 3128 },
  ]);
  expect(Object.keys(env).sort()).toEqual([
    "HTTPS_PROXY",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
    "PIP_INDEX_URL",
    "PIP_RETRIES",
  ]);
});

test("pip.conf counts, and the environment wins over it", () => {
  const folder = mkdtempSync(join(tmpdir(), "pip-"));
  const path = join(folder, "pip.conf");
  writeFileSync(
    path,
    "[global]\nindex-url = https://from.file/simple\ntarget = /x\n[install]\nfind-links =\n  /a\n  /b\n[other]\ncert = /no\n",
  );
  expect(readIndexSettings({}, [path])).toMatchObject({
    env: { PIP_INDEX_URL: "https://from.file/simple", PIP_FIND_LINKS: "/a /b" },
    egress: [{ host: "from.file", port: 443 }],
  });
  expect(readIndexSettings({ PIP_INDEX_URL: "http://other.test" }, [path]).egress).toEqual([
    { host: "other.test", port: 80 },
  ]);
  rmSync(folder, { recursive: true });
});
