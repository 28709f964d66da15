"""Must succeed, each minute: commit, sync, schedule, queue, sandbox, XCom, log."""
from datetime import timedelta

from airflow.sdk import dag, task


@dag(schedule="* * * * *", catchup=False, max_active_runs=1, dagrun_timeout=timedelta(minutes=2), tags=["canary"])
def must_succeed():
    @task
    def sing():
        print("a canary sings")
        return 42

    @task
    def listen(note):
        if note != 42:
            raise ValueError(f"the note was {note}")

    listen(sing())


must_succeed()
