/**
 * The readers of strangers' input, each with good input to spoil and what it promises. A reader may refuse; it may not
 * throw anything but its own problem, may not hang, and what it accepts must be harmless.
 */
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { readCookie } from "../../platform/api/same-origin.ts";
import { checkExpression } from "../../platform/api/ui/match-lines.ts";
import { compileDag } from "../../platform/engine/compile-dag.ts";
import { checkCron, nextFireMs } from "../../platform/engine/cron.ts";
import { checkTimetable, manualInterval } from "../../platform/engine/timetable.ts";
import { checkJson } from "../../platform/model/check-json.ts";
import {
  readDagId,
  readRepositoryId,
  readRunId,
  readTaskId,
  readTenantId,
} from "../../platform/model/ids.ts";
import { isObject, type Json } from "../../platform/model/json.ts";
import { dagSpecBounds, readDagSpec } from "../../platform/model/read-dag-spec.ts";
import { readAssignment, readRule } from "../../policies/authz/read-rule.ts";
import { readRequirements } from "../../tenants/environments/read-requirements.ts";
import { decode as decodeInGuest } from "../../tenants/guest/node/msgpack.ts";
import { readYamlDags } from "../../tenants/guest/yaml/read-yaml-dag.ts";
import { applyAirflowIgnore } from "../../tenants/registry/airflow-ignore.ts";
import { defaultLimits } from "../../tenants/registry/limits.ts";
import { readAirlockYaml } from "../../tenants/registry/read-airlock-yaml.ts";
import { readGitAddress, strictAddressRules } from "../../tenants/source/git-address.ts";
import { readBasic } from "../../tenants/source/serve-git.ts";
import { tellPusher } from "../../tenants/source/tell-pusher.ts";
import { FrameCutter, frameOf } from "../../tenants/supervisor/frames.ts";
import { decode, encode, FrameProblem } from "../../tenants/supervisor/msgpack.ts";
import { verifyWebhook } from "../../tenants/sync/verify-webhook.ts";
import { dagSpec, groupSpec } from "../kit/dag-spec.ts";
import { anyJson, type Dice, mutateBytes, mutateJson, mutateText, nastyTexts } from "./dice.ts";

export type Reader = {
  readonly name: string;
  /** One case. What comes back is what was broken; undefined: nothing. */
  readonly read: (dice: Dice) => string | undefined | Promise<string | undefined>;
  /** A reader that takes long by nature gets fewer cases. */
  readonly share?: number;
};

const samples = new URL("../../tenants/guest/node/samples/dags/", import.meta.url);
const yamlSample = readFileSync(new URL("orders.dag.yaml", samples), "utf8");

/** A DAG with one of everything. */
const fuzzSpec = dagSpec(
  [
    { task_id: "prepare", downstream: ["each"], is_setup: true },
    {
      task_id: "each",
      downstream: ["join", "choose"],
      map: { kind: "list", sources: [{ kind: "literal", length: 3 }] },
    },
    { task_id: "choose", downstream: ["wait"], decides: "branch" },
    {
      task_id: "wait",
      downstream: ["parts.one"],
      sensor: { mode: "reschedule", poke_interval_s: 60, timeout_s: 600, soft_fail: true },
    },
    { task_id: "parts.one", downstream: ["parts.two"], group: "parts" },
    { task_id: "parts.two", downstream: ["join"], group: "parts", max_active_tis_per_dagrun: 2 },
    {
      task_id: "join",
      downstream: ["clean"],
      trigger_rule: "one_success",
      payload: { args: ["{{ ds }}"] },
    },
    { task_id: "clean", is_teardown: true, trigger_rule: "all_done_setup_success" },
  ],
  {
    timetable: { kind: "cron_interval", expression: "0 6 * * *", timezone: "Europe/Zurich" },
    start_date: "2026-01-01T00:00:00+00:00",
    groups: [
      groupSpec({
        group_id: "parts",
        map: { kind: "product", sources: [{ kind: "literal", length: 2 }] },
      }),
    ],
    params: { day: { schema: { type: "string", pattern: "^[a-z]+$", default: "today" } } },
  },
);

const frames: readonly Json[] = [
  { type: "fork", nonce: "0".repeat(32), env: { A: "b" }, cwd: "/work" },
  {
    type: "DagFileParsingResult",
    dags: [JSON.parse(JSON.stringify(fuzzSpec)) as Json],
    errors: [],
    inputs: ["dags/x.py"],
  },
  [7, { type: "SetXCom", key: "return_value", value: { a: [1, 2.5, null, true, "ä"] } }],
  [1, { type: "Log", records: [{ at: 1, level: "info", logger: "task", event: "x".repeat(300) }] }],
];

