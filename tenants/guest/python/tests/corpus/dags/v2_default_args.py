from datetime import datetime, timedelta

from airflow.models import DAG, BaseOperator
from airflow.operators.bash import BashOperator
from airflow.operators.python import ShortCircuitOperator
from airflow.sensors.base import BaseSensorOperator
from airflow.utils.task_group import TaskGroup


class Base(BaseOperator):
    def __init__(self, *, ssh_conn_id="none", **kwargs):
        super().__init__(**kwargs)
        self.ssh_conn_id = ssh_conn_id


class Derived(Base):
    template_fields = ("command",)
    template_ext = (".sql",)

    def __init__(self, command, env_vars=None, **kwargs):
        super().__init__(**kwargs)
        self.command = command
        self.env_vars = env_vars


class Wait(BaseSensorOperator):
    def poke(self, context):
        return True


def alert(channel):
    return lambda context: None


with DAG(
    dag_id="v2_default_args",
    schedule_interval="@weekly",
    default_args={
        "owner": "ops", "start_date": datetime(2020, 2, 2), "ssh_conn_id": "box", "env_vars": {"A": "1"},
        "max_active_runs": 3, "sla": timedelta(hours=1), "on_failure_callback": alert("#ops"), "poke_interval": 10,
        "depend_on_past": True, "retry_delay": 30, "pool_slots": 2,
    },
    on_failure_callback=[alert("#dag")],
    dagrun_timeout=timedelta(hours=2),
    default_view="graph",
    access_control={},
    render_template_as_native_obj=True,
) as dag:
    first = Derived(task_id="first", command="select {{ ds }}", resources={"cpus": 1})
    assert first.ssh_conn_id == "box" and first.env_vars == {"A": "1"}
    with TaskGroup("g", default_args={"retries": 5, "owner": "group"}) as g:
        Wait(task_id="wait", timeout=timedelta(hours=1), soft_fail=True)
        BashOperator(task_id="bash", bash_command="true", priority_weight=7, weight_rule="absolute", task_concurrency=1)
    gate = ShortCircuitOperator(task_id="gate", python_callable=lambda: True, max_retry_delay=timedelta(minutes=9))
    first >> gate >> g
