/** "Copy as command / as API call": what this screen shows or does, for a terminal. */
import { Terminal } from "lucide-react";
import { Button } from "./button.tsx";
import { Menu } from "./overlay.tsx";
import { say, sayFailed } from "./toasts.tsx";

export type Copies = {
  /** Without the leading `airlock`: `["logs", "acme/etl/run/task", "-f"]`. */
  readonly command?: readonly string[];
  readonly api?: { readonly method?: string; readonly path: string; readonly body?: unknown };
  /** Other texts, by what they are called. */
  readonly more?: readonly { readonly text: string; readonly value: string }[];
};

export function CopyAs({ command, api, more = [] }: Copies) {
  return (
    <Menu
      label="Copy"
      button={<Button icon={<Terminal size={14} />}>Copy as</Button>}
      items={[
        ...(command === undefined
          ? []
          : [
              {
                text: "Command",
                onSelect: () => copy(["airlock", ...command].map(quoted).join(" ")),
              },
            ]),
        ...(api === undefined
          ? []
          : [{ text: "API call (curl)", onSelect: () => copy(curlOf(api)) }]),
        { text: "Link to this screen", onSelect: () => copy(window.location.href) },
        ...more.map(({ text, value }) => ({ text, onSelect: () => copy(value) })),
      ]}
    />
  );
}

export function copy(text: string): void {
  navigator.clipboard.writeText(text).then(
    () => say(`Copied: ${text.length > 120 ? `${text.slice(0, 119)}…` : text}`),
    (error: unknown) => sayFailed("It could not be copied", error),
  );
}

export const quoted = (word: string): string =>
  /^[\w@%+=:,./[\]-]+$/.test(word) && !word.includes("[")
    ? word
    : `'${word.replaceAll("'", `'\\''`)}'`;

export function curlOf({ method = "GET", path, body }: NonNullable<Copies["api"]>): string {
  return [
    "curl -sS",
    ...(method === "GET" ? [] : [`-X ${method}`]),
    `-H "Authorization: Bearer $AIRLOCK_TOKEN"`,
    ...(body === undefined
      ? []
      : ["-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`]),
    quoted(`${window.location.origin}${path}`),
  ].join(" ");
}
