"""The dags folder by its own name, the folder above, plugins, include; a stem that is also a package."""

from airflow.decorators import dag, task
from dags.shared.tools import double as by_folder_name
from include.settings import SETTINGS
from orders.queries import ORDERS
from shared.tools import double
from acme_plugin import shout


@dag(schedule_interval=None, start_date=None, tags=[SETTINGS["team"]])
def v2_imports_everywhere():
    @task(multiple_outputs=True)
    def go():
        return {"n": double(by_folder_name(1)), "query": shout(ORDERS)}

    go()


v2_imports_everywhere()
