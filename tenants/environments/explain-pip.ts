/** What pip's last words mean: which requirement, and the way out. Pure. */

export type PipProblem = {
  readonly message: string;
  readonly hint: string;
  /** Normalised name of the package that it is about, where pip says one. */
  readonly package?: string;
};

export function explainPip(output: string, indexHosts: readonly string[]): PipProblem {
  const about = (name: string): { package: string } => ({
    package: name.toLowerCase().replace(/[-_.]+/g, "-"),
  });
  const unreachable =
    /(NewConnectionError|Failed to establish a new connection|Name or service not known|Temporary failure in name resolution|ProxyError|SSLError|SSLCertVerificationError|CERTIFICATE_VERIFY_FAILED|ConnectTimeoutError|ReadTimeoutError|timed out|RemoteDisconnected|Connection (?:refused|reset|aborted))/.exec(
      output,
    )?.[1];
  const nothing = /No matching distribution found for ([^\s(]+)/.exec(output)?.[1];
  if (
    unreachable !== undefined &&
    (nothing !== undefined || /Could not (?:fetch|install)/.test(output))
  )
    return {
      message: `The package index (${indexHosts.join(", ")}) could not be reached: ${unreachable}.`,
      hint: "Check the machine's network, PIP_INDEX_URL or pip.conf, proxy and certificate settings; then push again.",
    };
  if (nothing !== undefined) {
    const versions = /from versions: ([^)]*)\)/.exec(output)?.[1]?.split(", ") ?? [];
    const name = /^[\w.-]+/.exec(nothing)?.[0] ?? nothing;
    const known = versions.filter((version) => version !== "none");
    return {
      message: `The package index has no ${nothing}${known.length === 0 ? "" : ` for this Python`}.`,
      hint:
        known.length === 0
          ? `Check the spelling of ${name}.`
          : `Take one that it has: ${known.slice(-5).join(", ")}.`,
      ...about(name),
    };
  }
  const python = /Package '([^']+)' requires a different Python: (\S+) not in '([^']+)'/.exec(
    output,
  );
  if (python !== null)
    return {
      message: `${python[1] ?? ""} needs Python ${python[3] ?? ""}, and this machine has ${python[2] ?? ""}.`,
      hint: "Take an older version of it, or install a newer Python.",
      ...about(python[1] ?? ""),
    };
  if (/ResolutionImpossible|conflicting dependencies/.test(output)) {
    const conflict = [...output.matchAll(/^ {4}(.+ depends on .+|The user requested .+)$/gm)].map(
      (match) => match[1] ?? "",
    );
    return {
      message: `These requirements exclude each other: ${conflict.slice(0, 4).join("; ")}.`,
      hint: "Loosen one of the pins.",
      ...(conflict[0] === undefined
        ? {}
        : about(/requested (\S+?)[=<>!~]/.exec(conflict[0])?.[1] ?? "")),
    };
  }
  const hashes = /DO NOT MATCH THE HASHES/.test(output);
  if (hashes)
    return {
      message: "A package of the index does not match the hash in the requirements.",
      hint: "Do not trust it: compare with the lock file's source, then write the hashes anew.",
    };
  const unhashed = /In --require-hashes mode, all requirements must have[^:]*:\s*\n?\s*(\S+)/.exec(
    output,
  )?.[1];
  if (unhashed !== undefined)
    return {
      message: `With hashes every requirement needs one, and ${unhashed} has none.`,
      hint: "Add the platform's own packages (Jinja2, msgpack, pendulum, python-dateutil, tzdata) to the lock file, or leave hashes out.",
      ...about(unhashed),
    };
  const invalid = /Invalid requirement: ['"]?([^'"\n]+)/.exec(output)?.[1];
  if (invalid !== undefined)
    return {
      message: `${invalid} is no requirement.`,
      hint: "Write one name and version per line, for example pandas==2.3.3.",
      ...about(/^[\w.-]+/.exec(invalid)?.[0] ?? invalid),
    };
  const building =
    /Failed (?:building|to build)(?: wheel for)? ['"]?([\w.-]+)/.exec(output)?.[1] ??
    (/subprocess-exited-with-error|metadata-generation-failed/.test(output)
      ? lastNamed(output)
      : undefined);
  if (building !== undefined)
    return {
      message: `The install code of ${building} failed: ${lastError(output)}`,
      hint: "Take a version that the index has as a wheel for this Python, so that nothing has to be built.",
      ...about(building),
    };
  if (/No space left on device|File too large/.test(output))
    return {
      message: "The environment is too large for this machine's disk or the platform's limit.",
      hint: "Install less, or free space.",
    };
  return { message: `pip failed: ${lastError(output)}`, hint: "See the lines above." };
}

/** The package that pip was busy with when it stopped. */
export function lastNamed(output: string): string | undefined {
  const names = [
    ...output.matchAll(
      /^\s*(?:(?:Collecting|Building wheel for|Running setup\.py \w+ for) ([A-Za-z0-9][\w.-]*)|(?:Processing|Downloading) (?:\S*\/)?([A-Za-z0-9][\w.]*?)-\d)/gm,
    ),
  ];
  const last = names.at(-1);
  return last?.[1] ?? last?.[2];
}

function lastError(output: string): string {
  const lines = output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("[notice]"));
  const errors = lines.filter((line) => /error|exception|cannot|failed/i.test(line));
  return (
    errors.findLast((line) => /^\w*(?:Error|Exception|ERROR)\b/.test(line)) ??
    errors.at(-1) ??
    lines.at(-1) ??
    "no word was left"
  ).slice(0, 500);
}
