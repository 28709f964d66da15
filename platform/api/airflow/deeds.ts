/** What the door says, as HTTP. */
import type { Answer } from "../../model/answer.ts";
import type { DeedProblem } from "../deps.ts";
import { badRequest, conflict, notFound } from "../problem.ts";

export function done<T>(answer: Answer<T, DeedProblem>): T {
  if (answer.ok) return answer.value;
  const { kind, message } = answer.problem;
  switch (kind) {
    case "not_found":
      throw notFound(message);
    case "exists":
      throw conflict(message);
    case "refused":
      throw badRequest(message);
  }
}
