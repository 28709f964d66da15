/** The DAG files that the benchmarks push. Each task writes down when its code began, by its own clock. */

/** A line of tasks that do nothing, or `fib(n)`. `passes`: each is given what the one before it returned. */
export function lineDag(
  dagId: string,
  steps: number,
  { fib = 0, passes = false }: { readonly fib?: number; readonly passes?: boolean } = {},
): string {
  return `import time
from airflow.sdk import dag, task


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@dag(dag_id="${dagId}", schedule=None, max_active_runs=1000, max_active_tasks=1000)
def line():
    @task
    def step(before=None):
        at = time.time()
        fib(${fib})
        return {"at": at}

    last = None
    for i in range(${steps}):
        current = step.override(task_id=f"step_{i}")(${passes ? "last" : ""})
        ${passes ? "" : "if last is not None:\n            last >> current\n        "}last = current


line()
`;
}

/** A line of tasks that the engine itself ends. */
export const inlineDag = (
  dagId: string,
  steps: number,
): string => `from airflow.sdk import DAG, chain
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG("${dagId}", schedule=None, max_active_runs=1000):
    chain(*[EmptyOperator(task_id=f"step_{i}") for i in range(${steps})])
`;

/** One task on a daily schedule. \`mark\` only changes the text. */
export const dailyDag = (dagId: string, mark = 0): string => `import time
from airflow.sdk import dag, task


@dag(dag_id="${dagId}", schedule="@daily", tags=["mark-${mark}"], max_active_tasks=1000)
def daily():
    @task
    def work():
        return {"at": time.time()}

    work()


daily()
`;

/** Many short tasks beside one another, in one mapped task. */
export const floodDag = (dagId: string, tasks: number, seconds: number): string => `import time
from airflow.sdk import dag, task


@dag(dag_id="${dagId}", schedule=None, max_active_runs=1000, max_active_tasks=10000)
def flood():
    @task
    def drop(i):
        time.sleep(${seconds})

    drop.expand(i=list(range(${tasks})))


flood()
`;

/** Tasks beside one another that take a while. */
export const slowDag = (dagId: string, tasks: number, seconds: number): string => `import time
from airflow.sdk import dag, task


@dag(dag_id="${dagId}", schedule=None, max_active_runs=1000, max_active_tasks=1000)
def slow():
    @task
    def wait():
        at = time.time()
        time.sleep(${seconds})
        return {"at": at}

    for i in range(${tasks}):
        wait.override(task_id=f"wait_{i}")()


slow()
`;
