/** What every verb takes: the contract's `-o`, `--url`, `--token`, `--profile`. */
import { type Command, Option } from "commander";
import type { Format } from "./print-answer.ts";
import type { Wish } from "./profiles.ts";

export type Shared = Wish & { readonly output: Format };

/** A verb that needs no server. */
export function leaf(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .exitOverride()
    .showSuggestionAfterError()
    .addOption(
      new Option("-o, --output <format>", "how to answer")
        .choices(["table", "json", "yaml"])
        .default("table"),
    );
}

/** A verb that asks a server. */
export function remote(
  parent: Command,
  usage: string,
  description: string,
  ownUrl = false,
): Command {
  const command = leaf(parent, usage, description);
  if (!ownUrl) command.option("--url <address>", "the server (AIRLOCK_URL)");
  return command
    .option("--token <token>", "sign in with it (AIRLOCK_TOKEN)")
    .option("--profile <name>", "one that `airlock auth login` wrote");
}

export const collect = (value: string, before: readonly string[]): readonly string[] => [
  ...before,
  value,
];
