from airflow.hooks.base_hook import BaseHook
from airflow.models import DAG
from airflow.operators import BashOperator
from airflow.operators import WarehouseOperator
from airflow.operators.acme_plugin import OtherOperator
from airflow.utils.dates import datetime, days_ago

with DAG(dag_id="v1_operators_door", start_date=datetime(2018, 1, 1), schedule_interval=None):
    BashOperator(task_id="bash", bash_command="true") >> WarehouseOperator(task_id="load", table="orders")
    OtherOperator(task_id="other")
assert days_ago and BaseHook
