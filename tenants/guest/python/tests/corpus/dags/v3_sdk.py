"""Docs above."""

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, Asset, Label, Param, TaskGroup, TriggerRule, chain, dag, get_current_context, setup, task


@dag(
    dag_id="v3_sdk",
    dag_display_name="Third generation",
    schedule="15 * * * *",
    start_date=pendulum.datetime(2025, 1, 1, tz="Europe/Paris"),
    end_date=pendulum.datetime(2030, 1, 1, tz="Europe/Paris"),
    params={
        "day": Param("2025-01-01", type="string", format="date", description="which day"),
        "n": Param(3, type="integer", minimum=1),
    },
    max_active_tasks=5,
    max_consecutive_failed_dag_runs=4,
    tags={"b", "a"},
)
def build():
    @task(task_display_name="First one", doc_md="*doc*", outlets=[Asset("x")])
    def first() -> dict[str, int]:
        return {"n": get_current_context()["params"]["n"]}

    @task.sensor(poke_interval=5, timeout=60, mode="reschedule")
    def wait():
        return True

    @task.short_circuit
    def gate():
        return True

    @task.bash
    def shell():
        return "echo {{ ds }}"

    @task(trigger_rule=TriggerRule.ALL_DONE, map_index_template="{{ n }}")
    def last(n):
        return n

    chain(wait(), gate(), shell(), last(first()["n"]))


build()
assert DAG and Label and TaskGroup and setup and timedelta
