"""Airflow's exceptions, as far as DAG files raise or catch them."""

from __future__ import annotations


class AirflowException(Exception):
    status_code = 500


class AirflowBadRequest(AirflowException):
    status_code = 400


class AirflowNotFoundException(AirflowException):
    status_code = 404


class AirflowConfigException(AirflowException):
    pass


class AirflowSensorTimeout(AirflowException):
    pass


class AirflowTaskTimeout(BaseException):
    """A BaseException, so that an author's `except Exception` does not swallow it."""


class AirflowTaskTerminated(BaseException):
    pass


class AirflowSkipException(AirflowException):
    pass


class AirflowFailException(AirflowException):
    pass


class AirflowRescheduleException(AirflowException):
    def __init__(self, reschedule_date):
        super().__init__(f"reschedule at {reschedule_date}")
        self.reschedule_date = reschedule_date


class AirflowOptionalProviderFeatureException(AirflowException):
    pass


class AirflowInternalRuntimeError(BaseException):
    pass


class AirflowRuntimeError(AirflowException):
    """The house answered a question with an error."""

    def __init__(self, error, detail=None):
        self.error = error
        self.detail = detail
        said = detail.get("message") if isinstance(detail, dict) else detail
        super().__init__(f"{error}: {said}" if said else str(error))


class XComNotFound(AirflowException):
    def __init__(self, dag_id="", task_id="", key=""):
        super().__init__(f'XComArg result from {task_id} at {dag_id} with key="{key}" is not found!')


class XComForMappingNotPushed(TypeError):
    def __str__(self):
        return "did not push XCom for task mapping"


class UnmappableXComTypePushed(AirflowException):
    def __init__(self, value=None, *values):
        super().__init__(f"unmappable return type {type(value).__qualname__!r}")


class DownstreamTasksSkipped(AirflowException):
    def __init__(self, *, tasks):
        super().__init__(f"skip {tasks}")
        self.tasks = tasks


class DagRunTriggerException(AirflowException):
    def __init__(self, **fields):
        super().__init__("trigger a DAG run")
        vars(self).update(fields)


class TaskDeferred(BaseException):
    def __init__(self, *, trigger, method_name, kwargs=None, timeout=None):
        super().__init__()
        self.trigger = trigger
        self.method_name = method_name
        self.kwargs = kwargs
        self.timeout = timeout


class TaskDeferralError(AirflowException):
    pass


class TaskDeferralTimeout(TaskDeferralError):
    pass


class AirflowDagCycleException(AirflowException):
    pass


class AirflowDagDuplicatedIdException(AirflowException):
    pass


class AirflowDagInconsistent(AirflowException):
    pass


class AirflowTimetableInvalid(AirflowException):
    pass


class AirflowClusterPolicyViolation(AirflowException):
    pass


class AirflowClusterPolicySkipDag(AirflowException):
    pass


class DuplicateTaskIdFound(AirflowException):
    pass


class TaskAlreadyInTaskGroup(AirflowException):
    def __init__(self, task_id, existing_group_id, new_group_id):
        super().__init__(f"cannot add {task_id!r} to {new_group_id!r} (already in {existing_group_id!r})")


class TaskNotFound(AirflowNotFoundException):
    pass


class DagNotFound(AirflowNotFoundException):
    pass


class DagRunNotFound(AirflowNotFoundException):
    pass


class DagRunAlreadyExists(AirflowBadRequest):
    pass


class PoolNotFound(AirflowNotFoundException):
    pass


class ParamValidationError(AirflowException):
    pass


class FailStopDagInvalidTriggerRule(AirflowException):
    pass


class NodeConnectionError(AirflowException):
    pass


class RemovedInAirflow3Warning(DeprecationWarning):
    pass


class RemovedInAirflow4Warning(DeprecationWarning):
    pass


class AirflowProviderDeprecationWarning(DeprecationWarning):
    pass


class DeprecatedImportWarning(FutureWarning):
    pass
