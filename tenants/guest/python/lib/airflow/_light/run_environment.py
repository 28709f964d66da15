"""What a task's processes find in their environment (`AIRFLOW_CTX_…`)."""

from __future__ import annotations


def trace_variables(start: dict) -> dict[str, str]:
    """An author's own spans go on in the run's trace. Where to send them is for the author to say: nothing of the platform's."""
    parent = start.get("traceparent")
    return {} if parent is None else {"TRACEPARENT": parent, "TRACESTATE": f"airlock={start['attempt']}"}


def context_variables(context) -> dict[str, str]:
    ti, task = context["ti"], context["task"]
    email = getattr(task, "email", None)
    found = {
        "AIRFLOW_CTX_DAG_ID": ti.dag_id,
        "AIRFLOW_CTX_TASK_ID": ti.task_id,
        "AIRFLOW_CTX_DAG_RUN_ID": ti.run_id,
        "AIRFLOW_CTX_TRY_NUMBER": str(ti.try_number),
        "AIRFLOW_CTX_DAG_OWNER": str(task.owner),
        "AIRFLOW_CTX_DAG_EMAIL": ",".join(email) if isinstance(email, (list, tuple)) else email or "",
    }
    logical = context.get("logical_date")
    if logical is not None:
        found["AIRFLOW_CTX_LOGICAL_DATE" if ti.level == "3" else "AIRFLOW_CTX_EXECUTION_DATE"] = logical.isoformat()
    return found
