import { PlugZap } from "lucide-react";
import { useState } from "react";
import type { Connection, Reached } from "../../../api/ui/things.ts";
import { ask, path } from "../../ask/ask-server.ts";
import { Button } from "../../parts/button.tsx";
import { Field, Input } from "../../parts/fields.tsx";
import { NamedIn } from "./named-in.tsx";
import { TextArea } from "./text-area.tsx";
import { ThingDialog } from "./thing-dialog.tsx";
import { changedFields, onePath } from "./use-things.ts";

const textOf = (value: string): string | null => (value === "" ? null : value);

export function ConnectionDialog({
  tenant,
  connection,
  mayWrite,
  onClose,
}: {
  readonly tenant: string;
  /** undefined: a new one. */
  readonly connection: Connection | undefined;
  readonly mayWrite: boolean;
  readonly onClose: () => void;
}) {
  const [form, setForm] = useState({
    connection_id: connection?.connection_id ?? "",
    conn_type: connection?.conn_type ?? "",
    description: connection?.description ?? "",
    host: connection?.host ?? "",
    port: connection?.port?.toString() ?? "",
    schema: connection?.schema ?? "",
    login: connection?.login ?? "",
    password: "",
    extra: connection?.extra ?? "",
  });
  const of = (name: keyof typeof form) => ({
    value: form[name],
    onChange: ({ target }: { target: { value: string } }) =>
      setForm((old) => ({ ...old, [name]: target.value })),
  });
  const name = connection?.connection_id;
  const hasPassword = connection !== undefined && connection.password !== null;
  const fields = () => {
    if (form.connection_id === "") return "It needs a name.";
    if (form.conn_type === "") return "It needs a type, for example postgres or http.";
    const port = form.port === "" ? null : Number(form.port);
    if (port !== null && !Number.isInteger(port)) return "The port must be a number.";
    return changedFields(connection, {
      ...(name === undefined ? { connection_id: form.connection_id } : {}),
      conn_type: form.conn_type,
      description: textOf(form.description),
      host: textOf(form.host),
      port,
      schema: textOf(form.schema),
      login: textOf(form.login),
      password: form.password === "" ? undefined : form.password,
      extra: textOf(form.extra),
    });
  };
  return (
    <ThingDialog
      tenant={tenant}
      kind="connections"
      what="connection"
      name={name}
      mayWrite={mayWrite}
      fields={fields}
      onClose={onClose}
      copies={
        name === undefined
          ? { command: ["connections", "list", tenant] }
          : {
              command: ["connections", "get", `${tenant}/${name}`],
              api: { path: onePath(tenant, "connections", name) },
            }
      }
      more={
        name === undefined ? null : (
          <>
            {mayWrite && <TestConnection tenant={tenant} name={name} />}
            <NamedIn tenant={tenant} kind="conn" name={name} />
          </>
        )
      }
    >
      {name === undefined && (
        <Field label="Name" hint="What tasks ask for: letters, digits and any of _.:@+()[]-">
          <Input {...of("connection_id")} maxLength={250} autoComplete="off" />
        </Field>
      )}
      <Field label="Type" hint="As in Airflow: postgres, http, aws, generic …">
        <Input {...of("conn_type")} maxLength={500} autoComplete="off" />
      </Field>
      <div className="grid grid-cols-[1fr_7rem] gap-3">
        <Field label="Host">
          <Input {...of("host")} maxLength={500} autoComplete="off" />
        </Field>
        <Field label="Port">
          <Input {...of("port")} inputMode="numeric" maxLength={5} autoComplete="off" />
        </Field>
      </div>
      <Field label="Schema" hint="The database, for most types">
        <Input {...of("schema")} maxLength={500} autoComplete="off" />
      </Field>
      <div className="grid grid-cols-2 gap-3 max-sm:grid-cols-1">
        <Field label="Login">
          <Input {...of("login")} autoComplete="off" />
        </Field>
        <Field
          label="Password"
          hint={
            hasPassword
              ? "There is one. It is never shown; left empty it stays as it is."
              : "Kept sealed, and never shown again."
          }
        >
          <Input
            {...of("password")}
            type="password"
            autoComplete="new-password"
            placeholder={hasPassword ? "unchanged" : ""}
          />
        </Field>
      </div>
      <Field
        label="Extra (JSON)"
        hint="What is secret in it is shown as ***, and stays if left so."
      >
        <TextArea {...of("extra")} rows={3} />
      </Field>
      <Field label="Description">
        <Input {...of("description")} maxLength={5_000} />
      </Field>
    </ThingDialog>
  );
}

function TestConnection({ tenant, name }: { readonly tenant: string; readonly name: string }) {
  const [state, setState] = useState<
    { kind: "idle" | "busy" } | { kind: "told"; ok: boolean; words: string }
  >({ kind: "idle" });
  const test = async (): Promise<void> => {
    setState({ kind: "busy" });
    try {
      const { ok, words, ms } = await ask<Reached>(
        path`/t/${tenant}/api/ui/connections/${name}/test`,
        { method: "POST" },
      );
      setState({ kind: "told", ok, words: `${words} (${ms} ms)` });
    } catch (error) {
      setState({
        kind: "told",
        ok: false,
        words: error instanceof Error ? error.message : String(error),
      });
    }
  };
  return (
    <section aria-label="Test" className="mt-4 border-t border-line pt-3 text-sm">
      <div className="flex flex-wrap items-center gap-3">
        <Button
          icon={<PlugZap size={14} />}
          disabled={state.kind === "busy"}
          onClick={() => void test()}
        >
          {state.kind === "busy" ? "Trying …" : "Test what is saved"}
        </Button>
        <p className="min-w-0 text-muted">
          Connects from inside the tenant's sandbox, as a task would. Login and password are not
          tried.
        </p>
      </div>
      {state.kind === "told" && (
        <p
          role="status"
          className={`tenant-text mt-2 rounded-md px-3 py-2 ${state.ok ? "bg-accent-soft" : "bg-danger-soft text-danger"}`}
        >
          {state.ok ? "✓ " : "✗ "}
          {state.words}
        </p>
      )}
    </section>
  );
}
