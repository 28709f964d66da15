import { apiPath, askServer } from "../ask-server.ts";
import { columns, printAnswer } from "../print-answer.ts";
import type { Shared } from "../verb-options.ts";
import { refOf } from "./find-run.ts";

export async function pause(name: string, paused: boolean, options: Shared): Promise<void> {
  const ref = refOf(name, "dag");
  const row = await askServer(options).send(
    "PATCH",
    apiPath(ref.tenant, "dags", ref.dag ?? ""),
    { is_paused: paused },
    { update_mask: "is_paused" },
  );
  await printAnswer(row, options.output, columns("dag_id", "is_paused"));
}
