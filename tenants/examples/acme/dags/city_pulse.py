"""A sign of life every three minutes: what the shop sold at this time of day, and whether that is much."""

import pendulum
from airflow.sdk import dag, get_current_context, task

from include.orders import clean_orders


@dag(
    schedule="*/3 * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["pulse"],
    default_args={"owner": "acme"},
)
def city_pulse():
    @task
    def look() -> dict:
        context = get_current_context()
        hour = (context.get("logical_date") or context["dag_run"].run_after).hour
        orders, _ = clean_orders()
        now = sum(1 for order in orders if int(order["at"][11:13]) == hour)
        return {"hour": hour, "orders": now, "usual": len(orders) / 24}

    @task
    def say(seen: dict) -> str:
        word = "busy" if seen["orders"] > 1.05 * seen["usual"] else "calm" if seen["orders"] < 0.95 * seen["usual"] else "as usual"
        line = f"{seen['hour']:02d}:00 is {word}: {seen['orders']} orders in two weeks, {seen['usual']:.0f} in a usual hour"
        print(line)
        return line

    say(look())


city_pulse()
