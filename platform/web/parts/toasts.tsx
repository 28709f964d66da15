/** Short words at the corner about what was just done, or could not be; read aloud to those who do not see them. */
import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { IconButton } from "./button.tsx";

type Toast = {
  readonly id: number;
  readonly kind: "done" | "failed";
  readonly text: string;
  readonly action?: { readonly text: string; readonly run: () => void };
};

let toasts: readonly Toast[] = [];
let lastId = 0;
const listeners = new Set<() => void>();
const set = (next: readonly Toast[]): void => {
  toasts = next;
  for (const hear of listeners) hear();
};

export function say(text: string, action?: Toast["action"]): void {
  show({ kind: "done", text, ...(action === undefined ? {} : { action }) }, 6_000);
}

export function sayFailed(what: string, error: unknown): void {
  show(
    { kind: "failed", text: `${what}: ${error instanceof Error ? error.message : String(error)}` },
    12_000,
  );
}

function show(toast: Omit<Toast, "id">, ms: number): void {
  lastId += 1;
  const id = lastId;
  set([...toasts.slice(-4), { ...toast, id }]);
  setTimeout(() => drop(id), ms);
}
const drop = (id: number): void => set(toasts.filter((toast) => toast.id !== id));

export function Toasts() {
  const shown = useSyncExternalStore(
    (hear) => {
      listeners.add(hear);
      return () => listeners.delete(hear);
    },
    () => toasts,
  );
  return (
    <div
      role="status"
      aria-live="polite"
      className="fixed right-4 bottom-4 z-50 flex w-96 max-w-[92vw] flex-col gap-2"
    >
      {shown.map((toast) => (
        <div
          key={toast.id}
          className={`flex items-start gap-2 rounded-lg border px-3 py-2 shadow-lg ${toast.kind === "failed" ? "border-danger/50 bg-danger-soft" : "border-line bg-raised"}`}
        >
          <p className="tenant-text min-w-0 grow text-sm">{toast.text}</p>
          {toast.action !== undefined && (
            <button
              type="button"
              className="text-sm font-semibold text-accent underline"
              onClick={() => {
                toast.action?.run();
                drop(toast.id);
              }}
            >
              {toast.action.text}
            </button>
          )}
          <IconButton name="Dismiss" className="-my-1" onClick={() => drop(toast.id)}>
            <X size={14} />
          </IconButton>
        </div>
      ))}
    </div>
  );
}
