/** All verbs with their help. What a verb does is loaded when it is called: help and mistakes are answered at once. */
import { Command, Option } from "commander";
import { addThings } from "./add-things.ts";
import { collect, leaf, remote, type Shared } from "./verb-options.ts";
import { version } from "./version.ts";

export function buildProgram(): Command {
  const program = new Command("airlock")
    .description("Runs the workflows of many teams: git push → live → run.")
    .version(version)
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ sortSubcommands: false })
    .helpCommand("help [command]", "Help on a command");
  addAuthor(program);
  addDaily(program);
  addThings(program);
  addPlatform(program);
  program.addHelpText(
    "after",
    `
Examples:
  npx airlock init --python my-pipelines && cd my-pipelines
  npx airlock validate                       every DAG file: file, line, what to do
  npx airlock run dags/hello.py              in the same sandbox as on the server
  npx airlock trigger acme/orders_etl --wait
  npx airlock logs acme/orders_etl -f

Names are tenant/dag/run/task[3], as far as they are needed. Exit codes: 0 done, 1 the deed failed,
2 wrong use, 3 cannot reach or sign in, 130 interrupted.`,
  );
  return program;
}

function addAuthor(program: Command): void {
  program.commandsGroup("Author, without a server:");
  leaf(program, "init [folder]", "A new repository that validates and runs")
    .option("--python", "with a Python DAG (the default)")
    .option("--ts", "with a TypeScript DAG")
    .option("--yaml", "with a YAML DAG")
    .addHelpText("after", examples("airlock init --ts my-pipelines", "airlock init --yaml ."))
    .action(
      async (folder: string | undefined, options: { python?: true; ts?: true; yaml?: true }) => {
        const { init } = await import("./verbs/init.ts");
        await init(folder ?? ".", options);
      },
    );
  leaf(program, "validate [paths...]", "Check DAG files as a push would")
    .addOption(
      new Option("--format <format>", "how to tell what was found").choices([
        "pretty",
        "json",
        "github",
        "gitlab",
      ]),
    )
    .addHelpText(
      "after",
      examples(
        "airlock validate",
        "airlock validate dags/orders.py",
        "airlock validate --format github     annotations in a GitHub workflow",
      ),
    )
    .action(
      async (
        paths: string[],
        options: Shared & { format?: "pretty" | "json" | "github" | "gitlab" },
      ) => {
        const { validate } = await import("./verbs/validate.ts");
        done(await validate(paths, options));
      },
    );
  leaf(program, "run <path> [dag]", "Run a DAG here, in the sandbox, without a server")
    .option("--task <task>", "this task alone; what comes before counts as done")
    .option(
      "--from <task>",
      "this task and all that follows, with the results of the last run here",
    )
    .option("--conf <json>", "the run's configuration: a JSON object")
    .option("--logical-date <time>", "ISO 8601; left out: now")
    .option("--connections <file>", "connections, as Airflow exports them (.json, .yaml, .env)")
    .option("--variables <file>", "variables, as Airflow exports them (.json, .yaml, .env)")
    .option("--allow <host:port>", "let tasks connect there; can be given again", collect, [])
    .addHelpText(
      "after",
      examples(
        "airlock run dags/orders.py",
        'airlock run . orders_etl --conf \'{"region": "eu"}\' --logical-date 2026-01-31',
        "airlock run . orders_etl --from load --connections connections.yaml",
      ),
    )
    .action(async (path: string, dag: string | undefined, options) => {
      const { run } = await import("./verbs/run.ts");
      done(await run(path, dag, options as Parameters<typeof run>[2]));
    });
  leaf(program, "graph <path> [dag]", "Draw a DAG")
    .addOption(
      new Option("--format <format>", "of the picture").choices(["mermaid"]).default("mermaid"),
    )
    .addHelpText("after", examples("airlock graph dags/orders.py > orders.mmd"))
    .action(async (path: string, dag: string | undefined, options: Shared) => {
      const { graph } = await import("./verbs/graph.ts");
      await graph(path, dag, options.output);
    });
  leaf(program, "next <path> [dag]", "The coming runs of a schedule")
    .option("--count <n>", "how many", "10")
    .addHelpText("after", examples("airlock next dags/orders.py --count 5"))
    .action(async (path: string, dag: string | undefined, options: Shared & { count: string }) => {
      const { next } = await import("./verbs/next.ts");
      await next(path, dag, options);
    });
}

