import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { BulkDeed, BulkPreview } from "../../../api/ui/runs-explorer.ts";
import { ask, path } from "../../ask/ask-server.ts";
import { deedWords } from "../../deeds/bulk-words.ts";
import { DeedProblem, Heed } from "../../deeds/deed-parts.tsx";
import { Button } from "../../parts/button.tsx";
import { CopyAs } from "../../parts/copy-as.tsx";
import { countOf, countText } from "../../parts/durations.ts";
import { Checkbox } from "../../parts/fields.tsx";
import { Dialog } from "../../parts/overlay.tsx";
import { Loading } from "../../parts/panels.tsx";

/** What the deed would be done on, and on what not; asked for, it waits five seconds (see the banner). */
export function BulkDialog({
  tenant,
  deed,
  meant,
  onClose,
}: {
  readonly tenant: string;
  readonly deed: BulkPreview["deed"];
  readonly meant: { readonly runs: readonly string[] } | { readonly filter: object };
  readonly onClose: (isAsked: boolean) => void;
}) {
  const client = useQueryClient();
  const [latest, setLatest] = useState(true);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  // Made once: sent again after a lost answer it is the same deed.
  const [id] = useState(() => crypto.randomUUID());
  const api = path`/t/${tenant}/api/ui/runs/deeds`;
  const preview = useQuery({
    queryKey: ["bulk preview", tenant, deed, meant],
    queryFn: ({ signal }) =>
      ask<BulkPreview>(`${api}/preview`, { method: "POST", body: { deed, ...meant }, signal }),
    staleTime: 0,
    gcTime: 0,
  });
  const isClear = deed === "clear" || deed === "clear_failed";
  const runs = preview.data?.runs ?? [];
  const body = { id, deed, latest: isClear && latest, runs };
  const create = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      await ask<BulkDeed>(api, { method: "POST", body });
      await client.invalidateQueries({ queryKey: ["bulk deeds", tenant] });
      onClose(true);
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      open
      onClose={() => onClose(false)}
      title={`${deedWords[deed].deed}: many runs`}
      describe="It waits five seconds in which you can take it back, from any tab."
      foot={
        <>
          <CopyAs api={{ method: "POST", path: api, body }} />
          <Button onClick={() => onClose(false)}>Cancel</Button>
          <Button
            look={deed === "delete" || deed === "stop" ? "danger" : "primary"}
            disabled={busy || runs.length === 0}
            onClick={() => void create()}
          >
            {deedWords[deed].deed}: {countOf(runs.length, "run")}
          </Button>
        </>
      }
    >
      {preview.data === undefined ? (
        preview.error === null ? (
          <Loading what="What it would touch" />
        ) : (
          <DeedProblem error={preview.error} />
        )
      ) : (
        <>
          <p>
            <strong>{countOf(runs.length, "run")}</strong> of {countText(preview.data.dags)} DAG
            {preview.data.dags === 1 ? "" : "s"} {deedWords[deed].will}:{" "}
            {countText(preview.data.instances)} task instances.
          </p>
          {preview.data.capped && (
            <Heed>
              More than 10,000 runs match; one deed takes the newest 10,000. Do the rest after it.
            </Heed>
          )}
          {preview.data.cannot.length > 0 && (
            <ul className="mt-3 list-disc pl-5 text-muted">
              {preview.data.cannot.map(({ why, count, examples }) => (
                <li key={why}>
                  Not on {countText(count)}: {why}
                  {examples.length > 0 && (
                    <span className="tenant-text">
                      {" "}
                      ({examples.join(", ")}
                      {count > examples.length ? " …" : ""})
                    </span>
                  )}
                </li>
              ))}
            </ul>
          )}
          {isClear && (
            <div className="mt-3">
              <Checkbox label="On the newest version" checked={latest} onChange={setLatest} />
            </div>
          )}
        </>
      )}
      <DeedProblem error={problem} />
    </Dialog>
  );
}
