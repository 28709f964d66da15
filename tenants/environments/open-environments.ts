import type { Answer } from "../../platform/model/answer.ts";
import type { EnvironmentRef } from "../../platform/model/guest.ts";
import type { TenantId } from "../../platform/model/ids.ts";

export type EnvironmentRequest = {
  readonly tenant: TenantId;
  /** uid on the host under which the packages' own install code runs. */
  readonly uid: number;
  /** Absolute folder of the immutable checkout: its requirements.txt names the environment; without one it is the default. */
  readonly bundleDir: string;
  /** One line at a time, already plain text, for the push answer. */
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
};

export type EnvironmentProblem = {
  /** One sentence: which requirement, what is wrong. */
  readonly message: string;
  /** One sentence: the way out. */
  readonly hint: string;
  /** File and line in the bundle, where the problem has one. */
  readonly path?: string;
  readonly line?: number;
};

export type Environments = {
  /** The Python environment of a bundle; built once per content hash, then answered at once. */
  ensure(request: EnvironmentRequest): Promise<Answer<EnvironmentRef, EnvironmentProblem>>;
  /** The environment that ships with the platform. */
  ensureDefault(
    onProgress?: (line: string) => void,
  ): Promise<Answer<EnvironmentRef, EnvironmentProblem>>;
};
