/** Ctrl-K: go to any page or DAG, or do what this screen's keys do. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { useState } from "react";
import { ask, path } from "../ask/ask-server.ts";
import type { Me } from "../ask/session.ts";
import { useSections } from "./keys.ts";
import { chooseTheme } from "./theme.ts";

const item =
  "flex cursor-pointer items-center gap-2 rounded px-2 py-1.5 text-sm data-[selected=true]:bg-accent-soft";
const group =
  "[&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:py-1 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-muted";

export default function Palette({
  me,
  tenant,
  onClose,
  onKeys,
}: {
  readonly me: Me;
  readonly tenant: string | undefined;
  readonly onClose: () => void;
  readonly onKeys: () => void;
}) {
  const navigate = useNavigate();
  const sections = useSections();
  const [words, setWords] = useState("");
  const { data } = useQuery({
    queryKey: ["palette dags", tenant, words],
    enabled: tenant !== undefined && words.trim() !== "",
    queryFn: ({ signal }) =>
      ask<{ dags: readonly { dag_id: string; dag_display_name: string }[] }>(
        path`/t/${tenant ?? ""}/api/v2/dags?limit=20&dag_id_pattern=${words.trim()}`,
        { signal },
      ),
  });
  const leave = (deed: () => void) => () => {
    onClose();
    deed();
  };
  return (
    <Command.Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      label="Find anything, do anything"
      className="fixed top-[12vh] left-1/2 z-50 w-[min(94vw,40rem)] -translate-x-1/2 overflow-hidden rounded-xl border border-line bg-raised shadow-2xl"
      overlayClassName="fixed inset-0 z-40 bg-black/40"
    >
      <Command.Input
        value={words}
        onValueChange={setWords}
        placeholder="A DAG, a page, a deed …"
        className="h-11 w-full border-b border-line bg-transparent px-4 outline-none placeholder:text-muted"
      />
      <Command.List className="max-h-[60vh] overflow-auto p-1">
        <Command.Empty className="px-4 py-6 text-center text-muted">
          Nothing is called so.
        </Command.Empty>
        {tenant !== undefined && data !== undefined && (
          <Command.Group heading={`DAGs of ${tenant}`} className={group}>
            {data.dags.map(({ dag_id }) => (
              <Command.Item
                key={dag_id}
                value={`dag ${dag_id} ${words}`}
                className={item}
                onSelect={leave(
                  () =>
                    void navigate({ to: "/t/$tenant/dags/$dag", params: { tenant, dag: dag_id } }),
                )}
              >
                <span className="tenant-text">{dag_id}</span>
              </Command.Item>
            ))}
          </Command.Group>
        )}
        <Command.Group heading="This screen" className={group}>
          {sections.flatMap(({ name, keys }) =>
            Object.entries(keys()).map(([key, { does, run }]) => (
              <Command.Item
                key={`${name} ${key}`}
                value={`${does} ${name} ${key}`}
                className={item}
                onSelect={leave(run)}
              >
                {does}
                <kbd className="ml-auto text-xs text-muted">{key.replace("mod+", "Ctrl ")}</kbd>
              </Command.Item>
            )),
          )}
        </Command.Group>
        <Command.Group heading="Tenants" className={group}>
          {tenantsLike(me.tenants, words).map((one) => (
            <Command.Item
              key={one.tenant}
              value={`tenant ${one.tenant} ${one.display_name}`}
              className={item}
              onSelect={leave(
                () => void navigate({ to: "/t/$tenant", params: { tenant: one.tenant } }),
              )}
            >
              {one.tenant}
              <span className="tenant-text text-muted">{one.display_name}</span>
            </Command.Item>
          ))}
        </Command.Group>
        <Command.Group heading="Looks" className={group}>
          <Command.Item
            value="dark theme"
            className={item}
            onSelect={leave(() => chooseTheme("dark"))}
          >
            Dark theme
          </Command.Item>
          <Command.Item
            value="light theme"
            className={item}
            onSelect={leave(() => chooseTheme("light"))}
          >
            Light theme
          </Command.Item>
          <Command.Item value="keys help" className={item} onSelect={onKeys}>
            Show the keys
          </Command.Item>
        </Command.Group>
      </Command.List>
    </Command.Dialog>
  );
}

const tenantsShownMax = 30;
/** The first that hold the words: an administrator may have thousands, and each drawn one is an element. */
function tenantsLike(tenants: Me["tenants"], words: string): Me["tenants"] {
  const wanted = words.trim().toLowerCase();
  return tenants
    .filter(({ tenant, display_name: name }) => `${tenant} ${name}`.toLowerCase().includes(wanted))
    .slice(0, tenantsShownMax);
}
