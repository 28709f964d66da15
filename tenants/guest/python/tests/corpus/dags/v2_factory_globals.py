import sys
from datetime import timedelta

import pendulum
from airflow import DAG
from airflow.operators.python import PythonOperator
from shared.tools import double


def make(name):
    with DAG(
        f"factory_{name}", schedule_interval=timedelta(hours=6), start_date=pendulum.datetime(2022, 1, 1, tz="Europe/Berlin"),
        default_args={"owner": name},
    ) as made:
        PythonOperator(task_id="double", python_callable=double, op_args=[2])
    return made


for name in ("one", "two"):
    globals()[f"dag_{name}"] = make(name)


class Job:
    airflow_dag = make("three")


adag = Job().airflow_dag
setattr(sys.modules[__name__], "four", make("four"))
broken = None
