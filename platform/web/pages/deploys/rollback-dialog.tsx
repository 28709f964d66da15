import { useState } from "react";
import { ask } from "../../ask/ask-server.ts";
import { Button } from "../../parts/button.tsx";
import { CopyAs } from "../../parts/copy-as.tsx";
import { Dialog } from "../../parts/overlay.tsx";
import { say } from "../../parts/toasts.tsx";
import { type Repository, short } from "./deploy-words.ts";
import { repositoryPath } from "./repository-card.tsx";

export function RollbackDialog({
  open,
  onClose,
  tenant,
  repository,
  commit,
  subject,
}: {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly tenant: string;
  readonly repository: Repository | undefined;
  readonly commit: string;
  readonly subject: string | undefined;
}) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  if (repository === undefined) return null;
  const at = `${repositoryPath(tenant, repository.repository)}/rollback`;
  const close = (): void => {
    setProblem(undefined);
    onClose();
  };
  const goBack = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      await ask(at, { method: "POST", body: { commit } });
      say(`Going back to ${short(commit)}: its deploy appears in the list`);
      close();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      open={open}
      onClose={close}
      title={`Roll ${repository.repository} back to ${short(commit)}?`}
      describe={subject}
      foot={
        <>
          <CopyAs
            command={["deploys", "rollback", `${tenant}/${repository.repository}`, commit]}
            api={{ method: "POST", path: at, body: { commit } }}
          />
          <Button onClick={close}>Cancel</Button>
          <Button look="primary" disabled={busy} onClick={() => void goBack()}>
            {busy ? "Asking …" : "Roll back"}
          </Button>
        </>
      }
    >
      <p>
        That commit is deployed again, in place of <code>{short(repository.live_commit)}</code>. Its
        DAGs become what they were: ones that came later retire (their history stays), and runs that
        are under way end with the version they began with.
      </p>
      <p className="mt-2">
        It holds until somebody pushes to <code>{repository.branch}</code>, or until it is taken
        back here.
      </p>
      {problem !== undefined && (
        <p role="alert" className="mt-3 rounded-md bg-danger-soft px-3 py-2 text-danger">
          {problem}
        </p>
      )}
    </Dialog>
  );
}
