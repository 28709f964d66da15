"""What a DagSpec says where its file says nothing: `corpus/expected.json` only lists what differs."""

DAG = {
    "tags": [], "owners": ["airflow"], "guest": "python", "timezone": "UTC", "max_active_runs": 16,
    "max_active_tasks": 16, "max_consecutive_failed_dag_runs": 0, "fail_fast": False, "params": {},
    "render_template_as_native_obj": False, "has_success_callback": False, "has_failure_callback": False, "groups": [],
}  # fmt: skip

TASK = {
    "owner": "airflow", "downstream": [], "trigger_rule": "all_success", "retries": 0, "retry_delay_s": 300,
    "retry_exponential_backoff": 0, "depends_on_past": False, "wait_for_downstream": False, "pool": "default_pool",
    "pool_slots": 1, "queue": "default", "priority_weight": 1, "weight_rule": "downstream", "is_setup": False,
    "is_teardown": False, "on_failure_fail_dagrun": False, "has_callbacks": False, "multiple_outputs": False,
    "runs_in": "python",
}  # fmt: skip

FIELDS = {
    "@task": ["templates_dict", "op_args", "op_kwargs"],
    "BashOperator": ["bash_command", "env", "cwd"],
    "EmptyOperator": [],
}
