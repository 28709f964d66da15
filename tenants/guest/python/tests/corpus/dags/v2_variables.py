from airflow import DAG
from airflow.hooks.base import BaseHook
from airflow.models import Variable
from airflow.operators.bash import BashOperator

config = Variable.get("config", deserialize_json=True)
mode = Variable.get("mode", "slow")
other = Variable.get("other", default_var=None)
host = BaseHook.get_connection("warehouse").host

with DAG("v2_variables", schedule_interval=None if mode == "slow" else "@daily", tags=[config["team"], host]) as dag:
    for table in config["tables"]:
        BashOperator(task_id=f"load_{table}", bash_command="echo {{ var.value.mode }}")
