/** Where tenant code may connect to: exact hosts and ports, nothing else. */
import { type Answer, bad, good } from "../../platform/model/answer.ts";
import type { EgressRule } from "../../platform/model/guest.ts";

export const egressRulesMax = 200;

/** `["api.example.org:443", "[2001:db8::1]:5432"]` → rules, doubles removed. The first bad one is named. */
export function readEgressRules(raw: unknown): Answer<readonly EgressRule[], string> {
  if (!Array.isArray(raw)) return bad("egress must be a list of host:port");
  if (raw.length > egressRulesMax) return bad(`egress may have at most ${egressRulesMax} entries`);
  const rules = new Map<string, EgressRule>();
  for (const [index, entry] of raw.entries()) {
    const rule = readRule(entry);
    if (!rule.ok) return bad(`egress[${index}] ${rule.problem}`);
    rules.set(`${rule.value.host}:${rule.value.port}`, rule.value);
  }
  return good([...rules.values()]);
}

function readRule(raw: unknown): Answer<EgressRule, string> {
  if (typeof raw !== "string" || raw.length > 300)
    return bad("must be a string such as api.example.org:443");
  const match =
    /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?)):(\d{1,5})$/.exec(
      raw,
    );
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65535)
    return bad("must be a host name or address and a port, such as api.example.org:443");
  return good({ host: (match[1] ?? match[2] ?? "").toLowerCase(), port });
}
