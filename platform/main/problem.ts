/** Why a command did not do what it was asked. Told once, in `airlock.ts`: a sentence, the way out, the exit code of the contract. */
export class CommandProblem extends Error {
  readonly exitCode: 1 | 2 | 3;
  readonly hint: string | undefined;
  constructor(exitCode: 1 | 2 | 3, message: string, hint?: string) {
    super(message);
    this.name = "CommandProblem";
    this.exitCode = exitCode;
    this.hint = hint;
  }
}

/** The deed failed: an invalid DAG, a failed run, a refusal. */
export const failed = (message: string, hint?: string): CommandProblem =>
  new CommandProblem(1, message, hint);
/** The command line makes no sense. */
export const wrongUse = (message: string, hint?: string): CommandProblem =>
  new CommandProblem(2, message, hint);
/** Nobody answers, or nobody is signed in. */
export const unreachable = (message: string, hint?: string): CommandProblem =>
  new CommandProblem(3, message, hint);
