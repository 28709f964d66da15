"""Sales of bike passes per district, every morning.

Reads the city's order file, cleans it, adds it up per district (one mapped task each), loads the sums into the
`warehouse` and writes a report with a chart.

Try: `airlock trigger acme/orders_etl --conf '{"product": "year"}' --wait`, or with `{"first_try_fails": true}` to
watch a retry.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Param, dag, get_current_context, task

from include.chart import bar_page
from include.orders import clean_orders, districts
from include.warehouse import warehouse

repository = Path(__file__).resolve().parent.parent


@dag(
    schedule="15 5 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Zurich"),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["orders", "daily"],
    default_args={"owner": "acme", "retries": 2, "retry_delay": timedelta(seconds=2)},
    params={
        "product": Param("all", enum=["all", "day", "month", "year", "cargo"], description="Which pass to add up"),
        "report_from_eur": Param(1000, type="integer", minimum=0, description="Less than this is a quiet day"),
        "first_try_fails": Param(False, type="boolean", description="Let the first try of `extract` fail"),
    },
)
def orders_etl():
    count_lines = BashOperator(
        task_id="count_lines",
        bash_command="wc -l < data/orders.csv && echo 'looked at on {{ dag_run.run_after | ds }}' >&2",
        cwd=str(repository),
    )

    @task
    def extract() -> list[str]:
        """The districts in which something was sold: what comes next is mapped over them."""
        context = get_current_context()
        if context["params"]["first_try_fails"] and context["ti"].try_number == 1:
            raise ConnectionError("the open-data portal is having a rest; it will be back for the second try")
        orders, refused = clean_orders()
        print(f"{len(orders)} orders; refused: {refused}")
        return sorted({order["district"] for order in orders})

    @task(max_active_tis_per_dagrun=4)
    def add_up(district: str, params: dict) -> dict:
        orders = [
            order for order in clean_orders()[0]
            if order["district"] == district and params["product"] in ("all", order["product"])
        ]  # fmt: skip
        cents = sum(order["cents"] for order in orders)
        return {"district": district, "orders": len(orders), "cents": cents}

    @task
    def load(sums: list[dict]) -> int:
        """Replaces the rows of this product: a second run leaves the same table."""
        context = get_current_context()
        product = context["params"]["product"]
        with warehouse() as cursor:
            cursor.execute(
                "create table if not exists orders_by_district (product text, district text, orders integer not null,"
                " cents bigint not null, loaded_by text not null, primary key (product, district))"
            )
            cursor.execute("delete from orders_by_district where product = %s", (product,))
            cursor.executemany(
                "insert into orders_by_district values (%s, %s, %s, %s, %s)",
                [(product, each["district"], each["orders"], each["cents"], context["run_id"]) for each in sums],
            )
        print(f"{len(sums)} districts loaded")
        return sum(each["cents"] for each in sums)

    @task.branch
    def worth_a_report(total_cents: int) -> str:
        least = get_current_context()["params"]["report_from_eur"] * 100
        return "report" if total_cents >= least else "quiet_day"

    @task
    def report(sums: list[dict], params: dict, logical_date=None) -> str:
        """Writes `orders.html`; `airlock artifacts` shows it."""
        names = districts()
        bars = sorted(((names[s["district"]]["name"], s["cents"] / 100) for s in sums), key=lambda bar: -bar[1])
        per_head = max(sums, key=lambda s: s["cents"] / names[s["district"]]["inhabitants"])
        best = names[per_head["district"]]["name"]
        page = bar_page(f"Sales by district: {params['product']}", bars, "EUR", f"Most per inhabitant: {best}.")
        path = Path(os.environ["AIRLOCK_ARTIFACTS"]) / "orders.html"
        path.write_text(page, encoding="utf-8")
        print(f"{logical_date}: most per inhabitant in {best}")
        return best

    quiet_day = EmptyOperator(task_id="quiet_day")
    done = EmptyOperator(task_id="done", trigger_rule="none_failed_min_one_success")

    found = extract()
    count_lines >> found
    sums = add_up.expand(district=found)
    total = load(sums)
    worth_a_report(total) >> [report(sums), quiet_day] >> done


orders_etl()
