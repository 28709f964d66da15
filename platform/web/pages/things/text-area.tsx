import type { ComponentProps } from "react";

export const TextArea = ({ className = "", ...rest }: ComponentProps<"textarea">) => (
  <textarea
    spellCheck={false}
    {...rest}
    className={`w-full rounded-md border border-line-strong bg-surface px-2 py-1 font-mono text-sm placeholder:text-muted disabled:opacity-60 ${className}`}
  />
);
