import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { type ReactNode, useRef } from "react";
import type { Connection, Pool, Variable } from "../../../api/ui/things.ts";
import { useMay } from "../../ask/session.ts";
import { useKeys } from "../../frame/keys.ts";
import { Button } from "../../parts/button.tsx";
import { CopyAs } from "../../parts/copy-as.tsx";
import { Input } from "../../parts/fields.tsx";
import { Empty, Failed, Loading, PageHead, Panel } from "../../parts/panels.tsx";
import { Table } from "../../parts/table.tsx";
import { ConnectionDialog } from "./connection-dialog.tsx";
import { PoolDialog } from "./pool-dialog.tsx";
import { type Kind, listPath, useThings } from "./use-things.ts";
import { VariableDialog } from "./variable-dialog.tsx";

const tabs = [
  { kind: "connections", text: "Connections", one: "connection", read: "conn.read" },
  { kind: "variables", text: "Variables", one: "variable", read: "var.read" },
  { kind: "pools", text: "Pools", one: "pool", read: "pool.read" },
] as const;
const writeOf = { connections: "conn.write", variables: "var.write", pools: "pool.write" } as const;

export function ThingsPage() {
  const { tenant } = useParams({ from: "/t/$tenant/things" });
  const search = useSearch({ from: "/t/$tenant/things" });
  const navigate = useNavigate({ from: "/t/$tenant/things" });
  const may = useMay(tenant);
  const find = useRef<HTMLInputElement>(null);
  const shown = tabs.filter(({ read }) => may(read));
  const tab = shown.find(({ kind }) => kind === search.tab) ?? shown[0];
  const change = (to: Partial<typeof search>): void =>
    void navigate({ search: (old) => ({ ...old, ...to }), replace: true });
  const close = (): void => change({ open: undefined, make: undefined });
  const mayWrite = tab !== undefined && may(writeOf[tab.kind]);
  useKeys("Connections, variables, pools", {
    "/": { does: "Find by name", run: () => find.current?.focus() },
    n: {
      does: "Make a new one",
      run: () => {
        if (mayWrite) change({ make: true });
      },
    },
  });
  if (tab === undefined)
    return <Empty title="None of a tenant's connections, variables and pools are yours to read." />;
  const list = {
    tenant,
    like: search.q,
    mayWrite,
    open: search.open,
    make: search.make === true,
    onOpen: (open: string) => change({ open }),
    onClose: close,
  };
  return (
    <>
      <PageHead
        crumbs={[{ text: tenant, to: "/t/$tenant", params: { tenant } }]}
        title="Connections, variables, pools"
      >
        <CopyAs command={[tab.kind, "list", tenant]} api={{ path: listPath(tenant, tab.kind) }} />
      </PageHead>
      <div className="flex flex-wrap items-center gap-2 px-4 pb-2">
        <div role="tablist" aria-label="Kinds" className="flex gap-1">
          {shown.map(({ kind, text }) => (
            <button
              key={kind}
              type="button"
              role="tab"
              id={`tab-${kind}`}
              aria-selected={kind === tab.kind}
              aria-controls="things"
              onClick={() => change({ tab: kind, open: undefined, make: undefined, q: undefined })}
              className={`h-8 rounded-md px-3 text-sm ${kind === tab.kind ? "bg-accent-soft font-semibold" : "hover:bg-sunken"}`}
            >
              {text}
            </button>
          ))}
        </div>
        <Input
          ref={find}
          aria-label="Find by name"
          placeholder="Find by name …"
          className="!w-56"
          value={search.q ?? ""}
          onChange={({ target }) => change({ q: target.value || undefined })}
        />
        {mayWrite && (
          <Button
            look="primary"
            icon={<Plus size={14} />}
            className="sm:ml-auto"
            onClick={() => change({ make: true })}
          >
            New {tab.one}
          </Button>
        )}
      </div>
      <div id="things" role="tabpanel" aria-labelledby={`tab-${tab.kind}`} className="px-4 pb-6">
        {tab.kind === "connections" && <Connections {...list} />}
        {tab.kind === "variables" && <Variables {...list} />}
        {tab.kind === "pools" && <Pools {...list} />}
      </div>
    </>
  );
}

type ListOf = {
  readonly tenant: string;
  readonly like: string | undefined;
  readonly mayWrite: boolean;
  readonly open: string | undefined;
  readonly make: boolean;
  readonly onOpen: (name: string) => void;
  readonly onClose: () => void;
};

