"""Where every name of Airflow's is found, in all three generations. To widen the surface, add a row.

A row is (generation, import path, names). `module:` opens a module of `airflow/_light`, the words behind it are its
names; `Public=ours` renames, `Public=*` is the whole module. `@module` serves a module of ours under that path.
The generation is what the path says about a file that imports it: "1.10": only that had it; "1": before 3, and it does
not tell 1.10 from 2; "2": 2.x had it first; "3": 3.x had it first; "": nothing. `infer_level.py` reads it.
"""

_EXCEPTIONS = "@exceptions"
_BASE = "baseoperator: BaseOperator BaseOperatorLink BaseOperatorMeta MappedOperator AbstractOperator"
_DAG = "dag: DAG dag DagContext"
_SENSOR = "sensors: BaseSensorOperator PokeReturnValue poke_mode_only"
_PYTHON = (
    "operators: PythonOperator BranchPythonOperator ShortCircuitOperator SkipMixin BranchMixIn "
    "context: get_current_context taskflow: task other_python: ExternalPythonOperator PythonVirtualenvOperator "
    "BranchExternalPythonOperator BranchPythonVirtualenvOperator"
)
_TRIGGER = "operators: TriggerDagRunOperator TriggerDagRunLink DagRunOrder"
_ASSETS = (
    "assets: Asset AssetAlias AssetAll AssetAny AssetRef AssetWatcher Model Metadata Dataset BaseAsset "
    "DatasetAlias=AssetAlias DatasetAll=AssetAll DatasetAny=AssetAny AssetUniqueKey=Asset"
)
_TASKFLOW = "taskflow: task task_group setup teardown dag"
_CHAIN = "graph: chain chain_linear cross_downstream"
_STATES = "states: State TaskInstanceState DagRunState TerminalTIState IntermediateTIState JobState"
_LINEAGE = (
    "for_providers: HookLineageCollector HookLineageReader HookLineage NoOpCollector get_hook_lineage_collector"
)
_MODULE_LOADING = "helpers: import_string for_providers: qualname iter_namespace is_valid_dotpath"
_DECORATOR = (
    "taskflow: TaskDecorator DecoratedOperator baseoperator: DecoratedMappedOperator=MappedOperator "
    "operators: determine_kwargs for_providers: KeywordParameters get_unique_task_id task_decorator_factory "
    "is_async_callable"
)
_EXTERNAL = "sensors: ExternalTaskSensor ExternalTaskMarker"

