from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG("v3_nothing_said"):
    EmptyOperator(task_id="only")
with DAG("v3_assets", schedule=None, auto_register=False):
    EmptyOperator(task_id="unseen")