function Connections({ tenant, like, mayWrite, open, make, onOpen, onClose }: ListOf) {
  const found = useThings<Connection>(tenant, "connections", like);
  const one = found.rows.find(({ connection_id }) => connection_id === open);
  return (
    <>
      <List
        kind="connections"
        found={found}
        like={like}
        columns={["Name", "Type", "Host", "Login", "Description"]}
        empty="A connection says how tasks reach another system: host, login, password. Tasks ask for it by its name."
        row={(row) => (
          <tr key={row.connection_id}>
            <Name name={row.connection_id} onOpen={onOpen} />
            <td className="tenant-text">{row.conn_type}</td>
            <td className="tenant-text min-w-32">
              {row.host ?? "–"}
              {row.port !== null && `:${row.port}`}
            </td>
            <td className="tenant-text">
              {row.login ?? "–"}
              {row.password !== null && <span className="text-muted"> with a password</span>}
            </td>
            <td className="tenant-text min-w-32 text-muted">{row.description}</td>
          </tr>
        )}
      />
      {(one !== undefined || make) && (
        <ConnectionDialog
          key={one?.connection_id ?? ""}
          tenant={tenant}
          connection={one}
          mayWrite={mayWrite}
          onClose={onClose}
        />
      )}
    </>
  );
}

function Variables({ tenant, like, mayWrite, open, make, onOpen, onClose }: ListOf) {
  const found = useThings<Variable>(tenant, "variables", like);
  const one = found.rows.find(({ key }) => key === open);
  return (
    <>
      <List
        kind="variables"
        found={found}
        like={like}
        columns={["Key", "Value", "Description"]}
        empty="A variable is a value that tasks read by its key, and that can be changed without a push."
        row={(row) => (
          <tr key={row.key}>
            <Name name={row.key} onOpen={onOpen} />
            <td className="tenant-text min-w-40">
              {row.value === "***" ? (
                <span className="text-muted">secret, never shown</span>
              ) : (
                <code>{row.value.length > 200 ? `${row.value.slice(0, 200)}…` : row.value}</code>
              )}
            </td>
            <td className="tenant-text min-w-32 text-muted">{row.description}</td>
          </tr>
        )}
      />
      {(one !== undefined || make) && (
        <VariableDialog
          key={one?.key ?? ""}
          tenant={tenant}
          variable={one}
          mayWrite={mayWrite}
          onClose={onClose}
        />
      )}
    </>
  );
}

function Pools({ tenant, like, mayWrite, open, make, onOpen, onClose }: ListOf) {
  const found = useThings<Pool>(tenant, "pools", like);
  const one = found.rows.find(({ name }) => name === open);
  return (
    <>
      <List
        kind="pools"
        found={found}
        like={like}
        columns={["Name", "Slots", "Taken", "Waiting", "Deferred", "Description"]}
        empty="A pool limits how many task instances run at once, wherever they come from."
        row={(row) => (
          <tr key={row.name}>
            <Name name={row.name} onOpen={onOpen} />
            <td className="tabular-nums">{row.slots < 0 ? "no limit" : row.slots}</td>
            <td className="tabular-nums">{row.occupied_slots}</td>
            <td className="tabular-nums">{row.scheduled_slots}</td>
            <td className="tabular-nums">
              {row.deferred_slots}
              {row.include_deferred && <span className="text-muted"> (counted)</span>}
            </td>
            <td className="tenant-text min-w-32 text-muted">{row.description}</td>
          </tr>
        )}
      />
      {(one !== undefined || make) && (
        <PoolDialog
          key={one?.name ?? ""}
          tenant={tenant}
          pool={one}
          mayWrite={mayWrite}
          onClose={onClose}
        />
      )}
    </>
  );
}

function Name({
  name,
  onOpen,
}: {
  readonly name: string;
  readonly onOpen: (name: string) => void;
}) {
  return (
    <td className="min-w-40">
      <button
        type="button"
        onClick={() => onOpen(name)}
        className="tenant-text text-left font-medium underline decoration-line-strong hover:decoration-current"
      >
        {name}
      </button>
    </td>
  );
}

function List<T>({
  kind,
  found,
  like,
  columns,
  empty,
  row,
}: {
  readonly kind: Kind;
  readonly found: ReturnType<typeof useThings<T>>;
  readonly like: string | undefined;
  readonly columns: readonly string[];
  readonly empty: string;
  readonly row: (row: T) => ReactNode;
}) {
  if (found.error !== null)
    return <Failed error={found.error} retry={() => void found.refetch()} />;
  if (found.isPending) return <Loading what="Loading" />;
  return (
    <Panel>
      {found.rows.length === 0 ? (
        <Empty title={like === undefined ? `There are no ${kind} yet` : "None has such a name"}>
          <p>{empty}</p>
        </Empty>
      ) : (
        <Table label={kind} columns={columns.map((head) => ({ head }))}>
          {found.rows.map(row)}
        </Table>
      )}
      {found.hasNextPage && (
        <div className="border-t border-line p-2 text-center">
          <Button disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
            Show more ({found.total - found.rows.length})
          </Button>
        </div>
      )}
    </Panel>
  );
}
