/** The teams' repositories in the storm. Each guest task writes its effect outside, under its own key, and then succeeds. */

export type Shape = {
  readonly dag: string;
  /** Task instances of one run, as far as they are known beforehand. */
  readonly tasks: number;
  /** Of them with a guest. */
  readonly guests: number;
  /** How often it is chosen, against the others. */
  readonly weight: number;
};

export const shapes: readonly Shape[] = [
  { dag: "mixed", tasks: 83, guests: 3, weight: 6 },
  { dag: "chain", tasks: 4, guests: 4, weight: 3 },
  { dag: "mapped", tasks: 26, guests: 6, weight: 2 },
  { dag: "inline", tasks: 60, guests: 0, weight: 4 },
  { dag: "flaky", tasks: 2, guests: 2, weight: 1 },
  { dag: "heavy", tasks: 3, guests: 3, weight: 1 },
];

/** One run of these a storm now and then: they cost more than they say. */
export const hog: Shape = { dag: "hog", tasks: 1, guests: 1, weight: 0 };

const common = (tenant: string, port: number): string => `import os
import socket
import time
from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, chain, task

# A storm kills many a try: no run may fail for want of one.
ARGS = {"retries": 200, "retry_delay": timedelta(seconds=0.3)}


def effect(ti):
    """The outside world: written under this task instance's key, with a name of its own for each time that it runs."""
    line = "\\t".join(["${tenant}", ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index), str(ti.try_number), os.urandom(8).hex()])
    with socket.create_connection(("127.0.0.1", ${port}), timeout=60) as out:
        out.sendall((line + "\\n").encode())
        if out.recv(2) != b"ok":
            raise RuntimeError("the outside world did not answer")


@task
def act(ti=None):
    effect(ti)
`;

export function storedWorkflows(tenant: string, port: number): ReadonlyMap<string, string> {
  const head = common(tenant, port);
  return new Map([
    ["airlock.yaml", "limits:\n  memory: 192MiB\n"],
    [
      "dags/mixed.py",
      `${head}
with DAG("mixed", schedule=None, max_active_runs=500, max_active_tasks=500, default_args=ARGS):
    first, middle, last = (act.override(task_id=name)() for name in ("first", "middle", "last"))
    first >> [EmptyOperator(task_id=f"a{i}") for i in range(40)] >> middle
    middle >> [EmptyOperator(task_id=f"b{i}") for i in range(40)] >> last
`,
    ],
    [
      "dags/chain.py",
      `${head}
with DAG("chain", schedule=None, max_active_runs=500, max_active_tasks=500, default_args=ARGS):
    chain(*[act.override(task_id=f"step{i}")() for i in range(4)])
`,
    ],
    [
      "dags/mapped.py",
      `${head}
@task
def numbers(ti=None):
    effect(ti)
    return [1, 2, 3]


@task(pool="narrow")
def each(n, ti=None):
    effect(ti)
    return n


@task
def large(ti=None):
    effect(ti)
    return "x" * 100_000


@task
def total(ns, text, ti=None):
    if sum(ns) != 6 or len(text) != 100_000:
        raise ValueError(f"not what was returned: {list(ns)}, {len(text)}")
    effect(ti)


with DAG("mapped", schedule=None, max_active_runs=500, max_active_tasks=500, default_args=ARGS):
    total(each.expand(n=numbers()), large()) >> [EmptyOperator(task_id=f"after{i}") for i in range(20)]
`,
    ],
    [
      "dags/inline.py",
      `${head}
with DAG("inline", schedule=None, max_active_runs=500, max_active_tasks=500, default_args=ARGS):
    chain(*[[EmptyOperator(task_id=f"e{row}_{i}") for i in range(6)] for row in range(10)])
`,
    ],
    [
      "dags/flaky.py",
      `${head}
@task
def at_second(ti=None):
    if ti.try_number == 1:
        raise RuntimeError("the first try fails")
    effect(ti)


with DAG("flaky", schedule=None, max_active_runs=500, max_active_tasks=500, default_args=ARGS):
    at_second() >> act.override(task_id="then")()
`,
    ],
    [
      "dags/heavy.py",
      `${head}
@task
def works(ti=None):
    for i in range(4):
        print(f"still at it: {i}")
        time.sleep(0.3)
    with open(os.path.join(os.environ["AIRLOCK_ARTIFACTS"], "report.txt"), "w") as report:
        report.write("done\\n" * 1000)
    effect(ti)


with DAG("heavy", schedule=None, max_active_runs=500, max_active_tasks=500, default_args=ARGS):
    for i in range(3):
        works.override(task_id=f"works{i}")()
`,
    ],
    [
      "dags/hog.py",
      `${head}
@task
def eats(ti=None):
    if ti.try_number == 1:
        kept = bytearray(400_000_000)
        kept[::4096] = b"x" * len(kept[::4096])
    effect(ti)


with DAG("hog", schedule=None, max_active_runs=500, max_active_tasks=500, default_args=ARGS):
    eats()
`,
    ],
  ]);
}

/** A schedule that ticks through the whole storm: each of its dates has one run. */
export const ticks = (tenant: string, port: number, from: Date): ReadonlyMap<string, string> =>
  new Map([
    [
      "dags/ticks.py",
      `${common(tenant, port)}
with DAG("ticks", schedule=timedelta(seconds=4), start_date=datetime.fromisoformat("${from.toISOString().slice(0, 19)}+00:00"),
         catchup=True, max_active_runs=500, max_active_tasks=500, default_args=ARGS):
    EmptyOperator(task_id="tick") >> act.override(task_id="tock")()
`,
    ],
  ]);

/** A DAG whose file changes while its runs run: another number of tasks each time. */
export const moving = (
  tenant: string,
  port: number,
  version: number,
): ReadonlyMap<string, string> =>
  new Map([
    [
      "dags/moving.py",
      `${common(tenant, port)}
# version ${version}
with DAG("moving", schedule="${version % 60} 0 1 1 *", catchup=False, max_active_runs=500, max_active_tasks=500, default_args=ARGS):
    chain(*[act.override(task_id=f"part{i}")() for i in range(${2 + (version % 3)})])
`,
    ],
  ]);
