/** Inputs with their names, so that each is found by its label. */
import type { ComponentProps, ReactNode } from "react";

const look =
  "h-8 w-full rounded-md border border-line-strong bg-surface px-2 text-sm placeholder:text-muted disabled:opacity-60";

export function Field({
  label,
  hint,
  problem,
  children,
}: {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly problem?: string | undefined;
  readonly children: ReactNode;
}) {
  return (
    <label className="block">
      <span className="mb-0.5 block text-sm font-medium">{label}</span>
      {children}
      {problem !== undefined && <span className="mt-0.5 block text-sm text-danger">{problem}</span>}
      {hint !== undefined && <span className="mt-0.5 block text-sm text-muted">{hint}</span>}
    </label>
  );
}

export const Input = ({ className = "", ...rest }: ComponentProps<"input">) => (
  <input {...rest} className={`${look} ${className}`} />
);

export const Select = ({ className = "", ...rest }: ComponentProps<"select">) => (
  <select {...rest} className={`${look} ${className}`} />
);

export function Checkbox({
  label,
  checked,
  onChange,
  disabled = false,
}: {
  readonly label: ReactNode;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
  readonly disabled?: boolean;
}) {
  return (
    <label className="inline-flex items-center gap-2 text-sm">
      <input
        type="checkbox"
        className="size-4 accent-(--accent)"
        checked={checked}
        disabled={disabled}
        onChange={(event) => onChange(event.target.checked)}
      />
      {label}
    </label>
  );
}