function addDaily(program: Command): void {
  program.commandsGroup("Daily:");
  remote(program, "trigger <tenant/dag>", "Start a run")
    .option("--conf <json>", "the run's configuration: a JSON object")
    .option("--logical-date <time>", "ISO 8601; left out: now")
    .option("--run-id <id>", "its name; left out: one is made")
    .option("--wait", "show the run until it has ended; exit 1 if it failed")
    .addHelpText(
      "after",
      examples(
        "airlock trigger acme/orders_etl --wait",
        'airlock trigger acme/orders_etl --conf \'{"region": "eu"}\'',
      ),
    )
    .action(async (name: string, options) => {
      const { trigger } = await import("./verbs/trigger.ts");
      done(await trigger(name, options as Parameters<typeof trigger>[1]));
    });
  remote(program, "logs <ref>", "What a task, or every task of a run, wrote")
    .option("-f, --follow", "go on until it has ended")
    .option("--try <n>", "of this try; left out: the last")
    .option("--grep <regexp>", "only lines that match")
    .addHelpText(
      "after",
      examples(
        "airlock logs acme/orders_etl -f            the newest run",
        "airlock logs acme/orders_etl/manual__2026-01-31T06:00:00+00:00/load --try 1",
      ),
    )
    .action(async (name: string, options) => {
      const { logs } = await import("./verbs/logs.ts");
      await logs(name, options as Parameters<typeof logs>[1]);
    });
  remote(program, "why <ref>", "Why a task or run is where it is")
    .addHelpText(
      "after",
      examples("airlock why acme/orders_etl", "airlock why acme/orders_etl/RUN/load"),
    )
    .action(async (name: string, options: Shared) => {
      const { why } = await import("./verbs/why.ts");
      await why(name, options);
    });
  remote(program, "stop <ref>", "End a run, or one task of it; it fails").action(
    async (name: string, options: Shared) => {
      const { stop } = await import("./verbs/stop.ts");
      await stop(name, options);
    },
  );
  remote(program, "clear <ref>", "Run it again, on the newest version")
    .option("--failed", "only what failed")
    .option("--upstream", "and what comes before")
    .option("--downstream", "and what comes after")
    .option("--same-version", "on the version it ran on")
    .option("--dry-run", "only say what would run again")
    .addHelpText(
      "after",
      examples(
        "airlock clear acme/orders_etl/RUN --failed",
        "airlock clear acme/orders_etl/RUN/load --downstream --dry-run",
      ),
    )
    .action(async (name: string, options) => {
      const { clear } = await import("./verbs/clear.ts");
      await clear(name, options as Parameters<typeof clear>[1]);
    });
  remote(
    program,
    "mark <ref> <state>",
    "Say that a run or task is success, failed or (a task) skipped",
  )
    .addHelpText("after", examples("airlock mark acme/orders_etl/RUN/load success"))
    .action(async (name: string, state: string, options: Shared) => {
      const { mark } = await import("./verbs/mark.ts");
      await mark(name, state, options);
    });
  remote(program, "artifacts <ref>", "Files that a run or task left behind")
    .option("--get <name>", "write this one to standard output")
    .addHelpText(
      "after",
      examples(
        "airlock artifacts acme/orders_etl",
        "airlock artifacts acme/orders_etl/RUN/report --get report.html > report.html",
      ),
    )
    .action(async (name: string, options) => {
      const { artifacts } = await import("./verbs/artifacts.ts");
      await artifacts(name, options as Parameters<typeof artifacts>[1]);
    });
  for (const [verb, text, paused] of [
    ["pause", "Plan no more runs of a DAG", true],
    ["unpause", "Plan runs of a DAG again", false],
  ] as const)
    remote(program, `${verb} <tenant/dag>`, text).action(async (name: string, options: Shared) => {
      const { pause } = await import("./verbs/pause.ts");
      await pause(name, paused, options);
    });
}

