import { type ReactNode, useState } from "react";
import { Button } from "../../parts/button.tsx";
import { type Copies, CopyAs } from "../../parts/copy-as.tsx";
import { Dialog } from "../../parts/overlay.tsx";
import { say } from "../../parts/toasts.tsx";
import { type Kind, removeThing, saveThing, useForget } from "./use-things.ts";

/** The frame of a form on one thing: saves what its fields say, or removes it after a second word. */
export function ThingDialog({
  tenant,
  kind,
  what,
  name,
  mayWrite,
  mayRemove = mayWrite,
  fields,
  copies,
  onClose,
  children,
  more,
}: {
  readonly tenant: string;
  readonly kind: Kind;
  /** "connection" */
  readonly what: string;
  /** undefined: a new one. */
  readonly name: string | undefined;
  readonly mayWrite: boolean;
  readonly mayRemove?: boolean;
  /** What to send; or a sentence: what is missing. */
  readonly fields: () => Readonly<Record<string, unknown>> | string;
  readonly copies: Copies;
  readonly onClose: () => void;
  readonly children: ReactNode;
  readonly more?: ReactNode;
}) {
  const forget = useForget(tenant);
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [removing, setRemoving] = useState(false);
  const run = async (done: string, work: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      await work();
      await forget();
      say(done);
      onClose();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  };
  const save = (): void => {
    const sent = fields();
    if (typeof sent === "string") setProblem(sent);
    else if (Object.keys(sent).length === 0) onClose();
    else
      void run(name === undefined ? `The ${what} is made` : `The ${what} is changed`, () =>
        saveThing(tenant, kind, name, sent),
      );
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={name ?? `New ${what}`}
      foot={
        <>
          {name !== undefined && mayRemove && (
            <Button
              look="danger"
              className="mr-auto"
              disabled={busy}
              onClick={() =>
                removing
                  ? void run(`The ${what} is removed`, () => removeThing(tenant, kind, name))
                  : setRemoving(true)
              }
            >
              {removing ? "Really remove it" : "Remove"}
            </Button>
          )}
          <CopyAs {...copies} />
          <Button onClick={onClose}>{mayWrite ? "Cancel" : "Close"}</Button>
          {mayWrite && (
            <Button look="primary" disabled={busy} onClick={save}>
              {busy ? "Saving …" : "Save"}
            </Button>
          )}
        </>
      }
    >
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (mayWrite) save();
        }}
      >
        <fieldset disabled={!mayWrite} className="flex flex-col gap-3">
          {children}
        </fieldset>
        {removing && (
          <p role="alert" className="rounded-md bg-warn-soft px-3 py-2 text-warn">
            What uses this {what} fails from then on. There is no way back.
          </p>
        )}
        {problem !== undefined && (
          <p role="alert" className="tenant-text rounded-md bg-danger-soft px-3 py-2 text-danger">
            {problem}
          </p>
        )}
        {/* Enter in a field saves. */}
        <button type="submit" className="hidden" aria-hidden tabIndex={-1}>
          Save
        </button>
      </form>
      {more}
    </Dialog>
  );
}
