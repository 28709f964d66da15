import pendulum
from airflow import DAG
from airflow.decorators import setup, task, teardown
from airflow.operators.bash import BashOperator

with DAG("v2_setup_teardown", schedule=None, start_date=pendulum.datetime(2024, 1, 1, tz="UTC")) as dag:
    create = BashOperator(task_id="create", bash_command="true").as_setup()
    work = BashOperator(task_id="work", bash_command="true")
    drop = BashOperator(task_id="drop", bash_command="true").as_teardown(setups=create, on_failure_fail_dagrun=True)
    create >> work >> drop

    @setup
    def up():
        return 1

    @teardown
    def down():
        pass

    @task
    def inside():
        pass

    with up() >> down():
        inside()
