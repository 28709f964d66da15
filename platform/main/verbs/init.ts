import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Format, printAnswer, tell } from "../print-answer.ts";
import { failed, wrongUse } from "../problem.ts";

export async function init(
  folder: string,
  options: {
    readonly python?: true;
    readonly ts?: true;
    readonly yaml?: true;
    readonly output?: Format;
  },
): Promise<void> {
  const wanted = [options.python, options.ts, options.yaml].filter((flag) => flag === true).length;
  if (wanted > 1)
    throw wrongUse(
      "choose one of --python, --ts, --yaml",
      "the others can be added as files later: a repository may mix them",
    );
  const kind = options.ts ? "ts" : options.yaml ? "yaml" : "python";
  const root = resolve(folder);
  const dags = Object.keys(kinds[kind]).filter((path) => path.startsWith("dags/"));
  const [dag = ""] = dags;
  if (existsSync(join(root, dag)))
    throw failed(
      `${dag} exists already in ${root}`,
      "choose another folder: nothing is overwritten",
    );
  const files = { ...shared, ...kinds[kind] };
  const made: string[] = [];
  for (const [path, text] of Object.entries(files)) {
    const full = join(root, path);
    if (existsSync(full)) {
      tell(`kept ${join(folder, path)}`);
      continue;
    }
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text, { flag: "wx" });
    made.push(path);
    tell(`made ${join(folder, path)}`);
  }
  tell(
    `\nNext:\n${folder === "." ? "" : `  cd ${folder}\n`}  npx airlock validate\n  npx airlock run ${dag}`,
  );
  if (options.output !== undefined && options.output !== "table")
    await printAnswer({ folder: root, files: made }, options.output, []);
}

type Files = { readonly [path: string]: string };

const shared: Files = {
  "airlock.yaml": `# Optional settings of this repository; what is not here has a default.
# dags_folder: dags
# limits:            # narrower than what the tenant may have
#   memory: 256MiB
`,
  ".gitignore": `.airlock/
.venv/
__pycache__/
node_modules/
`,
};

const kinds: { readonly [kind in "python" | "ts" | "yaml"]: Files } = {
  python: {
    "dags/hello.py": `"""Greets whom the run names, once per name, and counts the letters."""

from datetime import datetime

from airflow.decorators import dag, task
from airflow.models.param import Param


@dag(
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"names": Param(["Ada", "Grace"], type="array")},
    tags=["example"],
)
def hello():
    @task
    def names(params=None):
        return params["names"]

    @task(retries=2)
    def greet(name):
        print(f"Hello, {name}!")
        return len(name)

    @task
    def count(lengths):
        print(f"{sum(lengths)} letters")

    count(greet.expand(name=names()))


hello()
`,
  },
  ts: {
    "dags/hello.dag.ts": `// Greets whom the run names, once per name, and counts the letters.
import { cron, dag } from "airlock";

export default dag({
  id: "hello",
  schedule: cron("0 6 * * *"),
  tags: ["example"],
  build({ task, map }) {
    const names = task("names", { run: () => ["Ada", "Grace"] });

    const greet = map("greet", names, {
      retries: 2,
      run: (name, { log }) => {
        log.info(\`Hello, \${name}!\`);
        return name.length;
      },
    });

    task("count", {
      in: greet,
      run: (lengths, { log }) => {
        log.info(\`\${lengths.reduce((sum, length) => sum + length, 0)} letters\`);
      },
    });
  },
});
`,
    "tsconfig.json": `{
  "compilerOptions": {
    "target": "ES2024",
    "module": "NodeNext",
    "moduleResolution": "NodeNext",
    "strict": true,
    "noEmit": true,
    "skipLibCheck": true,
    "allowImportingTsExtensions": true,
    "erasableSyntaxOnly": true
  },
  "include": ["dags"]
}
`,
    "package.json": `{
  "name": "pipelines",
  "private": true,
  "type": "module"
}
`,
  },
  yaml: {
    "dags/hello.dag.yaml": `# yaml-language-server: $schema=../node_modules/airlock/dist/schema/dag.v1.json
# Greets whom the run names, once per name, and counts the letters.
id: hello
schedule: { cron: "0 6 * * *" }
tags: [example]

tasks:
  names:
    type: node
    code: return ["Ada", "Grace"];

  greet:
    type: bash
    map: { over: "\${{ names }}" }
    command: echo "Hello, $NAME!"
    env: { NAME: "\${{ item }}" }

  count:
    type: node
    needs: greet
    args: { names: "\${{ names }}" }
    code: |
      console.log(\`\${args.names.join("").length} letters\`);
`,
  },
};