/** A refusal, in the reader's own words, is fine; everything else that is thrown is not. */
const refuses = (work: () => unknown, own: (error: unknown) => boolean): string | undefined => {
  try {
    work();
    return undefined;
  } catch (error) {
    return own(error) ? undefined : `threw ${String((error as Error).stack).slice(0, 600)}`;
  }
};
const never = (): boolean => false;

const problemsAreBounded = (
  problems: readonly { readonly message: string }[],
  most: number,
): string | undefined =>
  problems.length > most
    ? `told ${problems.length} problems`
    : problems.find(({ message }) => message.length > 8_000)
      ? "told a problem of more than 8,000 characters"
      : undefined;

const readFrames: Reader = {
  name: "frames of a guest",
  read(dice) {
    const good = Buffer.concat(
      Array.from({ length: 1 + dice.under(3) }, () => frameOf(dice.pick(frames))),
    );
    const bytes = dice.chance(0.1) ? good : mutateBytes(dice, good);
    const cutter = new FrameCutter(256 * 1024);
    return refuses(
      () => {
        for (let at = 0; at < bytes.length; ) {
          const to = at + 1 + dice.under(200);
          cutter.push(bytes.subarray(at, to));
          at = to;
          while (cutter.take() !== undefined);
        }
      },
      (error) => error instanceof FrameProblem,
    );
  },
};

const readMessagePack: Reader = {
  name: "msgpack",
  read(dice) {
    const value = dice.chance(0.5) ? anyJson(dice, 5) : dice.pick(frames);
    const bytes = encode(value);
    if (dice.chance(0.2)) {
      // Half a character has no form on the wire.
      const whole = (json: unknown): string =>
        JSON.stringify(json).replace(/\\ud[89a-f][0-9a-f]{2}/g, "\ufffd");
      const again = whole(decode(bytes));
      return again === whole(value) ? undefined : `read ${again} for ${whole(value)}`;
    }
    const spoilt = mutateBytes(dice, bytes);
    return (
      refuses(
        () => decode(spoilt),
        (error) => error instanceof FrameProblem,
      ) ??
      refuses(
        () => decodeInGuest(spoilt),
        (error) => (error as Error).message.startsWith("msgpack"),
      )
    );
  },
};

const readSpecs: Reader = {
  name: "DAG specs",
  read(dice) {
    const good = JSON.parse(JSON.stringify(fuzzSpec)) as Json;
    const raw = mutateJson(dice, good, dice.pick([0.01, 0.03, 0.1]));
    let broken: string | undefined;
    return (
      refuses(() => {
        const read = readDagSpec(raw, dagSpecBounds);
        if (!read.ok) {
          broken = problemsAreBounded(read.problem, 30);
          return;
        }
        // What was accepted must be fit to run.
        if (checkTimetable(read.value.timetable).ok) {
          compileDag(read.value);
          manualInterval(read.value.timetable, Date.UTC(2026, 0, 1));
        }
        JSON.stringify(read.value);
      }, never) ?? broken
    );
  },
};

const readYaml: Reader = {
  name: "DAGs in YAML",
  share: 0.4,
  read(dice) {
    const text = dice.chance(0.1)
      ? dice.pick(nastyTexts).repeat(1 + dice.under(50))
      : mutateText(dice, yamlSample);
    let broken: string | undefined;
    return (
      refuses(() => {
        const { problems } = readYamlDags(Buffer.from(text), () => undefined);
        broken = problemsAreBounded(problems, 60);
      }, never) ?? broken
    );
  },
};

const settingsSample = `dags: pipelines
level: "2"
guest: light
limits: { memory: 256MiB, cpu: 0.5, processes: 40, file_size: 10MiB, log_size: 1MiB, parse_seconds: 5 }
`;

const readSettings: Reader = {
  name: "airlock.yaml",
  read(dice) {
    const grown = settingsSample.replace(/\d+(?:\.\d+)?/g, (number) =>
      dice.chance(0.3)
        ? dice.pick([
            "0",
            "-1",
            "1e9",
            "999999999",
            "0.000001",
            "99999999999999999999",
            ".inf",
            number,
          ])
        : number,
    );
    const text = dice.chance(0.5) ? grown : mutateText(dice, grown);
    let broken: string | undefined;
    return (
      refuses(() => {
        const read = readAirlockYaml(text, defaultLimits);
        if (!read.ok) {
          broken = problemsAreBounded(read.problem, 200);
          return;
        }
        const { limits, dagsFolder = "", environmentFile = "" } = read.value;
        for (const [name, most] of Object.entries(defaultLimits)) {
          const got = limits[name as keyof typeof limits];
          const isWider = name === "wallSeconds" ? got < 0 : got > most || got <= 0;
          if (isWider || !Number.isFinite(got))
            broken = `limits.${name} became ${got}, more than ${most}`;
        }
        for (const path of [dagsFolder, environmentFile])
          if (path.startsWith("/") || path.split("/").includes(".."))
            broken = `leads out of the repository: ${path}`;
      }, never) ?? broken
    );
  },
};

