/** A note that people leave on a run or a task instance: shown as text, edited in place. */
import { useState } from "react";
import { ask } from "../ask/ask-server.ts";
import { Button } from "./button.tsx";
import { sayFailed } from "./toasts.tsx";

const lengthMax = 1_000;

export function Note({
  note,
  at,
  mayEdit,
  onSaved,
}: {
  readonly note: string | null;
  /** Address that takes a PATCH with `note`. */
  readonly at: string;
  readonly mayEdit: boolean;
  readonly onSaved: () => void;
}) {
  const [draft, setDraft] = useState<string>();
  const [isSaving, setSaving] = useState(false);
  const save = async (): Promise<void> => {
    setSaving(true);
    try {
      await ask(at, { method: "PATCH", body: { note: draft?.trim() ? draft : null } });
      setDraft(undefined);
      onSaved();
    } catch (error) {
      sayFailed("The note was not saved", error);
    } finally {
      setSaving(false);
    }
  };
  if (draft === undefined)
    return (
      <div className="flex items-start gap-2">
        <p className="tenant-text min-w-0 grow whitespace-pre-wrap">
          {note ?? <span className="text-muted">No note.</span>}
        </p>
        {mayEdit && (
          <Button look="quiet" onClick={() => setDraft(note ?? "")}>
            {note === null ? "Add a note" : "Edit the note"}
          </Button>
        )}
      </div>
    );
  return (
    <form
      className="flex flex-col gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <textarea
        aria-label="Note"
        // biome-ignore lint/a11y/noAutofocus: the person has just asked to write here
        autoFocus
        rows={3}
        maxLength={lengthMax}
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") setDraft(undefined);
          else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void save();
        }}
        className="w-full rounded-md border border-line-strong bg-surface p-2"
      />
      <div className="flex gap-2">
        <Button look="primary" type="submit" disabled={isSaving}>
          Save the note
        </Button>
        <Button look="quiet" onClick={() => setDraft(undefined)}>
          Leave it
        </Button>
      </div>
    </form>
  );
}
