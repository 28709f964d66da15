import { dagsOfFile } from "../store/read-graph.ts";
import type { Ask } from "./endpoint.ts";
import { notFound } from "./problem.ts";

/** A file may hold other DAGs too, or have held them; who may not read the code of all of them may not read it. */
export async function mustReadFile(
  ask: Ask<unknown, unknown>,
  file: { readonly repository: string; readonly path: string },
): Promise<void> {
  const dags = await ask.tx((tx) => dagsOfFile(tx, file));
  if (!dags.every((dag) => ask.may("code.read", `dag:${dag}`))) throw notFound();
}
