from airflow.models import BaseOperator
from airflow.plugins_manager import AirflowPlugin
from airflow.utils.decorators import apply_defaults


class WarehouseOperator(BaseOperator):
    template_fields = ("table",)

    @apply_defaults
    def __init__(self, table, warehouse="wh", *args, **kwargs):
        super(WarehouseOperator, self).__init__(*args, **kwargs)
        self.table = table
        self.warehouse = warehouse

    def execute(self, context):
        return f"{self.warehouse}.{self.table}"


class OtherOperator(WarehouseOperator):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, table="other", **kwargs)


def shout(text):
    return text.upper()


class AcmePlugin(AirflowPlugin):
    name = "acme_plugin"
    operators = [WarehouseOperator, OtherOperator]
    macros = [shout]
