from airflow import DAG
from airflow.decorators import task, task_group
from airflow.operators.bash import BashOperator

with DAG("v2_mapped_classic", schedule=None) as dag:
    names = BashOperator(task_id="names", bash_command="echo x", do_xcom_push=True)
    BashOperator.partial(task_id="each", retries=4, pool="p").expand(bash_command=["echo 1", "echo 2"], env=[{"A": "1"}])
    BashOperator.partial(task_id="kwargs", bash_command="true").expand_kwargs([{"cwd": "/"}, {"cwd": "/tmp"}])

    @task
    def numbers():
        return [1, 2]

    @task
    def pair(both, c=1):
        return both

    pair.partial(c=2).expand(both=numbers().zip(names.output))
    pair.override(task_id="concat").expand(both=numbers.override(task_id="more")().concat(names.output.map(len)))

    @task_group
    def per_item(item):
        pair.override(task_id="inner")(item)

    per_item.expand(item=numbers.override(task_id="items")())