ROWS = [
    # All generations.
    ("", "airflow",
     f"{_DAG} assets: Dataset Asset xcom_arg: XComArg exceptions: AirflowException"),
    ("", "airflow.models",
     f"{_BASE} {_DAG} variable: Variable connection: Connection xcom: XCom BaseXCom XCOM_RETURN_KEY params: Param "
     "xcom_arg: XComArg task_instance: TaskInstance DagRun operators: SkipMixin plugins: AirflowPlugin "
     "helpers: DagModel Log SlaMiss TaskFail TaskReschedule RenderedTaskInstanceFields Pool DagTag "
     "dates: cron_presets"),
    ("", "airflow.models.dag",
     f"{_DAG} helpers: DagModel DagTag ScheduleInterval ScheduleArg DagStateChangeCallback params: DagParam"),
    ("", "airflow.models.baseoperator", f"{_BASE} {_CHAIN} helpers: TaskStateChangeCallback ScheduleInterval"),
    ("", "airflow.models.variable", "variable: Variable"),
    ("", "airflow.models.connection", "connection: Connection"),
    ("", "airflow.models.xcom", "xcom: XCom BaseXCom XCOM_RETURN_KEY"),
    ("", "airflow.models.xcom_arg", "xcom_arg: XComArg PlainXComArg MapXComArg ZipXComArg"),
    ("", "airflow.models.param", "params: Param ParamsDict DagParam"),
    ("", "airflow.models.dagrun", "task_instance: DagRun states: DagRunType"),
    ("", "airflow.models.taskinstance", "task_instance: TaskInstance context: Context get_current_context"),
    ("", "airflow.models.skipmixin", "operators: SkipMixin"),
    ("", "airflow.models.baseoperatorlink", "baseoperator: BaseOperatorLink"),
    ("", "airflow.models.operator", "baseoperator: Operator=AbstractOperator BaseOperator MappedOperator"),
    ("", "airflow.models.abstractoperator", "baseoperator: AbstractOperator"),
    ("", "airflow.models.mappedoperator", "baseoperator: MappedOperator"),
    ("", "airflow.models.taskmixin", "graph: DAGNode DependencyMixin TaskMixin=DependencyMixin"),
    ("", "airflow.models.expandinput", "xcom_arg: ExpandInput"),
    ("", "airflow.models.pool", "helpers: Pool"),
    ("", "airflow.models.log", "helpers: Log"),
    ("", "airflow.models.asset", "assets: AssetModel=Asset"),
    ("", "airflow.exceptions", _EXCEPTIONS),
    ("", "airflow.configuration", "@configuration"),
    ("", "airflow.settings",
     "helpers: Session engine DAGS_FOLDER timezone: TIMEZONE configuration: conf AIRFLOW_HOME=get_airflow_home"),
    ("", "airflow.version", "version: version"),
    ("", "airflow.macros", "@macros"),
    ("", "airflow.providers_manager", "providers_manager: ProvidersManager HookInfo DialectInfo"),
    ("", "airflow.plugins_manager", "plugins: AirflowPlugin"),
    ("", "airflow.listeners", "helpers: hookimpl"),
    ("", "airflow.notifications.basenotifier", "notifier: BaseNotifier"),
    ("", "airflow.secrets", "helpers: BaseSecretsBackend"),
    ("", "airflow.secrets.base_secrets", "helpers: BaseSecretsBackend"),
    ("", "airflow.stats", "stats: Stats"),
    ("", "airflow.timetables.base", "timetables: Timetable DataInterval DagRunInfo TimeRestriction"),
    ("", "airflow.timetables.interval", "timetables: CronDataIntervalTimetable DeltaDataIntervalTimetable"),
    ("", "airflow.timetables.trigger",
     "timetables: CronTriggerTimetable DeltaTriggerTimetable MultipleCronTriggerTimetable"),
    ("", "airflow.timetables.simple",
     "timetables: NullTimetable OnceTimetable ContinuousTimetable AssetTriggeredTimetable"),
    ("", "airflow.timetables.events", "timetables: EventsTimetable"),
    ("", "airflow.timetables.datasets", "timetables: DatasetOrTimeSchedule=AssetOrTimeSchedule"),
    ("", "airflow.timetables.assets", "timetables: AssetOrTimeSchedule"),
    ("", "airflow.utils.timezone", "@timezone"),
    ("", "airflow.utils.state", f"{_STATES}"),
    ("", "airflow.utils.types", "states: DagRunType DagRunTriggeredByType helpers: NOTSET ArgNotSet"),
    ("", "airflow.utils.trigger_rule", "states: TriggerRule"),
    ("", "airflow.utils.weight_rule", "states: WeightRule"),
    ("", "airflow.utils.task_group", "graph: TaskGroup MappedTaskGroup"),
    ("", "airflow.utils.email", "mail: send_email get_email_address_list"),
    ("", "airflow.utils.edgemodifier", "graph: Label EdgeModifier"),
    ("", "airflow.utils.setup_teardown", "graph: SetupTeardownContext"),
    ("", "airflow.utils.context", "context: Context get_current_context for_providers: context_merge"),
    ("", "airflow.utils.session", "helpers: provide_session create_session NEW_SESSION"),
    ("", "airflow.utils.db", "helpers: provide_session create_session"),
    ("", "airflow.utils.timeout", "helpers: timeout"),
    ("", "airflow.utils.xcom", "helpers: XCOM_RETURN_KEY"),
    ("", "airflow.utils.module_loading", _MODULE_LOADING),
    ("", "airflow.utils.helpers",
     f"{_CHAIN} helpers: merge_dicts exactly_one at_most_one prune_dict chunks"),
    ("", "airflow.utils.log.logging_mixin", "baseoperator: LoggingMixin"),
    ("", "airflow.utils.log.secrets_masker", "helpers: mask_secret redact"),
    ("", "airflow.utils.operator_helpers",
     "operators: determine_kwargs make_kwargs_callable run_environment: context_to_airflow_vars=context_variables"),
    ("", "airflow.utils.file", "helpers: TemporaryDirectory"),
    ("", "airflow.utils.weekday", "helpers: WeekDay"),
    ("", "airflow.lineage.entities", "assets: File=Asset"),
    ("", "airflow.lineage.hook", _LINEAGE),
    ("", "airflow.triggers.base", "for_providers: BaseTrigger BaseEventTrigger TriggerEvent"),
    ("", "airflow.models.taskinstancekey", "for_providers: TaskInstanceKey"),
    ("", "airflow.utils.strings", "for_providers: to_boolean"),
    ("", "airflow.utils.dag_parsing_context", "context: get_parsing_context"),
    ("", "airflow.utils.template", "template: literal"),

    # 1.10 and 2.x. Many of them still import in 3.0, but who writes them means a generation before.
    ("2", "airflow.decorators", f"{_TASKFLOW} sensors: PokeReturnValue"),
    ("2", "airflow.decorators.base", _DECORATOR),
    ("2", "airflow.datasets", _ASSETS),
    ("2", "airflow.models.dataset", "assets: Dataset DatasetModel=Asset DatasetEvent=Metadata"),
    ("2", "airflow.datasets.metadata", "assets: Metadata"),
    ("2", "airflow.hooks.base", "connection: BaseHook"),
    ("2", "airflow.operators.bash", "operators: BashOperator"),
    ("2", "airflow.operators.python", _PYTHON),
    ("2", "airflow.operators.empty", "operators: EmptyOperator"),
    ("2", "airflow.operators.dummy", "operators: DummyOperator EmptyOperator"),
    ("2", "airflow.operators.branch", "operators: BaseBranchOperator BranchMixIn"),
    ("2", "airflow.operators.email", "mail: EmailOperator"),
    ("2", "airflow.operators.datetime", "operators: BranchDateTimeOperator"),
    ("2", "airflow.operators.weekday", "operators: BranchDayOfWeekOperator"),
    ("2", "airflow.operators.latest_only", "operators: LatestOnlyOperator"),
    ("2", "airflow.operators.trigger_dagrun", _TRIGGER),
    ("2", "airflow.sensors.base", _SENSOR),
    ("2", "airflow.sensors.bash", "sensors: BashSensor"),
    ("2", "airflow.sensors.python", "sensors: PythonSensor"),
    ("2", "airflow.sensors.date_time", "sensors: DateTimeSensor DateTimeSensorAsync"),
    ("2", "airflow.sensors.time_sensor", "sensors: TimeSensor"),
    ("2", "airflow.sensors.time_delta", "sensors: TimeDeltaSensor TimeDeltaSensorAsync WaitSensor"),
    ("2", "airflow.sensors.weekday", "sensors: DayOfWeekSensor"),
    ("2", "airflow.sensors.filesystem", "sensors: FileSensor"),
    ("2", "airflow.sensors.external_task", _EXTERNAL),
    ("2", "airflow.models.dagparam", "params: DagParam"),
    ("1", "airflow.utils.dates", "@dates"),
    ("1", "airflow.utils.decorators", "helpers: apply_defaults"),

    # The 1.10 names that 2.x took to the end, deprecated.
    ("1", "airflow.operators.bash_operator", "operators: BashOperator"),
    ("1", "airflow.operators.python_operator", _PYTHON),
    ("1", "airflow.operators.dummy_operator", "operators: DummyOperator EmptyOperator"),
    ("1", "airflow.operators.email_operator", "mail: EmailOperator"),
    ("1", "airflow.operators.branch_operator", "operators: BaseBranchOperator"),
    ("1", "airflow.operators.latest_only_operator", "operators: LatestOnlyOperator"),
    ("1", "airflow.operators.dagrun_operator", _TRIGGER),
    ("1", "airflow.sensors.base_sensor_operator", _SENSOR),
    ("1", "airflow.sensors.external_task_sensor", _EXTERNAL),
    ("1", "airflow.sensors.date_time_sensor", "sensors: DateTimeSensor"),
    ("1", "airflow.sensors.time_delta_sensor", "sensors: TimeDeltaSensor"),
    ("1", "airflow.hooks.base_hook", "connection: BaseHook"),
    ("1", "airflow.contrib.sensors.python_sensor", "sensors: PythonSensor"),
    ("1", "airflow.contrib.sensors.bash_sensor", "sensors: BashSensor"),
    ("1", "airflow.contrib.sensors.file_sensor", "sensors: FileSensor"),
    ("1", "airflow.contrib.sensors.weekday_sensor", "sensors: DayOfWeekSensor"),
    ("1", "airflow.contrib.operators.dagrun_operator", _TRIGGER),
    ("1", "airflow.contrib.utils.weekday", "helpers: WeekDay"),
    ("1", "airflow.contrib.hooks", ""),
    ("1", "airflow.hooks", "connection: BaseHook"),

    # What only 1.10 had: names at the doors that plugins also used.
    ("1.10", "airflow.operators",
     "operators: BashOperator PythonOperator BranchPythonOperator ShortCircuitOperator DummyOperator "
     "TriggerDagRunOperator LatestOnlyOperator"),
    ("1.10", "airflow.operators.sensors",
     "sensors: BaseSensorOperator ExternalTaskSensor TimeDeltaSensor TimeSensor DateTimeSensor"),
    ("1.10", "airflow.sensors",
     "sensors: BaseSensorOperator ExternalTaskSensor TimeDeltaSensor TimeSensor"),

    # 3.x.
    ("3", "airflow.sdk",
     f"{_BASE} {_DAG} {_TASKFLOW} {_CHAIN} {_ASSETS} {_SENSOR} connection: BaseHook Connection notifier: BaseNotifier "
     "context: Context get_current_context get_parsing_context states: DagRunState TaskInstanceState TriggerRule "
     "WeightRule graph: EdgeModifier Label TaskGroup params: Param ParamsDict variable: Variable xcom_arg: XComArg "
     "template: literal timezone: timezone=* timetables: CronDataIntervalTimetable CronTriggerTimetable "
     "DeltaDataIntervalTimetable DeltaTriggerTimetable EventsTimetable MultipleCronTriggerTimetable AssetOrTimeSchedule"),
    ("3", "airflow.sdk.bases.operator", f"{_BASE} {_CHAIN}"),
    ("3", "airflow.sdk.bases.hook", "connection: BaseHook"),
    ("3", "airflow.sdk.bases.sensor", _SENSOR),
    ("3", "airflow.sdk.bases.notifier", "notifier: BaseNotifier"),
    ("3", "airflow.sdk.bases.operatorlink", "baseoperator: BaseOperatorLink"),
    ("3", "airflow.sdk.bases.decorator", _DECORATOR),
    ("3", "airflow.sdk.bases.branch", "operators: BaseBranchOperator BranchMixIn"),
    ("3", "airflow.sdk.bases.skipmixin", "operators: SkipMixin"),
    ("3", "airflow.sdk.bases.xcom", "xcom: BaseXCom"),
    ("3", "airflow.sdk.definitions.dag", _DAG),
    ("3", "airflow.sdk.definitions.asset", _ASSETS),
    ("3", "airflow.sdk.definitions.asset.metadata", "assets: Metadata"),
    ("3", "airflow.sdk.definitions.context",
     "context: Context get_current_context get_parsing_context for_providers: context_merge"),
    ("3", "airflow.sdk.definitions.connection", "connection: Connection"),
    ("3", "airflow.sdk.definitions.variable", "variable: Variable"),
    ("3", "airflow.sdk.definitions.param", "params: Param ParamsDict DagParam"),
    ("3", "airflow.sdk.definitions.taskgroup", "graph: TaskGroup MappedTaskGroup"),
    ("3", "airflow.sdk.definitions.xcom_arg", "xcom_arg: XComArg PlainXComArg"),
    ("3", "airflow.sdk.definitions.edges", "graph: Label EdgeModifier"),
    ("3", "airflow.sdk.definitions.mappedoperator", "baseoperator: MappedOperator"),
    ("3", "airflow.sdk.definitions.template", "template: literal"),
    ("3", "airflow.sdk.definitions.decorators", _TASKFLOW),
    ("3", "airflow.sdk.exceptions", _EXCEPTIONS),
    ("3", "airflow.sdk.timezone", "@timezone"),
    ("3", "airflow.sdk.types", "context: Context task_instance: RuntimeTaskInstanceProtocol=TaskInstance for_providers: TaskInstanceKey"),
    ("3", "airflow.sdk.module_loading", _MODULE_LOADING),
    ("3", "airflow.sdk.lineage", _LINEAGE),
    ("3", "airflow.sdk.listener", "for_providers: get_listener_manager"),
    ("3", "airflow.sdk.providers_manager_runtime",
     "providers_manager: ProvidersManagerTaskRuntime=ProvidersManager"),
    ("3", "airflow.sdk.plugins_manager", "plugins: AirflowPlugin"),
    ("3", "airflow.sdk.configuration", "configuration: conf"),
    ("3", "airflow.sdk.observability.stats", "stats: Stats"),
    ("3", "airflow.sdk.execution_time.timeout", "helpers: timeout"),
    ("3", "airflow.sdk.definitions._internal.types", "for_providers: SET_DURING_EXECUTION helpers: NOTSET ArgNotSet"),
    ("3", "airflow.sdk.log", "helpers: mask_secret redact"),
    ("3", "airflow.sdk.execution_time.context",
     "run_environment: context_to_airflow_vars=context_variables for_providers: AIRFLOW_VAR_NAME_FORMAT_MAPPING"),
    ("3", "airflow.sdk.execution_time.xcom", "xcom: XCom"),
    ("3", "airflow.providers.standard.operators.bash", "operators: BashOperator"),
    ("3", "airflow.providers.standard.operators.python", _PYTHON),
    ("3", "airflow.providers.standard.operators.empty", "operators: EmptyOperator"),
    ("3", "airflow.providers.standard.operators.branch", "operators: BaseBranchOperator BranchMixIn"),
    ("3", "airflow.providers.standard.operators.datetime", "operators: BranchDateTimeOperator"),
    ("3", "airflow.providers.standard.operators.weekday", "operators: BranchDayOfWeekOperator"),
    ("3", "airflow.providers.standard.operators.latest_only", "operators: LatestOnlyOperator"),
    ("3", "airflow.providers.standard.operators.trigger_dagrun", _TRIGGER),
    ("3", "airflow.providers.standard.sensors.bash", "sensors: BashSensor"),
    ("3", "airflow.providers.standard.sensors.python", "sensors: PythonSensor"),
    ("3", "airflow.providers.standard.sensors.date_time", "sensors: DateTimeSensor DateTimeSensorAsync"),
    ("3", "airflow.providers.standard.sensors.time", "sensors: TimeSensor"),
    ("3", "airflow.providers.standard.sensors.time_delta", "sensors: TimeDeltaSensor TimeDeltaSensorAsync WaitSensor"),
    ("3", "airflow.providers.standard.sensors.weekday", "sensors: DayOfWeekSensor"),
    ("3", "airflow.providers.standard.sensors.filesystem", "sensors: FileSensor"),
    ("3", "airflow.providers.standard.sensors.external_task", _EXTERNAL),
    ("3", "airflow.providers.standard.utils.skipmixin", "operators: SkipMixin"),
    ("3", "airflow.providers.standard.utils.weekday", "helpers: WeekDay"),
]  # fmt: skip

# Where the repository's own plugins put their classes (1.10), and macros still do.
PLUGIN_DOORS = ("airflow.operators", "airflow.sensors", "airflow.hooks", "airflow.macros")
