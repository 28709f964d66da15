"""Apache Airflow's own client against a served API: its pydantic models are strict, so a wrong key raises here."""
import json
import sys
import urllib.request

import airflow_client.client as client
from airflow_client.client.api import (
    config_api, connection_api, dag_api, dag_run_api, dag_source_api, dag_stats_api, dag_version_api, event_log_api, import_error_api,
    monitor_api, pool_api, task_api, task_instance_api, variable_api, version_api, x_com_api,
)
from airflow_client.client.models import (
    ClearTaskInstancesBody, ConnectionBody, DAGPatchBody, PoolBody, PoolPatchBody, TriggerDAGRunPostBody, VariableBody,
)

host, username, password = sys.argv[1:4]

# The sample code of the client's README.
request = urllib.request.Request(
    f"{host}/auth/token", data=json.dumps({"username": username, "password": password}).encode(),
    headers={"content-type": "application/json"}, method="POST")
with urllib.request.urlopen(request) as answer:
    assert answer.status == 201, answer.status
    token = json.load(answer)["access_token"]

done = []
with client.ApiClient(client.Configuration(host=host, access_token=token)) as api:
    def check(name, value):
        assert value is not None, name
        done.append(name)
        return value

    assert check("version", version_api.VersionApi(api).get_version()).version.startswith("3.")
    check("health", monitor_api.MonitorApi(api).get_health())
    dags = dag_api.DAGApi(api)
    listed = check("get_dags", dags.get_dags(limit=100, order_by=["dag_id"]))
    assert listed.total_entries == 4 and listed.dags[0].dag_id == "fin-x", listed
    check("get_dag", dags.get_dag("orders_etl"))
    details = check("get_dag_details", dags.get_dag_details("orders_etl"))
    assert details.timezone == "UTC" and details.latest_dag_version.version_number == 1
    check("get_dag_tags", dags.get_dag_tags())
    assert check("patch_dag", dags.patch_dag("orders_etl", DAGPatchBody(is_paused=True))).is_paused is True
    check("get_dag_stats", dag_stats_api.DagStatsApi(api).get_dag_stats())
    check("get_dag_source", dag_source_api.DagSourceApi(api).get_dag_source("orders_etl"))
    check("get_dag_versions", dag_version_api.DagVersionApi(api).get_dag_versions("~"))
    tasks = check("get_tasks", task_api.TaskApi(api).get_tasks("orders_etl"))
    by_id = {task.task_id: task for task in tasks.tasks}
    assert by_id["extract"].execution_timeout.days == 1 and by_id["load"].is_mapped is True
    check("get_task", task_api.TaskApi(api).get_task("orders_etl", "extract"))

    runs = dag_run_api.DagRunApi(api)
    made = check("trigger_dag_run", runs.trigger_dag_run(
        "orders_etl", TriggerDAGRunPostBody(logical_date=None, conf={"a": 1})))
    assert made.state == "queued" and made.conf == {"a": 1}
    assert check("get_dag_runs", runs.get_dag_runs("~", state=["success"])).total_entries == 4
    check("get_dag_run", runs.get_dag_run("orders_etl", "r1"))

    instances = task_instance_api.TaskInstanceApi(api)
    found = check("get_task_instances", instances.get_task_instances("orders_etl", "r1"))
    assert found.total_entries == 3
    check("get_task_instances ~", instances.get_task_instances("~", "~"))
    check("get_task_instance", instances.get_task_instance("orders_etl", "r1", "extract"))
    check("get_mapped_task_instance", instances.get_mapped_task_instance("orders_etl", "r1", "load", 1))
    check("get_mapped_task_instances", instances.get_mapped_task_instances("orders_etl", "r1", "load"))
    assert check("get_task_instance_tries", instances.get_task_instance_tries("orders_etl", "r1", "extract")).total_entries == 2
    check("get_log", instances.get_log("orders_etl", "r1", "extract", 1))
    check("post_clear_task_instances", instances.post_clear_task_instances("orders_etl", ClearTaskInstancesBody(dag_run_id="r1")))
    check("dependencies", instances.get_task_instance_dependencies("orders_etl", "r2", "extract"))

    xcoms = x_com_api.XComApi(api)
    check("get_xcom_entries", xcoms.get_xcom_entries(dag_id="orders_etl", dag_run_id="r1", task_id="extract"))
    check("get_xcom_entry", xcoms.get_xcom_entry(
        dag_id="orders_etl", dag_run_id="r1", task_id="extract", xcom_key="return_value"))
    check("get_import_errors", import_error_api.ImportErrorApi(api).get_import_errors())

    connections = connection_api.ConnectionApi(api)
    check("post_connection", connections.post_connection(ConnectionBody(
        connection_id="py", conn_type="http", host="h", password="pw", extra='{"token": "t"}')))
    assert connections.get_connection("py").password == "***"
    connections.patch_connection("py", ConnectionBody(connection_id="py", conn_type="http", host="h2"), update_mask=["host"])
    assert check("get_connections", connections.get_connections()).total_entries == 2
    connections.delete_connection("py")

    variables = variable_api.VariableApi(api)
    assert check("post_variable", variables.post_variable(VariableBody(key="py", value="v"))).value == "v"
    assert variables.get_variable("py").value == "v"
    check("get_variables", variables.get_variables())
    variables.delete_variable("py")

    pools = pool_api.PoolApi(api)
    check("post_pool", pools.post_pool(PoolBody(name="py", slots=2)))
    assert pools.patch_pool("py", PoolPatchBody(pool="py", slots=3)).slots == 3
    check("get_pools", pools.get_pools())
    pools.delete_pool("py")

    assert check("get_event_logs", event_log_api.EventLogApi(api).get_event_logs()).total_entries > 5
    try:
        config_api.ConfigApi(api).get_config()
        raise AssertionError("the configuration was shown")
    except client.exceptions.ForbiddenException as error:
        assert "Your Airflow administrator chose" in error.body

    try:
        dags.get_dag("none")
        raise AssertionError("a DAG that is not there was found")
    except client.exceptions.NotFoundException as error:
        assert "detail" in json.loads(error.body)
    # The client names its tenant by the address alone: another one's things are not there.
    try:
        other = client.ApiClient(client.Configuration(host=host.replace("acme", "globex"), access_token=token))
        dag_api.DAGApi(other).get_dags()
        raise AssertionError("another tenant answered")
    except client.exceptions.NotFoundException:
        pass

print(json.dumps(done))
