import { useState } from "react";
import type { Variable } from "../../../api/ui/things.ts";
import { Field, Input } from "../../parts/fields.tsx";
import { NamedIn } from "./named-in.tsx";
import { TextArea } from "./text-area.tsx";
import { ThingDialog } from "./thing-dialog.tsx";
import { changedFields, onePath } from "./use-things.ts";

const mask = "***";

export function VariableDialog({
  tenant,
  variable,
  mayWrite,
  onClose,
}: {
  readonly tenant: string;
  readonly variable: Variable | undefined;
  readonly mayWrite: boolean;
  readonly onClose: () => void;
}) {
  const isSecret = variable?.value === mask;
  const [key, setKey] = useState(variable?.key ?? "");
  const [value, setValue] = useState(isSecret ? "" : (variable?.value ?? ""));
  const [description, setDescription] = useState(variable?.description ?? "");
  const name = variable?.key;
  return (
    <ThingDialog
      tenant={tenant}
      kind="variables"
      what="variable"
      name={name}
      mayWrite={mayWrite}
      fields={() =>
        key === ""
          ? "It needs a key."
          : changedFields(variable, {
              ...(name === undefined ? { key } : {}),
              value: isSecret && value === "" ? undefined : value,
              description: description === "" ? null : description,
            })
      }
      onClose={onClose}
      copies={
        name === undefined
          ? { command: ["variables", "list", tenant] }
          : {
              command: ["variables", "get", `${tenant}/${name}`],
              api: { path: onePath(tenant, "variables", name) },
            }
      }
      more={name === undefined ? null : <NamedIn tenant={tenant} kind="var" name={name} />}
    >
      {name === undefined && (
        <Field
          label="Key"
          hint="A key that speaks of a secret (password, token, api_key …) makes its value write-only."
        >
          <Input
            value={key}
            onChange={({ target }) => setKey(target.value)}
            maxLength={250}
            autoComplete="off"
          />
        </Field>
      )}
      <Field
        label="Value"
        hint={
          isSecret
            ? "It is a secret and never shown; left empty it stays as it is."
            : "Text, or JSON that tasks read with deserialize_json."
        }
      >
        <TextArea
          rows={6}
          value={value}
          placeholder={isSecret ? "unchanged" : ""}
          onChange={({ target }) => setValue(target.value)}
        />
      </Field>
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