const ignoreSample = "# no\n*.tmp\n/build/\n!keep.py\n**/old/**\n.*\\.bak$\n[a-z]+_test\\.py\n";
const manyPaths = Array.from(
  { length: 40 },
  (_, at) => `${"a".repeat(at)}/b${at}/${"ab".repeat(at)}.py`,
);

const readIgnore: Reader = {
  name: ".airflowignore",
  share: 0.1,
  read(dice) {
    const text = mutateText(dice, ignoreSample);
    const syntax = dice.pick(["glob", "regexp", undefined] as const);
    return refuses(() => applyAirflowIgnore([{ folder: "", text }], manyPaths, syntax), never);
  },
};

const readPackets: Reader = {
  name: "git's packet lines",
  share: 0.5,
  async read(dice) {
    const line = (text: string): string => (text.length + 4).toString(16).padStart(4, "0") + text;
    const report = `${line("unpack ok\n")}${line("ok refs/heads/main\n")}0000`;
    const good = Buffer.concat([
      Buffer.from((report.length + 5).toString(16).padStart(4, "0")),
      Buffer.from([1]),
      Buffer.from(`${report}0000`),
    ]);
    const bytes = dice.chance(0.2) ? good : mutateBytes(dice, good);
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const to = at + 1 + dice.under(60);
      chunks.push(bytes.subarray(at, to));
      at = to;
    }
    const ours: Buffer[] = [];
    const out: Buffer[] = [];
    try {
      const told = tellPusher(
        (async function* () {
          yield* chunks;
        })(),
        async function* (refs) {
          if (refs.some((ref) => ref.length > 70_000)) throw new Error("a ref without bounds");
          yield "live\u001b[2J\nin 1 ms";
        },
      );
      for await (const part of told) {
        out.push(part);
        if (part.includes("live")) ours.push(part);
      }
    } catch (error) {
      return `threw ${String((error as Error).stack).slice(0, 600)}`;
    }
    if (ours.some((part) => part.includes(0x1b)))
      return "an escape sequence reached the person who pushes";
    const passed = Buffer.concat(out).length - Buffer.concat(ours).length;
    return passed >= bytes.length - 3 && passed <= bytes.length + 4
      ? undefined
      : `passed on ${passed} of ${bytes.length} bytes`;
  },
};

const secrets = ["first secret", "whsec_c2Vjb25kIHNlY3JldA=="];
const nowMs = Date.UTC(2026, 0, 1);

/** What a header proves, apart from its spelling: hex has two cases, base64 is read over what is none. */
function proofsOf(header: string, text: string): readonly string[] {
  if (header === "x-gitlab-token") return [text];
  if (header !== "webhook-signature") return [text.toLowerCase()];
  return text
    .split(" ")
    .filter((part) => part.startsWith("v1,"))
    .map((part) => Buffer.from(part.slice(3), "base64").toString("hex"));
}