function addPlatform(program: Command): void {
  program.commandsGroup("Platform:");
  program
    .command("up")
    .description("Everything on this machine: Postgres, all roles, the page")
    .option("--examples", "load the sample tenants")
    .exitOverride()
    .action(async (options: { examples?: true }) => {
      const { up } = await import("./up.ts");
      await up({ examples: options.examples === true });
    });
  for (const [role, text] of [
    ["server", "The page, the API and the git host alone"],
    ["scheduler", "The clock alone"],
    ["worker", "A worker alone"],
    ["sync", "Repositories alone"],
  ] as const)
    program
      .command(role)
      .description(text)
      .exitOverride()
      .action(async () => {
        const { up } = await import("./up.ts");
        await up({ roles: [role] });
      });
  leaf(program, "backup <folder>", "A copy of everything that cannot be made again, while it runs")
    .addHelpText(
      "after",
      `
Postgres, the keys, objects and hosted repositories of AIRLOCK_HOME, in a new folder below <folder>. It holds the
keys: guard it. With AIRLOCK_WAL_ARCHIVE=DIR in the platform's environment every change is kept in DIR within a minute,
and a restore can go to any moment after the backup.
${examples("airlock backup /mnt/backups", "airlock backup /mnt/backups -o json")}`,
    )
    .action(async (folder: string, options: Shared) => {
      const { backup } = await import("./verbs/backup.ts");
      await backup(folder, options);
    });
  leaf(
    program,
    "restore <backup>",
    "A platform's state from a backup, or a try whether that would work",
  )
    .option("--test", "restore it aside, start Postgres on it, look at everything, remove it again")
    .option("--replace", "where AIRLOCK_HOME holds a state already: move that aside")
    .option("--wal <folder>", "replay the changes that were archived since (AIRLOCK_WAL_ARCHIVE)")
    .option("--at <time>", "replay them up to this moment; left out: all")
    .addHelpText(
      "after",
      examples(
        "airlock restore --test /mnt/backups/airlock-2026-11-24T03-00-00-000Z",
        "AIRLOCK_HOME=/srv/airlock airlock restore /mnt/backups/airlock-2026-11-24T03-00-00-000Z",
        "airlock restore BACKUP --replace --at 2026-11-24T14:05:00Z",
      ),
    )
    .action(async (from: string, options: Shared) => {
      const { restore } = await import("./verbs/backup.ts");
      done(await restore(from, options));
    });
  leaf(program, "doctor", "What is missing here, what is not well, and what to do")
    .addHelpText(
      "after",
      `
Looks at this machine (Node, git, Python, sandbox, disk, keys, port), and at the database of DATABASE_URL or of a
platform that runs here: version, durability, connections, migrations, clock, locks, roles, workers, queue. It changes
nothing. Exit code 1 if anything fails; warnings alone are 0.
${examples("airlock doctor", "airlock doctor -o json", "DATABASE_URL=postgres://… npx airlock doctor")}`,
    )
    .action(async (options: Shared) => {
      const { doctor } = await import("./verbs/doctor.ts");
      done(await doctor(options.output));
    });
  const db = program.command("db").description("The database").exitOverride();
  leaf(db, "check", "What must hold of the rows, and which rows break it; of a live system as well")
    .addHelpText(
      "after",
      `\nReads one snapshot and changes nothing. The database: DATABASE_URL, else the one that runs in AIRLOCK_HOME.
Exit 1 if something does not hold.${examples("airlock db check", "airlock db check -o json")}`,
    )
    .action(async (options: Shared) => {
      const { dbCheck } = await import("./verbs/db-check.ts");
      done(await dbCheck(options.output));
    });
}

const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  npx ${line}`).join("\n")}`;

const done = (ok: boolean): void => {
  if (!ok) process.exitCode ??= 1;
};
