import { useState } from "react";
import type { Pool } from "../../../api/ui/things.ts";
import { Checkbox, Field, Input } from "../../parts/fields.tsx";
import { NamedIn } from "./named-in.tsx";
import { ThingDialog } from "./thing-dialog.tsx";
import { changedFields, onePath } from "./use-things.ts";

export function PoolDialog({
  tenant,
  pool,
  mayWrite,
  onClose,
}: {
  readonly tenant: string;
  readonly pool: Pool | undefined;
  readonly mayWrite: boolean;
  readonly onClose: () => void;
}) {
  const [name, setName] = useState(pool?.name ?? "");
  const [slots, setSlots] = useState(pool?.slots.toString() ?? "");
  const [description, setDescription] = useState(pool?.description ?? "");
  const [deferred, setDeferred] = useState(pool?.include_deferred ?? false);
  return (
    <ThingDialog
      tenant={tenant}
      kind="pools"
      what="pool"
      name={pool?.name}
      mayWrite={mayWrite}
      mayRemove={mayWrite && pool?.name !== "default_pool"}
      fields={() => {
        if (name === "") return "It needs a name.";
        if (!/^-?\d{1,7}$/.test(slots)) return "Slots must be a whole number; -1 is no limit.";
        return changedFields(pool, {
          ...(pool === undefined ? { name } : {}),
          slots: Number(slots),
          description: description === "" ? null : description,
          include_deferred: deferred,
        });
      }}
      onClose={onClose}
      copies={
        pool === undefined
          ? { command: ["pools", "list", tenant] }
          : {
              command: ["pools", "get", `${tenant}/${pool.name}`],
              api: { path: onePath(tenant, "pools", pool.name) },
            }
      }
      more={pool === undefined ? null : <NamedIn tenant={tenant} kind="pool" name={pool.name} />}
    >
      {pool === undefined && (
        <Field label="Name" hint="What tasks say as pool=…">
          <Input
            value={name}
            onChange={({ target }) => setName(target.value)}
            maxLength={256}
            autoComplete="off"
          />
        </Field>
      )}
      <Field label="Slots" hint="How many may be taken at once; -1 is no limit.">
        <Input
          value={slots}
          onChange={({ target }) => setSlots(target.value)}
          inputMode="numeric"
          autoComplete="off"
        />
      </Field>
      <Checkbox
        label="Deferred task instances take their slots too"
        checked={deferred}
        disabled={!mayWrite}
        onChange={setDeferred}
      />
      <Field label="Description">
        <Input
          value={description}
          onChange={({ target }) => setDescription(target.value)}
          maxLength={5_000}
        />
      </Field>
    </ThingDialog>
  );
}
