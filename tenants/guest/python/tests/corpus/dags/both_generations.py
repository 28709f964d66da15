try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG
    from airflow.operators.bash import BashOperator

with DAG("both_generations", schedule="@daily"):
    BashOperator(task_id="a", bash_command="true")
