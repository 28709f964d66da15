from airflow.sdk import DAG, task


def make(name):
    with DAG(name, schedule="@daily") as dag:

        @task
        def one():
            pass

        one()
    return dag
