/** A verdict and its reasons in sentences. */
import type { Rights } from "../../../api/ui/rights.ts";

type Cell = Rights["subjects"][number]["may"][number];

export function verdictWords(cell: Cell | undefined): "may" | "may not" | "is denied" {
  if (cell?.allowed === true) return "may";
  return cell?.reasons[0]?.effect === "deny" ? "is denied" : "may not";
}

export function reasonWords(reason: Cell["reasons"][number]): string {
  const way =
    reason.via.length > 1 ? `by way of ${reason.via.slice(1).join(" → ")}` : "named itself";
  const what = `${reason.deed === "*" ? "everything" : reason.deed} on ${reason.thing === "*" ? "everything" : reason.thing}`;
  if (reason.from === "built-in") return `${reason.subject} means ${what}; ${way}`;
  const where = reason.from === "tenant" ? "a rule of the tenant" : "a rule of the platform";
  return `${where} ${reason.effect === "allow" ? "allows" : "denies"} ${reason.subject} ${what}; ${way}`;
}
