import yaml_free_settings as settings
from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG("orders", schedule="@hourly", start_date=settings.START, template_searchpath="/bundle/sql") as dag:
    BashOperator(task_id="load", bash_command="sql/load.sh", env={"DAY": "{{ ds }}"})
