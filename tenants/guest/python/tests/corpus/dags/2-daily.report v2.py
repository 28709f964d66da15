"""A file name that is no identifier; `with dag:` on an object; `>>` behind the block."""

from datetime import datetime

from airflow import models
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator

dag = models.DAG(
    "daily.report", schedule_interval="@daily", start_date="2021-03-04", tags=["report", "daily"], catchup=True,
    description="Daily report", max_active_runs=1, is_paused_upon_creation=False,
)
with dag:
    a = EmptyOperator(task_id="a")
    b = BashOperator(task_id="b.with.dots", bash_command="report.sh ")
a >> b
dag.doc_md = __doc__
b.pool = "reports"
b.trigger_rule = "all_done"
a
