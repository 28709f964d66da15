/** A tenant without DAGs: what to do, ready to copy. */
import { useQuery } from "@tanstack/react-query";
import { ask, path } from "../../ask/ask-server.ts";
import { useMay } from "../../ask/session.ts";
import { Button } from "../../parts/button.tsx";
import { copy } from "../../parts/copy-as.tsx";
import { Empty } from "../../parts/panels.tsx";

type Repositories = {
  readonly repositories: readonly {
    readonly name: string;
    readonly clone_url: string | null;
    readonly url: string | null;
  }[];
};

const firstDag = `from airflow.sdk import DAG
from airflow.operators.bash import BashOperator

with DAG("hello", schedule="@hourly"):
    BashOperator(task_id="greet", bash_command="echo hello")
`;

export function NoDags({ tenant }: { readonly tenant: string }) {
  const may = useMay(tenant);
  const { data } = useQuery({
    queryKey: ["repositories", tenant],
    enabled: may("repo.read"),
    queryFn: ({ signal }) =>
      ask<Repositories>(path`/api/platform/tenants/${tenant}/repositories`, { signal }),
  });
  const repositories = data?.repositories ?? [];
  const hosted = repositories.find(({ clone_url }) => clone_url !== null)?.clone_url;
  const external = repositories.find(({ url }) => url !== null)?.url;
  return (
    <div className="mx-auto w-full max-w-2xl min-w-0 pb-8">
      <Empty title={`${tenant} has no DAGs yet, or none that you may see.`}>
        <p>
          A DAG is a file in a git repository. What is pushed is live a moment later, and shows here
          with its runs, its schedule and how long it takes.
        </p>
      </Empty>
      <ol className="space-y-4 px-4">
        {hosted !== undefined && hosted !== null ? (
          <Step title="Clone the repository" text={`git clone ${hosted}\n`} />
        ) : external !== undefined && external !== null ? (
          <Step title={`Go to your clone of ${external}`} />
        ) : may("repo.write") ? (
          <Step
            title="Make a repository"
            text={`npx airlock repositories create ${tenant}/pipelines\n`}
          />
        ) : (
          <Step title="Ask an administrator of the tenant for a repository, or for a right to see its DAGs" />
        )}
        <Step title="Write dags/hello.py" text={firstDag} />
        <Step title="Push it" text={'git add dags && git commit -m "A first DAG" && git push\n'} />
      </ol>
    </div>
  );
}

function Step({ title, text }: { readonly title: string; readonly text?: string }) {
  return (
    <li className="rounded-lg border border-line bg-surface">
      <div className="flex min-h-10 items-center gap-2 px-3 py-1">
        <h2 className="tenant-text font-medium">{title}</h2>
        {text !== undefined && (
          <Button look="quiet" className="ml-auto" onClick={() => copy(text.trimEnd())}>
            Copy
          </Button>
        )}
      </div>
      {text !== undefined && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        <pre
          tabIndex={0}
          aria-label={title}
          className="overflow-auto border-t border-line bg-sunken px-3 py-2"
        >
          {text.trimEnd()}
        </pre>
      )}
    </li>
  );
}
