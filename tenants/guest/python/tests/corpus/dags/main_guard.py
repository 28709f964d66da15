from airflow import DAG
from airflow.operators.python import PythonOperator
import shutil
from functools import partial

dag = DAG("main_guard", schedule_interval="@once")
PythonOperator(task_id="builtin", python_callable=shutil.rmtree, op_kwargs={"path": "/tmp/x"}, dag=dag)
PythonOperator(task_id="partial", python_callable=partial(print, "x"), dag=dag)
PythonOperator(task_id="lambda", python_callable=lambda **_: 1, dag=dag)
if __name__ == "__main__":
    dag.cli()
    dag.test()
