from datetime import datetime, timedelta

import airflow
from airflow import DAG
from airflow.contrib.sensors.python_sensor import PythonSensor
from airflow.operators.bash_operator import BashOperator
from airflow.operators.dummy_operator import DummyOperator
from airflow.operators.python_operator import BranchPythonOperator, PythonOperator
from airflow.utils.trigger_rule import TriggerRule

default_args = {
    "owner": "data",
    "depends_on_past": True,
    "start_date": datetime(2019, 5, 1),
    "email": ["data@example.com"],
    "email_on_failure": True,
    "email_on_sucess": False,
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "provide_context": True,
    "catchup": False,
    "queue": "bash_queue",
    "pool": "backfill",
}

dag = DAG("v1_classic", default_args=default_args, schedule_interval="0 3 * * *", concurrency=4)

start = DummyOperator(task_id="start", dag=dag)


def choose(**context):
    return "left"


branch = BranchPythonOperator(task_id="branch", python_callable=choose, dag=dag)
left = BashOperator(task_id="left", bash_command="echo {{ ds }} ", xcom_push=True, dag=dag)
right = PythonOperator(task_id="right", python_callable=choose, provide_context=True, dag=dag)
join = DummyOperator(task_id="join", trigger_rule="none_failed_or_skipped", dag=dag)
wait = PythonSensor(task_id="wait", python_callable=lambda: True, mode="reschedule", poke_interval=30, dag=dag)

branch.set_upstream(start)
branch >> [left, right] >> join
wait.set_downstream([start])
assert airflow.utils.dates.days_ago(1) is not None
assert TriggerRule.DUMMY == "always"
