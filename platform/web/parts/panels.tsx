/** The plain furniture of a page: heading, panel, what is shown when there is nothing, or when it failed. */
import { Link, type LinkProps } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import { Problem } from "../ask/ask-server.ts";
import { Button } from "./button.tsx";

export type Crumb = {
  readonly text: string;
  readonly to?: LinkProps["to"];
  readonly params?: object;
};

export function PageHead({
  crumbs = [],
  title,
  mark,
  children,
}: {
  readonly crumbs?: readonly Crumb[];
  readonly title: string;
  readonly mark?: ReactNode;
  /** Deeds and facts at the right. */
  readonly children?: ReactNode;
}) {
  useEffect(() => {
    document.title = `${title} · ${[...crumbs.map(({ text }) => text).toReversed(), "Airlock"].join(" · ")}`;
  }, [title, crumbs]);
  return (
    <header className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 pt-3 pb-2">
      <nav aria-label="Where you are" className="flex min-w-0 items-center gap-1.5">
        {crumbs.map((crumb) => (
          <span key={crumb.text} className="flex min-w-0 items-center gap-1.5 text-muted">
            {crumb.to === undefined ? (
              <span className="max-w-64 truncate">{crumb.text}</span>
            ) : (
              <Link
                to={crumb.to as "/"}
                params={crumb.params as never}
                className="tenant-text max-w-64 truncate hover:underline"
              >
                {crumb.text}
              </Link>
            )}
            <span aria-hidden>/</span>
          </span>
        ))}
        {mark}
        <h1 className="tenant-text max-w-[50vw] truncate text-lg font-semibold" title={title}>
          {title}
        </h1>
      </nav>
      <div className="ml-auto flex flex-wrap items-center gap-2">{children}</div>
    </header>
  );
}

export function Panel({
  title,
  actions,
  children,
  className = "",
}: {
  readonly title?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
  readonly className?: string;
}) {
  return (
    <section className={`rounded-lg border border-line bg-surface ${className}`}>
      {(title !== undefined || actions !== undefined) && (
        <div className="flex min-h-10 items-center gap-2 border-b border-line px-3 py-1">
          <h2 className="font-semibold">{title}</h2>
          <div className="ml-auto flex items-center gap-1">{actions}</div>
        </div>
      )}
      {children}
    </section>
  );
}

/** Nothing here yet: says what would be, and how one gets there. */
export function Empty({
  title,
  children,
}: {
  readonly title: string;
  readonly children?: ReactNode;
}) {
  return (
    <div className="mx-auto flex max-w-xl flex-col items-center gap-2 px-6 py-10 text-center text-muted">
      <p className="font-semibold text-text">{title}</p>
      {children}
    </div>
  );
}

export function Loading({ what }: { readonly what: string }) {
  return (
    <p role="status" className="px-4 py-6 text-muted">
      {what} …
    </p>
  );
}

export function Failed({ error, retry }: { readonly error: unknown; readonly retry?: () => void }) {
  const problem = error instanceof Problem ? error : undefined;
  return (
    <div role="alert" className="m-4 rounded-lg border border-danger/40 bg-danger-soft p-4">
      <p className="font-semibold text-danger">
        {problem?.status === 404
          ? "It is not there, or not for you to see."
          : "This could not be shown."}
      </p>
      <p className="tenant-text mt-1">{error instanceof Error ? error.message : String(error)}</p>
      {retry !== undefined && (
        <Button className="mt-3" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** Rows of "name: value", for facts of a thing. */
export function Facts({ rows }: { readonly rows: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="grid grid-cols-[minmax(7rem,auto)_1fr] gap-x-4 gap-y-1 px-3 py-2">
      {rows.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-muted">{name}</dt>
          <dd className="tenant-text min-w-0">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
