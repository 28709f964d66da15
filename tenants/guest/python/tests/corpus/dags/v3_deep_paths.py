from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.bases.operator import BaseOperator
from airflow.sdk.definitions.asset import Dataset
from airflow.sdk.definitions.dag import DAG
from airflow.sdk.exceptions import AirflowSkipException
from airflow.timetables.interval import CronDataIntervalTimetable


class Own(BaseOperator):
    custom_operator_name = "own thing"

    def execute(self, context):
        raise AirflowSkipException("no")


kwargs = {"schedule": CronDataIntervalTimetable("@daily", timezone="UTC"), "catchup": True}
with DAG(dag_id="v3_deep_paths", **kwargs) as dag:
    Own.partial(task_id="own").expand(params=[{"a": 1}]) if False else Own(task_id="own")
assert BaseHook and Dataset
