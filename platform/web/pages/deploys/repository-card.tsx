import { GitBranch, RefreshCw, Undo2 } from "lucide-react";
import { useState } from "react";
import { ask, path } from "../../ask/ask-server.ts";
import { useMay } from "../../ask/session.ts";
import { Button } from "../../parts/button.tsx";
import { Ago } from "../../parts/time.tsx";
import { say, sayFailed } from "../../parts/toasts.tsx";
import { type Line, nameOf, type Repository, short } from "./deploy-words.ts";

export const repositoryPath = (tenant: string, repository: string): string =>
  path`/api/platform/tenants/${tenant}/repositories/${repository}`;

/** What is live of one repository, whether it is held back, and the deeds on it. */
export function RepositoryCard({
  tenant,
  at,
  deploys,
}: {
  readonly tenant: string;
  readonly at: Repository;
  readonly deploys: readonly Line[];
}) {
  const may = useMay(tenant);
  const [busy, setBusy] = useState(false);
  const isSyncing = deploys.some(
    ({ repository, state }) => repository === at.repository && state === "syncing",
  );
  const send = async (what: string, done: string, work: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    try {
      await work();
      say(done);
    } catch (error) {
      sayFailed(what, error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section
      aria-label={`Repository ${at.repository}`}
      className="min-w-72 max-w-full grow rounded-lg border border-line bg-surface px-3 py-2 text-sm md:max-w-2xl"
    >
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <h2 className="tenant-text min-w-0 truncate font-semibold">{at.repository}</h2>
        <span className="tenant-text inline-flex min-w-0 items-center gap-1 text-muted">
          <GitBranch size={14} aria-hidden /> {at.branch}
        </span>
        <span>
          live: <code>{at.live_commit === null ? "nothing yet" : short(at.live_commit)}</code>
        </span>
        <span className="text-muted">
          {isSyncing ? (
            <span className="text-text">syncing …</span>
          ) : (
            <>
              looked at <Ago at={at.checked_at} />
            </>
          )}
        </span>
        {may("repo.push") && (
          <Button
            className="ml-auto"
            icon={<RefreshCw size={14} />}
            disabled={busy}
            onClick={() =>
              void send(
                `${at.repository} could not be synced`,
                `A sync of ${at.repository} was asked for`,
                () =>
                  ask(`${repositoryPath(tenant, at.repository)}/sync`, {
                    method: "POST",
                    body: {},
                  }),
              )
            }
          >
            Sync now
          </Button>
        )}
      </div>
      {at.failing !== null && (
        <p role="alert" className="tenant-text mt-1 text-danger">
          It cannot be read: {at.failing.message}. {at.failing.hint}
        </p>
      )}
      {at.rollback !== null && (
        <div className="mt-1.5 flex flex-wrap items-center gap-2 rounded-md bg-warn-soft px-2 py-1 text-warn">
          <p className="min-w-0 grow">
            Rolled back to <code>{short(at.rollback.commit)}</code> by {nameOf(at.rollback.by)}{" "}
            <Ago at={at.rollback.at} />, in place of <code>{short(at.rollback.instead_of)}</code>.
            It holds until the next push.
          </p>
          {may("repo.write") && (
            <Button
              icon={<Undo2 size={14} />}
              disabled={busy}
              onClick={() =>
                void send(
                  "The rollback could not be taken back",
                  `Taken back: the newest commit of ${at.branch} goes live again`,
                  () =>
                    ask(`${repositoryPath(tenant, at.repository)}/rollback`, { method: "DELETE" }),
                )
              }
            >
              Take back
            </Button>
          )}
        </div>
      )}
    </section>
  );
}