const readWebhooks: Reader = {
  name: "webhooks",
  read(dice) {
    const body = Buffer.from(JSON.stringify({ ref: "refs/heads/main", after: "a".repeat(40) }));
    const secret = dice.pick(secrets);
    const hex = createHmac("sha256", secret).update(body).digest("hex");
    const stamp = String(nowMs / 1000);
    const standard = createHmac("sha256", Buffer.from("c2Vjb25kIHNlY3JldA==", "base64"))
      .update(`id1.${stamp}.`)
      .update(body)
      .digest("base64");
    const genuine: Readonly<Record<string, string>> = dice.pick<Readonly<Record<string, string>>>([
      {
        "x-hub-signature-256": `sha256=${hex}`,
        "x-github-event": "push",
        "x-github-delivery": "d",
      },
      { "x-gitea-signature": hex, "x-gitea-event": "push", "x-gitea-delivery": "d" },
      { "x-forgejo-signature": hex, "x-forgejo-event": "push" },
      { "x-gitlab-token": secret, "x-gitlab-event": "Push Hook" },
      { "webhook-signature": `v1,${standard}`, "webhook-id": "id1", "webhook-timestamp": stamp },
    ]);
    const as = (headers: Readonly<Record<string, string>>, sent: Buffer, at = nowMs): string => {
      try {
        return verifyWebhook(headers, sent, secrets, at).kind;
      } catch (error) {
        return `threw ${String((error as Error).stack).slice(0, 600)}`;
      }
    };
    if (as(genuine, body) !== "genuine") return `a genuine one was not: ${JSON.stringify(genuine)}`;
    // What proves it is spoilt, or what it proves.
    const proof = Object.keys(genuine).find((name) => /signature|token/.test(name)) ?? "";
    const forged = mutateText(dice, genuine[proof] ?? "");
    const same = proofsOf(proof, forged).some((one) =>
      proofsOf(proof, genuine[proof] ?? "").includes(one),
    );
    const kind = as({ ...genuine, [proof]: forged }, body);
    if (kind !== "refused" && !(kind === "genuine" && same))
      return `${kind}: ${JSON.stringify({ ...genuine, [proof]: forged })}`;
    const changed = mutateBytes(dice, body);
    if (proof !== "x-gitlab-token" && !changed.equals(body)) {
      const other = as(genuine, changed);
      if (other !== "refused") return `another body was ${other}`;
    }
    if (proof === "webhook-signature" && as(genuine, body, nowMs + 301_000) !== "refused")
      return "an old one was taken";
    const bare = as({ ...genuine, "x-forgejo-signature": "", [proof]: "" }, body);
    return bare === "refused" ? undefined : `without a proof it was ${bare}`;
  },
};

const readCron: Reader = {
  name: "cron",
  share: 0.5,
  read(dice) {
    const text = mutateText(
      dice,
      dice.pick([
        "0 6 * * *",
        "*/5 0-12/3 1,15 jan-dec mon#2",
        "@daily",
        "0 0 29 2 *",
        "0 0 L * 5L",
        "59 23 31 12 7",
      ]),
    );
    const zone = dice.chance(0.8)
      ? dice.pick(["UTC", "Europe/Zurich", "America/St_Johns", "Pacific/Apia"])
      : mutateText(dice, "Europe/Zurich");
    const after = Date.UTC(1970 + dice.under(130), dice.under(12), 1 + dice.under(28));
    let broken: string | undefined;
    return (
      refuses(() => {
        const checked = checkCron(text, zone);
        if (!checked.ok) {
          if (typeof checked.problem !== "string") broken = "a problem without words";
          return;
        }
        const next = nextFireMs(text, zone, after);
        if (next !== undefined && !(next > after))
          broken = `${JSON.stringify(text)} in ${zone} fires at ${next}, not after ${after}`;
        manualInterval({ kind: "cron_interval", expression: text, timezone: zone }, after);
      }, never) ?? broken
    );
  },
};

const readAddresses: Reader = {
  name: "git addresses",
  read(dice) {
    const text = mutateText(
      dice,
      dice.pick([
        "https://github.com/acme/pipelines.git",
        "ssh://git@example.org:2222/a/b.git",
        "git@example.org:a/b.git",
        "https://user:pass@host/x",
        "http://127.0.0.1/x.git",
        "file:///etc",
        "ext::sh -c id",
      ]),
    );
    let broken: string | undefined;
    return (
      refuses(() => {
        const read = readGitAddress(text, strictAddressRules);
        if (!read.ok) return;
        const { scheme, url, host } = read.value;
        if (scheme !== "https" && scheme !== "ssh")
          broken = `takes ${scheme} for ${JSON.stringify(text)}`;
        if (
          // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
          /[\u0000-\u0020\u007f]/.test(url) ||
          url.startsWith("-") ||
          host.startsWith("-") ||
          url.includes("::ffff") ||
          /:[^/@]*@/.test(url.slice(url.indexOf("//")).split("/")[2] ?? "")
        )
          broken = `shows ${JSON.stringify(url)}`;
      }, never) ?? broken
    );
  },
};

const readPackages: Reader = {
  name: "requirements",
  read(dice) {
    const text = mutateText(
      dice,
      "# ours\npandas==2.3.3 --hash=sha256:aa\nsix>=1.15 ; python_version > '3'\n-r more.txt\nrequests[socks]~=2.0 \\\n  # on\n--pre\n-c ../constraints.txt\n",
    );
    let broken: string | undefined;
    return (
      refuses(() => {
        const read = readRequirements("requirements.txt", text, (path) => {
          if (path.startsWith("/") || path.split("/").includes("..")) broken = `would read ${path}`;
          return path === "more.txt" ? "-r requirements.txt\nattrs\n-r more.txt" : undefined;
        });
        if (!read.ok) return;
        for (const line of read.value.lines)
          if (
            /^(?:-i|-f|-e|--index|--extra-index|--find|--trusted|--editable)|:\/\/|^[./~]|\n/.test(
              line,
            )
          )
            broken = `takes ${JSON.stringify(line)}`;
      }, never) ?? broken
    );
  },
};

