from airflow import DAG, Dataset
from airflow.operators.empty import EmptyOperator
from airflow.timetables.trigger import CronTriggerTimetable
import pendulum

orders = Dataset("s3://bucket/orders")
with DAG("v2_dataset", schedule=[orders], start_date=pendulum.datetime(2024, 1, 1)):
    EmptyOperator(task_id="listens", outlets=[orders])
with DAG(
    "v2_timetable", start_date=pendulum.datetime(2024, 1, 1), default_args={"retries": None},
    schedule=CronTriggerTimetable("0 1 * * MON", timezone="America/New_York", interval=pendulum.duration(days=1)),
):
    EmptyOperator(task_id="only", on_success_callback=print)
