from datetime import datetime, timedelta

from airflow.decorators import dag, task, task_group
from airflow.models.baseoperator import chain, cross_downstream
from airflow.operators.empty import EmptyOperator
from airflow.utils.edgemodifier import Label
from airflow.utils.task_group import TaskGroup


@dag(
    schedule="30 6 * * 1-5", start_date=datetime(2024, 1, 1), catchup=False,
    default_args={"retries": 1, "retry_exponential_backoff": True, "execution_timeout": timedelta(minutes=5)},
    params={"table": "orders", "limit": 10},
)
def v2_taskflow(source="s3"):
    """Docs of the DAG."""

    @task
    def extract(source, ti=None):
        return [1, 2, 3]

    @task(retries=3)
    def double(n: int):
        return n * 2

    @task.branch
    def choose(values):
        return "group.left"

    @task_group(group_id="group", tooltip="left or right")
    def group():
        left = EmptyOperator(task_id="left")
        right = EmptyOperator(task_id="right")
        return [left, right]

    @task(trigger_rule="none_failed_min_one_success")
    def total(values):
        return sum(values)

    rows = extract(source)
    extract.override(task_id="again")(source)
    doubled = double.expand(n=rows)
    chosen = choose(doubled)
    ends = group()
    chosen >> Label("maybe") >> ends
    ends >> total(doubled)
    a, b, c, d = (EmptyOperator(task_id=name) for name in "abcd")
    chain(a, [b, c], d)
    with TaskGroup("outer", prefix_group_id=False) as outer:
        with TaskGroup("inner"):
            EmptyOperator(task_id="x") >> EmptyOperator(task_id="y")
    d >> outer
    cross_downstream([a], [d])


v2_taskflow()