const readRules: Reader = {
  name: "rules of rights",
  read(dice) {
    const raw = mutateJson(
      dice,
      {
        subject: dice.pick(["user:ann", "group:fin", "role:op", "anonymous"]),
        thing: dice.pick(["dag:fin_*", "*", "conn:pg"]),
        deed: "dag.read",
        effect: "allow",
      },
      0.3,
    );
    const spoilt = Object.fromEntries(
      Object.entries(isObject(raw) ? raw : {}).map(([key, value]) => [
        key,
        typeof value === "string" && dice.chance(0.5) ? mutateText(dice, value) : value,
      ]),
    );
    let broken: string | undefined;
    return (
      refuses(() => {
        const rule = readRule(spoilt);
        if (rule.ok) {
          const { subject, thing, deed } = rule.value;
          for (const text of [subject, thing, deed])
            if (
              /[,\n\r"'\\()\s]/.test(text) ||
              text.slice(0, -1).replace(/^\w+:/, "").includes("*")
            )
              broken = `takes ${JSON.stringify(text)}`;
        }
        const assignment = readAssignment({ ...spoilt, role: mutateText(dice, "viewer") });
        if (assignment.ok && /[,\n\r"'*\s]/.test(assignment.value.subject + assignment.value.role))
          broken = `takes ${JSON.stringify(assignment.value)}`;
      }, never) ?? broken
    );
  },
};

const readIds: Reader = {
  name: "ids",
  read(dice) {
    const raw: unknown = dice.chance(0.3)
      ? anyJson(dice)
      : mutateText(dice, dice.pick(["acme", "orders_etl", "manual__2026-01-01T00:00:00+00:00"]));
    for (const [kind, read] of Object.entries({
      readTenantId,
      readRepositoryId,
      readDagId,
      readTaskId,
      readRunId,
    })) {
      let got: unknown;
      const broken = refuses(() => {
        const answer = read(raw);
        got = answer.ok ? answer.value : undefined;
      }, never);
      if (broken !== undefined) return broken;
      if (
        typeof got === "string" &&
        (/[^\w.~:+@-]/.test(got) || got === "." || got === ".." || got.length > 250)
      )
        return `${kind} takes ${JSON.stringify(got)}`;
    }
    return undefined;
  },
};

const readCredentials: Reader = {
  name: "headers of who asks",
  read(dice) {
    const basic = mutateText(dice, `Basic ${Buffer.from("dan:correct horse").toString("base64")}`);
    const cookie = mutateText(dice, `a=b; airlock_session=${"A".repeat(43)}; c=d`);
    return (
      refuses(() => readBasic(basic), never) ??
      refuses(() => {
        // A browser's own reading of headers refuses what is no header; that is not ours to test.
        let request: Request;
        try {
          request = new Request("http://localhost/", { headers: { cookie } });
        } catch {
          return;
        }
        readCookie(request, "airlock_session");
      }, never)
    );
  },
};

const readExpressions: Reader = {
  name: "expressions of a search",
  share: 0.5,
  read: (dice) =>
    refuses(
      () =>
        checkExpression(
          mutateText(dice, dice.pick(["err(or|no)\\s+\\d+", "^a.*b$", "[a-z]{2,5}", "(?i)x"])),
        ),
      never,
    ),
};

const paramSchema: Json = {
  type: "object",
  properties: {
    a: { type: ["integer", "null"], minimum: 1 },
    b: { type: "array", items: { $ref: "#/properties/a" }, maxItems: 3 },
  },
  anyOf: [{ required: ["a"] }, { required: ["b"] }],
  additionalProperties: { enum: [1, "x"] },
};

const readParams: Reader = {
  name: "params and their schemas",
  read(dice) {
    const schema = mutateJson(dice, paramSchema, 0.1);
    const value = mutateJson(dice, { a: 1, b: [1, null, 2], c: "x" }, 0.2);
    let broken: string | undefined;
    return (
      refuses(() => {
        broken = problemsAreBounded(checkJson(schema, value, { matches: () => undefined }), 20);
      }, never) ?? broken
    );
  },
};

export const readers: readonly Reader[] = [
  readFrames,
  readMessagePack,
  readSpecs,
  readYaml,
  readSettings,
  readIgnore,
  readPackets,
  readWebhooks,
  readCron,
  readAddresses,
  readPackages,
  readRules,
  readIds,
  readCredentials,
  readExpressions,
  readParams,
];
