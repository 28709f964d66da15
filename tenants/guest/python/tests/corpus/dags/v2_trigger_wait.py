from datetime import datetime, timedelta

from airflow import DAG
from airflow.operators.latest_only import LatestOnlyOperator
from airflow.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sensors.external_task import ExternalTaskMarker, ExternalTaskSensor

dag = DAG(dag_id="v2_trigger_wait", start_date=datetime(2023, 1, 1), schedule_interval="@monthly", fail_stop=True)
wait = ExternalTaskSensor(
    task_id="wait", external_dag_id="orders", external_task_id="load", execution_delta=timedelta(hours=1), dag=dag,
    mode="reschedule", timeout=600,
)
latest = LatestOnlyOperator(task_id="latest", dag=dag)
trigger = TriggerDagRunOperator(task_id="trigger", trigger_dag_id="orders", conf={"day": "{{ ds }}"}, dag=dag)
mark = ExternalTaskMarker(task_id="mark", external_dag_id="x", external_task_id="y", dag=dag)
wait >> latest >> trigger >> mark
