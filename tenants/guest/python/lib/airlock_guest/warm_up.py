"""Runs a small DAG inside the zygote before its first fork, against nobody.

What runs often is rewritten in place by Python (3.11 and later): done here once, the pages stay shared; left to the
children, each of them copies them. It also compiles Jinja's first template and fills the caches of pendulum and inspect.
"""

from __future__ import annotations

import os
import signal

from airflow._light import channel
from airflow._light.context import opened
from airflow._light.dag import DagContext
from airflow._light.task_instance import TaskInstance
from airlock_guest.run_task import Attempt
from airlock_guest.write_spec import write_spec

_rounds = 12
_source = """
from datetime import datetime, timedelta
from airflow import DAG
from airflow.decorators import dag, task, task_group
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator
from airflow.sdk import Variable

@task
def first(ds=None, **context):
    return {"n": 1}

@task
def second(value):
    return value

with DAG("warm_up", schedule="0 6 * * *", start_date=datetime(2024, 1, 1), default_args={"retries": 1},
         tags=["x"], catchup=False) as made:
    a = PythonOperator(task_id="a", python_callable=lambda ds: len(ds), op_kwargs={"x": "{{ ds }} {{ params }}"},
                       retry_delay=timedelta(minutes=1))
    b = BashOperator(task_id="b", bash_command="echo {{ ds }}")
    a >> b
    second(first())
"""

_code = compile(_source, "<warm-up>", "exec")


def warm_up(rounds: int = _rounds) -> None:
    before = dict(os.environ)
    channel.use(_Nobody())
    try:
        for _ in range(rounds):
            names: dict = {"__name__": "warm_up"}
            exec(_code, names)
            dag = names["made"]
            dag.check_cycle()
            write_spec(dag, "2", [])
            for task_id, level in (("a", "2"), ("first", "3"), ("second", "3")):
                _run(dag, task_id, level)
    finally:
        channel.use(None)
        DagContext.registered.clear()
        os.environ.clear()
        os.environ.update(before)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def touch(kind: str) -> None:
    """In a spare: copies the pages that every attempt (or parse) writes to, and none that only some do."""
    before = dict(os.environ)
    channel.use(_Nobody())
    try:
        names: dict = {"__name__": "warm_up"}
        exec(_code, names)
        if kind == "parse":
            write_spec(names["made"], "2", [])
        else:
            _run(names["made"], "second", "3")
    finally:
        channel.use(None)
        DagContext.registered.clear()
        os.environ.clear()
        os.environ.update(before)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _run(dag, task_id: str, level: str) -> None:
    start = {
        "attempt": "", "dag_id": "warm_up", "task_id": task_id, "map_index": -1, "try_number": 1, "max_tries": 0,
        "dag_file": "", "execution_timeout_s": 60,
        "run": {
            "run_id": "r", "run_type": "scheduled", "logical_date": "2024-01-01T00:00:00+00:00",
            "data_interval_start": "2024-01-01T00:00:00+00:00", "data_interval_end": "2024-01-02T00:00:00+00:00",
            "run_after": "2024-01-02T00:00:00+00:00", "start_date": "2024-01-02T00:00:00+00:00", "conf": {},
        },
    }  # fmt: skip
    attempt = Attempt(TaskInstance(start, level), start, level)
    attempt.take(dag)
    with opened(attempt.context):
        attempt.run()


class _Nobody:
    def ask(self, body: dict) -> dict:
        return {"type": "OKResponse", "ok": True, "value": 1}

    def tell(self, body: dict) -> None:
        pass
