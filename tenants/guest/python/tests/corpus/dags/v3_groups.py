"""Setup, groups in groups, arrows between groups, a label into a list, ids that collide and get a suffix."""

from airflow.sdk import DAG, Label, TaskGroup, chain_linear, task, task_group

with DAG("v3_groups", schedule="@quarterly", catchup=False, default_args={"retries": "2"}) as dag:

    @task
    def step(n=0):
        return n

    @task_group
    def pair(n):
        step(n) >> step(n + 1)

    first, second = pair(1), pair(2)
    first >> second
    with TaskGroup("a") as a:
        with TaskGroup("b", tooltip="inner") as b:
            step.override(task_id="x")()
            step.override(task_id="x2").expand(n=[1, 2, 3])
        step.override(task_id="y", pool_slots=3)() >> Label("go") >> [step.override(task_id="z")(), b]
    chain_linear(second, [a, step()], step.override(task_id="end")())
