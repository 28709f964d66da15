import type { ButtonHTMLAttributes, ReactNode } from "react";

type Look = "plain" | "primary" | "danger" | "quiet";
const looks: Record<Look, string> = {
  plain: "bg-raised border-line-strong hover:bg-sunken",
  primary: "bg-accent text-accent-text border-transparent hover:brightness-110",
  danger: "bg-danger-soft text-danger border-danger/40 hover:brightness-95",
  quiet: "border-transparent hover:bg-sunken",
};

export function Button({
  look = "plain",
  icon,
  keys,
  children,
  className = "",
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & {
  readonly look?: Look;
  readonly icon?: ReactNode;
  /** Shown beside the words: the key that does the same. */
  readonly keys?: string;
}) {
  return (
    <button
      type="button"
      {...rest}
      className={`inline-flex h-8 items-center gap-1.5 rounded-md border px-2.5 text-sm font-medium whitespace-nowrap disabled:cursor-not-allowed disabled:opacity-50 ${looks[look]} ${className}`}
    >
      {icon}
      {children}
      {keys !== undefined && (
        <kbd className="ml-0.5 rounded border border-current/30 px-1 text-[0.7rem] opacity-70">
          {keys}
        </kbd>
      )}
    </button>
  );
}

/** A button that is its icon alone: its name is for the tip and for those who hear the page. */
export function IconButton({
  name,
  children,
  className = "",
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & {
  readonly name: string;
  readonly children: ReactNode;
}) {
  return (
    <button
      type="button"
      aria-label={name}
      title={name}
      {...rest}
      className={`inline-flex size-8 items-center justify-center rounded-md border border-transparent hover:bg-sunken disabled:opacity-50 ${className}`}
    >
      {children}
    </button>
  );
}
