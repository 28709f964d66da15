/** Airflow's bulk PATCH of connections, variables and pools: a list of actions, each with its own answer. */
import { z } from "zod";
import { HttpProblem } from "../problem.ts";

export const bulkBody = <E extends z.ZodType>(
  entity: E,
): { actions: z.ZodArray<ReturnType<typeof action<E>>> } => ({
  actions: z.array(action(entity)).max(100),
});

const action = <E extends z.ZodType>(entity: E) =>
  z.discriminatedUnion("action", [
    z.object({
      action: z.literal("create"),
      entities: z.array(entity).max(1_000),
      action_on_existence: z.enum(["fail", "skip", "overwrite"]).nullish(),
    }),
    z.object({
      action: z.literal("update"),
      entities: z.array(entity).max(1_000),
      action_on_non_existence: z.enum(["fail", "skip"]).nullish(),
      update_mask: z.array(z.string().max(100)).max(50).nullish(),
    }),
    z.object({
      action: z.literal("delete"),
      entities: z.array(z.unknown()).max(1_000),
      action_on_non_existence: z.enum(["fail", "skip"]).nullish(),
    }),
  ]);

export type BulkAction<E> =
  | {
      action: "create";
      entities: E[];
      action_on_existence?: "fail" | "skip" | "overwrite" | null | undefined;
    }
  | {
      action: "update";
      entities: E[];
      action_on_non_existence?: "fail" | "skip" | null | undefined;
      update_mask?: string[] | null | undefined;
    }
  | {
      action: "delete";
      entities: unknown[];
      action_on_non_existence?: "fail" | "skip" | null | undefined;
    };

/**
 * What one entity needs: whether it is there, and the three deeds. `allow` is asked for every single one, and an
 * overwrite is a change, not a creation.
 */
export type BulkDeeds<E> = {
  readonly nameOf: (entity: E) => string;
  readonly idField: string;
  /** 403 or 404 where the asker may not. */
  readonly allow: (name: string) => void;
  readonly exists: (name: string) => Promise<boolean>;
  readonly create: (entity: E) => Promise<void>;
  readonly update: (entity: E, mask: readonly string[] | undefined) => Promise<void>;
  readonly remove: (name: string) => Promise<void>;
};

type Part = { success: string[]; errors: { error: string; status_code: number }[] };

export async function runBulk<E>(
  actions: readonly BulkAction<E>[],
  deeds: BulkDeeds<E>,
): Promise<{ create: Part | null; update: Part | null; delete: Part | null }> {
  const result: { create: Part | null; update: Part | null; delete: Part | null } = {
    create: null,
    update: null,
    delete: null,
  };
  for (const step of actions) {
    const part = (result[step.action] ??= { success: [], errors: [] });
    for (const entity of step.entities) {
      try {
        const name = await one(step, entity, deeds);
        if (name !== undefined) part.success.push(name);
      } catch (error) {
        if (!(error instanceof HttpProblem)) throw error;
        const told =
          typeof error.detail === "string" ? error.detail : (error.detail[0]?.msg ?? "invalid");
        part.errors.push({ error: told, status_code: error.status });
      }
    }
  }
  return result;
}

/** The name, if something was done. */
async function one<E>(
  step: BulkAction<E>,
  entity: unknown,
  deeds: BulkDeeds<E>,
): Promise<string | undefined> {
  const name =
    step.action === "delete" ? deletedName(entity, deeds.idField) : deeds.nameOf(entity as E);
  deeds.allow(name);
  const exists = await deeds.exists(name);
  switch (step.action) {
    case "create":
      if (!exists) await deeds.create(entity as E);
      else if (step.action_on_existence === "overwrite") await deeds.update(entity as E, undefined);
      else if (step.action_on_existence === "skip") return undefined;
      else throw new HttpProblem(409, `${name} already exists`);
      return name;
    case "update":
      if (exists) await deeds.update(entity as E, step.update_mask ?? undefined);
      else if (step.action_on_non_existence === "skip") return undefined;
      else throw new HttpProblem(404, `${name} was not found`);
      return name;
    case "delete":
      if (exists) await deeds.remove(name);
      else if (step.action_on_non_existence === "skip") return undefined;
      else throw new HttpProblem(404, `${name} was not found`);
      return name;
  }
}

/** Airflow takes the bare name, or an object that has it. */
function deletedName(entity: unknown, field: string): string {
  const name =
    typeof entity === "object" && entity !== null && field in entity
      ? (entity as Record<string, unknown>)[field]
      : entity;
  if (typeof name !== "string" || name.includes("\0") || !name.isWellFormed() || name.length > 250)
    throw new HttpProblem(422, `${field} must be a name`);
  return name;
}
