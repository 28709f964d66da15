try:
    from airflow.sdk import dag, task
except ImportError:
    from airflow.decorators import dag, task


@dag(schedule_interval="@daily", start_date=None)
def interval_beats_sdk():
    @task
    def one() -> "dict[str, int]":
        return {"a": 1}

    one()


if True:
    interval_beats_sdk()
