from airflow import DAG
from airflow.models.baseoperator import BaseOperator
from airflow.operators.python import BranchPythonOperator
from airflow.utils.context import Context
from airflow.utils.session import NEW_SESSION, provide_session
from airflow import settings


class House(DAG):
    def __init__(self, name, **kwargs):
        super().__init__(dag_id=f"house_{name}", schedule_interval="0 5 * * *", catchup=False, **kwargs)


class Own(BaseOperator):
    def __init__(self, path, **kwargs):
        super().__init__(**kwargs)
        self.path = path

    @provide_session
    def execute(self, context: Context, session=NEW_SESSION):
        return self.path


session = settings.Session()
with House("one", tags=["h"]) as one:
    op = Own(task_id="own", path="/x", dag=one)
op.doc_md = "later"
op.retries = 6
branch = BranchPythonOperator(task_id="pick", python_callable=lambda: "own", dag=one)
op << branch
