"""Written for Airflow 2 and never touched since: it runs as it is."""

from datetime import datetime, timedelta

from airflow import DAG
from airflow.models import Variable
from airflow.operators.bash import BashOperator
from airflow.operators.dummy import DummyOperator
from airflow.operators.python import BranchPythonOperator, PythonOperator

from include.orders import clean_orders

default_args = {
    "owner": "acme",
    "depends_on_past": False,
    "email_on_failure": False,
    "retries": 1,
    "retry_delay": timedelta(seconds=5),
    "provide_context": True,
}

dag = DAG(
    "stock_check",
    default_args=default_args,
    description="Are there enough blank cards for the passes of two weeks?",
    schedule_interval="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["stock", "airflow-2"],
)


def count_passes(**kwargs):
    orders, _ = clean_orders()
    kwargs["ti"].xcom_push(key="passes", value=len(orders))
    return len(orders)


def enough(ti, **kwargs):
    stock = int(Variable.get("card_stock", default_var=4000))
    return "all_well" if stock >= ti.xcom_pull(task_ids="count_passes", key="passes") else "order_cards"


start = DummyOperator(task_id="start", dag=dag)
count = PythonOperator(task_id="count_passes", python_callable=count_passes, provide_context=True, dag=dag)
decide = BranchPythonOperator(task_id="decide", python_callable=enough, dag=dag)
order_cards = BashOperator(
    task_id="order_cards",
    bash_command="echo 'order cards: {{ ti.xcom_pull(task_ids=\"count_passes\") }} passes, {{ var.value.card_stock }} cards'",
    dag=dag,
)
all_well = BashOperator(
    task_id="all_well",
    bash_command="echo '{{ execution_date.strftime(\"%d.%m.%Y\") }} ({{ ds_nodash }}), {{ dag.dag_id }}: enough cards'",
    dag=dag,
)
summary = BashOperator(
    task_id="summary",
    bash_command="echo \"counted on {{ ds }}, next look on {{ macros.ds_add(ds, 1) }}\" | tee \"$AIRLOCK_ARTIFACTS/stock.txt\"",
    trigger_rule="none_failed_min_one_success",
    dag=dag,
)

start >> count >> decide >> [order_cards, all_well] >> summary
