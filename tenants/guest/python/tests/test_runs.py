"""Tasks run as Airflow runs them: order, outcomes, XComs, context, callbacks."""

import os
import signal
import textwrap
import unittest

from harness import Supervisor
from test_zygote import alive, wait_until

outcomes = """
import logging, os, signal, subprocess, sys, time
from datetime import datetime, timedelta, timezone
from airflow import DAG
from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.models import BaseOperator, Variable
from airflow.decorators import task
from airflow.operators.bash import BashOperator
from airflow.operators.python import BranchPythonOperator, PythonOperator, ShortCircuitOperator
from airflow.operators.empty import EmptyOperator
from airflow.sensors.python import PythonSensor
from airflow.utils.task_group import TaskGroup

def note(name):
    def callback(context):
        print("callback", name, context["ti"].state, repr(context.get("exception")))
    return callback

def refuse(context):
    raise RuntimeError("a callback that breaks")

args = {"on_failure_callback": [refuse, note("failure")], "on_retry_callback": note("retry"), "on_success_callback": note("success"),
        "on_skipped_callback": note("skipped"), "on_execute_callback": note("execute")}

class Steps(BaseOperator):
    template_fields = ("word",)
    def __init__(self, word, **kwargs):
        super().__init__(**kwargs)
        self.word = word
    def pre_execute(self, context):
        print("pre", self.word)
    def execute(self, context):
        self.log.warning("inside %s", self.word)
        print("execute", context["task"].word, os.environ["AIRFLOW_CTX_TASK_ID"], os.environ["AIRFLOW_CTX_EXECUTION_DATE"])
        return self.word
    def post_execute(self, context, result=None):
        print("post", result)

def deep():
    raise ValueError("the value is bad")

def raises():
    deep()

def chained():
    try:
        deep()
    except ValueError as problem:
        raise RuntimeError("told twice") from problem

with DAG("o", schedule_interval="@daily", start_date=datetime(2024, 1, 1), default_args=args, params={"a": 1, "b": 2},
         user_defined_macros={"twice": lambda x: x * 2}) as dag:
    Steps(task_id="steps", word="{{ ds }} {{ params.a }} {{ params.b }} {{ twice('x') }} {{ macros.ds_add(ds, 1) }}")
    PythonOperator(task_id="raises", python_callable=raises)
    PythonOperator(task_id="chained", python_callable=chained)
    PythonOperator(task_id="system_exit", python_callable=lambda: sys.exit(2))
    PythonOperator(task_id="fails", python_callable=lambda: (_ for _ in ()).throw(AirflowFailException("for good")))
    PythonOperator(task_id="skips", python_callable=lambda: (_ for _ in ()).throw(AirflowSkipException("not today")))
    PythonOperator(task_id="slow", python_callable=lambda: time.sleep(30), execution_timeout=timedelta(seconds=0.2))
    BashOperator(task_id="bash", bash_command="echo one; echo {{ ds }} $X $AIRFLOW_CTX_DAG_ID >&2; echo last", env={"X": "{{ run_id }}"}, append_env=True)
    BashOperator(task_id="bash_fails", bash_command="echo before; exit 3")
    BashOperator(task_id="bash_skips", bash_command="exit 99")
    BashOperator(task_id="bash_file", bash_command="job.sh", cwd="{{ '/' }}")
    BashOperator(task_id="bash_waits", bash_command="sleep 600 & echo pid $!; wait")
    branch = BranchPythonOperator(task_id="branch", python_callable=lambda: ["left", "g"])
    bad_branch = BranchPythonOperator(task_id="bad_branch", python_callable=lambda: "nowhere")
    with TaskGroup("g") as g:
        EmptyOperator(task_id="x") >> EmptyOperator(task_id="y")
    left, right, join = (EmptyOperator(task_id=name) for name in ("left", "right", "join"))
    branch >> [left, right, g, join]
    left >> join
    gate = ShortCircuitOperator(task_id="gate", python_callable=lambda: 0)
    near_gate = ShortCircuitOperator(task_id="near_gate", python_callable=lambda: 0, ignore_downstream_trigger_rules=False)
    for each in (gate, near_gate):
        each >> EmptyOperator(task_id=f"{each.task_id}_1") >> EmptyOperator(task_id=f"{each.task_id}_2")
    PythonSensor(task_id="poke", python_callable=lambda: os.path.exists("../seen") or open("../seen", "w").close(), poke_interval=0.01)
    PythonSensor(task_id="again", python_callable=lambda: False, mode="reschedule", poke_interval=60, timeout=120)
    PythonSensor(task_id="late", python_callable=lambda: False, poke_interval=0.01, timeout=0.05)
    PythonSensor(task_id="soft", python_callable=lambda: False, poke_interval=0.01, timeout=0.05, soft_fail=True)

    @task(multiple_outputs=True)
    def many():
        return {"a": 1, "b": {"when": datetime(2024, 5, 6, 7, tzinfo=timezone.utc), "t": (1, {2})}}

    @task
    def reads(a, b, ti=None):
        assert ti.xcom_pull(task_ids="many", key="a") == 1
        assert ti.xcom_pull(task_ids=["many", "never_ran"]) == [{"a": 1, "b": b}, None]
        assert ti.xcom_pull(key="a") == 1
        assert ti.xcom_pull(task_ids="never", default="d") == "d"
        return [a, b["when"].isoformat(), b["t"][0], sorted(b["t"][1]), type(b["t"]).__name__]

    m = many()
    reads(m["a"], m["b"])

    @task
    def context_keys(ds, ti, params, next_ds=None, prev_ds=None, tomorrow_ds=None, execution_date=None, dag_run=None, **context):
        print("prev", context["prev_start_date_success"])
        return [ds, ti.task_id, dict(params), next_ds, prev_ds, tomorrow_ds, execution_date.isoformat(), dag_run.conf, context["ts_nodash"]]

    context_keys()

    @task
    def variables():
        Variable.set("made", {"x": 1}, serialize_json=True)
        return [Variable.get("made", deserialize_json=True), Variable.get("none", default_var=7), Variable.delete("made")]

    variables()

    @task
    def odd():
        return object()

    odd()

    @task
    def logs():
        logging.getLogger("mine").debug("not shown")
        logging.getLogger("mine").info("shown %s", 1)
        try:
            deep()
        except ValueError:
            logging.getLogger("mine").exception("caught")

    logs()

    @task
    def terminated():
        print("here", flush=True)
        time.sleep(60)

    terminated()

    def linger(context):
        print("lingering", flush=True)
        try:
            time.sleep(60)
        finally:
            print("cleaned up", flush=True)

    PythonOperator(task_id="lingering", python_callable=lambda: None, on_success_callback=linger)

    @task
    def big():
        return "x" * 50000

    big() >> BashOperator(task_id="renders_big", bash_command="echo {{ 'y' * 9000 }}")

    @task.bash
    def shell(word):
        return "echo {{ ds }} " + word

    shell("hi")

    @task.run_if(lambda context: context["params"]["a"] == 9, skip_message="a is not 9")
    @task
    def only_nine():
        return 9

    @task.skip_if(lambda context: context["params"]["a"] == 9)
    @task()
    def never_nine():
        return 1

    only_nine(), never_nine()
"""

third = """
from datetime import datetime
from airflow.sdk import DAG, Asset, get_current_context, task, task_group
from airflow.providers.standard.operators.bash import BashOperator

with DAG("t", schedule=None) as dag:
    @task
    def numbers():
        return [10, 20, 30]

    @task(map_index_template="n is {{ seen }}, {{ task.op_kwargs.n }}")
    def double(n, plus=0):
        get_current_context()["seen"] = n
        n_and = get_current_context()["ti"].map_index
        return [n * 2 + plus, n_and]

    @task
    def total(values):
        return [len(values), sum(v[0] for v in values), values[0]]

    doubled = double.partial(plus=1).expand(n=numbers())
    total(doubled)
    double.override(task_id="cross").expand(n=[1, 2], plus=numbers().map(lambda x: x + 5))
    double.override(task_id="zipped").expand_kwargs([{"n": 4}, {"n": 5, "plus": 2}])
    BashOperator.partial(task_id="bash").expand(bash_command=["echo {{ ds }}", "echo two"])

    @task
    def dangerous():
        return ["{{ dag.dag_id }}", "plain"]

    @task
    def same(v):
        return v

    same.expand(v=dangerous())

    @task_group
    def per(item):
        @task
        def one(x):
            return x + 1

        @task
        def two(y):
            return y * 100

        two(one(item))

    per.expand(item=[1, 2, 3])

    @task
    def nothing():
        return None

    @task
    def keys():
        context = get_current_context()
        return [sorted(set(context) & {"ds", "ts", "logical_date", "execution_date", "next_ds", "data_interval_start", "yesterday_ds"}),
                context["ti"].xcom_pull(key="return_value")]

    @task(multiple_outputs=True)
    def fields():
        return {"rows": [1, 2], "word": "ab", "more": {"a": 1}}

    double.override(task_id="by_row").expand(n=fields()["rows"])
    nothing(), keys()
"""

broken = """
from airflow.sdk import DAG, Variable, task
with DAG("b", schedule=None):
    @task
    def fine():
        return 1
    fine()
if Variable.get("break", default=None):
    raise KeyError("now it breaks")
"""


others = """
from datetime import timedelta
import pendulum
from airflow import DAG
from airflow.decorators import task
from airflow.hooks.base import BaseHook
from airflow.notifications.basenotifier import BaseNotifier
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.latest_only import LatestOnlyOperator
from airflow.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sensors.external_task import ExternalTaskSensor
from airflow.sensors.time_delta import TimeDeltaSensor

class Tell(BaseNotifier):
    template_fields = ("text",)
    def __init__(self, text):
        self.text = text
    def notify(self, context):
        print("told", self.text)

with DAG("p", schedule_interval="@daily", start_date=pendulum.datetime(2024, 1, 1)) as dag:
    BashOperator(task_id="macro", on_success_callback=[Tell("{{ task.task_id }} of {{ ds }}")],
                 bash_command="echo {{ macros.acme_plugin.shout('a') }} {{ var.value.v }} {{ var.json.j.k }} {{ var.value.get('no', 'd') }} "
                              "{{ conn.db.host }} {{ conn.db.extra_dejson.x }} {{ dag.dag_id }} {{ task.task_id }} {{ prev_ds }} {{ ts_nodash }}")
    TriggerDagRunOperator(task_id="trigger", trigger_dag_id="q", conf={"day": "{{ ds }}"}, execution_date="{{ ds }}")
    ExternalTaskSensor(task_id="wait", external_dag_id="q", external_task_ids=["a", "b"], execution_delta=timedelta(hours=1),
                       failed_states=["failed"], mode="reschedule")
    LatestOnlyOperator(task_id="latest") >> EmptyOperator(task_id="behind")
    TimeDeltaSensor(task_id="delta", delta=timedelta(seconds=1), mode="reschedule")

    @task
    def asks(dag_run=None):
        return [BaseHook.get_connection("db").get_uri(), [(ti.task_id, ti.map_index, ti.state) for ti in dag_run.get_task_instances("failed")]]

    asks()
"""

plugin = """
from airflow.plugins_manager import AirflowPlugin
def shout(text):
    return text.upper()
class Acme(AirflowPlugin):
    name = "acme_plugin"
    macros = [shout]
"""


elsewhere = """
import sys
from airflow import DAG
from airflow.decorators import task
from airflow.operators.email import EmailOperator
from airflow.operators.python import ExternalPythonOperator, PythonVirtualenvOperator

def shape(x, ds, params):
    import sys
    print("from there")
    return {"x": x, "ds": ds, "flags": params["p"], "prefix": sys.prefix, "args": virtualenv_string_args}

with DAG("e", schedule=None, params={"p": 1}):
    ExternalPythonOperator(task_id="external", python=sys.executable, python_callable=shape, op_args=["{{ run_id }}"], string_args=["s"])
    PythonVirtualenvOperator(task_id="virtual", python_callable=shape, op_kwargs={"x": 2}, system_site_packages=False)
    EmailOperator(task_id="mail", to="a@example.com; b@example.com", subject="{{ ds }}", html_content="<b>hi</b>", bcc=["c@example.com"])

    @task.external_python(python=sys.executable, skip_on_exit_code=4)
    def leaves(code):
        import sys
        sys.exit(code)

    leaves(4)
    leaves(5)
"""


class Elsewhere(unittest.TestCase):
    def setUp(self):
        self.supervisor = Supervisor({"dags/e.py": elsewhere})
        self.addCleanup(self.supervisor.close)

    def test_a_function_runs_under_another_python(self):
        attempt = self.supervisor.run("dags/e.py", "e", "external", level="2")
        self.assertIn("from there", attempt.log)
        value = self.supervisor.xcoms[("e", "r1", "external", "return_value", -1)]
        self.assertEqual((value["x"], value["ds"], value["flags"], value["args"]), ("r1", "2026-11-20", 1, ["s"]))

    def test_a_virtual_environment_is_made_for_a_function(self):
        self.supervisor.run("dags/e.py", "e", "virtual", level="2")
        value = self.supervisor.xcoms[("e", "r1", "virtual", "return_value", -1)]
        self.assertTrue(value["prefix"].endswith("/venv"), value)

    def test_exit_codes_of_the_other_python_skip_or_fail(self):
        self.assertEqual(self.supervisor.run("dags/e.py", "e", "leaves").terminal["state"], "skipped")
        self.assertIn("exit code 5", self.supervisor.run("dags/e.py", "e", "leaves__1").terminal["reason"])

    def test_a_mail_goes_out_through_the_connection(self):
        import socket
        import threading

        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        said: list[bytes] = []
        threading.Thread(target=_take_mail, args=(server, said), daemon=True).start()
        self.supervisor.connections["smtp_default"] = {
            "conn_type": "smtp", "host": "127.0.0.1", "port": server.getsockname()[1], "extra": '{"from_email": "me@example.com"}',
        }  # fmt: skip
        self.assertEqual(self.supervisor.run("dags/e.py", "e", "mail").terminal["type"], "SucceedTask")
        told = b"".join(said).decode()
        for line in ("mail FROM:<me@example.com>", "rcpt TO:<b@example.com>", "rcpt TO:<c@example.com>", "Subject: 2026-11-20", "<b>hi</b>"):
            self.assertIn(line.lower(), told.lower())
        self.assertNotIn("bcc:", told.lower())


def _take_mail(server, said):
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"220 ready\r\n")
        inside = False
        for line in lines:
            said.append(line)
            if inside:
                inside = line != b".\r\n"
                if not inside:
                    connection.sendall(b"250 taken\r\n")
            elif line.lower().startswith(b"data"):
                inside = True
                connection.sendall(b"354 go on\r\n")
            else:
                connection.sendall(b"221 bye\r\n" if line.lower().startswith(b"quit") else b"250 ok\r\n")


class Others(unittest.TestCase):
    def setUp(self):
        self.supervisor = Supervisor({"dags/p.py": others, "plugins/acme.py": plugin})
        self.addCleanup(self.supervisor.close)
        self.supervisor.connections["db"] = {"conn_type": "postgres", "host": "h", "login": "me", "password": "s/p",
                                             "schema": "d", "port": 5432, "extra": '{"x": "y"}'}  # fmt: skip

    def run_p(self, task_id, **more):
        attempt = self.supervisor.run("dags/p.py", "p", task_id, level="2", **more)
        return attempt, self.supervisor.xcoms.get(("p", "r1", task_id, "return_value", -1))

    def test_templates_reach_macros_variables_and_connections(self):
        self.supervisor.variables.update(v="w", j='{"k": 3}')
        attempt, value = self.run_p("macro")
        self.assertEqual(value, "A w 3 d h y p macro 2026-11-19 20261120T000000")
        self.assertEqual(attempt.out["stdout"], b"told macro of 2026-11-20\n")

    def test_a_run_of_another_dag_is_triggered_with_rendered_conf(self):
        attempt, _ = self.run_p("trigger")
        asked = attempt.of("TriggerDagRun")[0]
        self.assertEqual((asked["dag_id"], asked["conf"], asked["logical_date"]), ("q", {"day": "2026-11-20"}, "2026-11-20T00:00:00+00:00"))
        self.assertEqual(asked["run_id"], "manual__2026-11-20T00:00:00+00:00")

    def test_an_external_sensor_looks_at_the_other_dags_states(self):
        for states, kind in (({}, "RescheduleTask"), ({"r": {"a": "success", "b": "running"}}, "RescheduleTask"),
                             ({"r": {"a": "success", "b[0]": "success", "b[1]": "success"}}, "SucceedTask"),
                             ({"r": {"a": "success", "b": "failed"}}, "TaskState")):  # fmt: skip
            with self.subTest(states):
                self.supervisor.states = states
                attempt, _ = self.run_p("wait")
                self.assertEqual(attempt.terminal["type"], kind)
                self.assertEqual(attempt.of("GetTaskStates")[0]["logical_dates"], ["2026-11-19T23:00:00+00:00"])

    def test_only_the_latest_run_goes_on(self):
        self.assertEqual(self.run_p("latest", run={"data_interval_end": "2020-01-02T00:00:00Z", "data_interval_start": "2020-01-01T00:00:00.000Z"})[0].terminal["skip"],
                         {"followed": [], "skipped": ["behind"]})  # fmt: skip
        late = {"data_interval_start": "2999-01-01T00:00:00Z", "data_interval_end": "2999-01-02T00:00:00Z"}
        self.assertEqual(self.run_p("latest", run=late)[0].terminal["skip"], {"followed": ["behind"], "skipped": []})
        self.assertEqual(self.run_p("delta", run=late)[0].terminal["type"], "RescheduleTask")

    def test_hooks_and_the_run_answer_from_the_house(self):
        self.supervisor.states = {"r1": {"a": "failed", "b[2]": "failed", "c": "success"}}
        _, value = self.run_p("asks")
        uri, failed = value
        self.assertEqual(uri, "postgres://me:s%2Fp@h:5432/d?x=y")
        self.assertEqual([pair["__data__"] for pair in failed], [["a", -1, "failed"], ["b", 2, "failed"]])


class Runs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.supervisor = Supervisor(
            {"dags/o.py": outcomes, "dags/job.sh": "echo from file {{ ds }}", "dags/t.py": third, "dags/b.py": broken}
        )

    @classmethod
    def tearDownClass(cls):
        cls.supervisor.close()

    def run_o(self, task_id, **more):
        return self.supervisor.run("dags/o.py", "o", task_id, **{"level": "2", **more})

    def run_t(self, task_id, **more):
        return self.supervisor.run("dags/t.py", "t", task_id, **more)

    def value(self, dag_id, task_id, key="return_value", map_index=-1):
        return self.supervisor.xcoms[(dag_id, "r1", task_id, key, map_index)]

    def test_the_order_of_work_is_airflows(self):
        attempt = self.run_o("steps", run={"conf": {"b": 5}})
        word = "2026-11-20 1 5 xx 2026-11-21"
        self.assertEqual(
            attempt.out["stdout"].decode().splitlines(),
            [f"pre {word}", "callback execute running None", f"execute {word} steps 2026-11-20T00:00:00+00:00",
             f"post {word}", "callback success success None"],
        )  # fmt: skip
        kinds = [frame["type"] for frame in attempt.frames]
        self.assertEqual(kinds, ["SetRenderedFields", "TaskStarted", "Log", "SetXCom", "SucceedTask"])
        self.assertEqual(attempt.frames[0]["rendered_fields"], {"word": word})
        record = attempt.frames[2]["records"][0]
        self.assertEqual((record["level"], record["event"]), ("warning", f"inside {word}"))
        self.assertTrue(record["logger"].endswith("Steps"))
        self.assertIsInstance(record["at"], int)

    def test_an_exception_is_retried_while_tries_are_left(self):
        attempt = self.run_o("raises", try_number=2, max_tries=2)
        self.assertEqual((attempt.terminal["type"], attempt.terminal["reason"]), ("RetryTask", "ValueError: the value is bad"))
        self.assertIn(b"callback retry up_for_retry ValueError('the value is bad')", attempt.out["stdout"])
        attempt = self.run_o("raises", try_number=3, max_tries=2)
        self.assertEqual((attempt.terminal["type"], attempt.terminal["state"]), ("TaskState", "failed"))
        self.assertIn(b"callback failure failed ValueError('the value is bad')", attempt.out["stdout"])
        self.assertIn("a callback that breaks", attempt.log)

    def test_the_traceback_is_the_authors(self):
        log = self.run_o("chained").log
        told = log[log.index("Traceback") : log.index("the callback")].strip().split("\n")
        self.assertTrue(all("dags/o.py" in line for line in told if line.strip().startswith("File")), log)
        self.assertEqual(told[-1], "RuntimeError: told twice")
        self.assertIn("ValueError: the value is bad", log)

    def test_outcomes_of_exceptions(self):
        for task_id, kind, state, reason in (
            ("fails", "TaskState", "failed", "AirflowFailException: for good"),
            ("skips", "TaskState", "skipped", "AirflowSkipException: not today"),
            ("bash_skips", "TaskState", "skipped", "Bash command returned exit code 99"),
            ("bash_fails", "RetryTask", None, "AirflowException: Bash command failed. The command returned a non-zero exit code 3."),
            ("system_exit", "RetryTask", None, "SystemExit: 2"),
            ("slow", "RetryTask", None, "AirflowTaskTimeout: the task ran longer than its execution_timeout of 0.2 s"),
            ("late", "TaskState", "failed", "AirflowSensorTimeout: Sensor has timed out"),
            ("soft", "TaskState", "skipped", "Sensor has timed out"),
            ("odd", "RetryTask", None, "TypeError: cannot serialize object of type builtins.object as an XCom"),
            ("bad_branch", "RetryTask", None, "must contain only valid task_ids. Invalid tasks found: {'nowhere'}"),
        ):
            with self.subTest(task_id):
                terminal = self.run_o(task_id, max_tries=3).terminal
                self.assertEqual((terminal["type"], terminal.get("state")), (kind, state))
                self.assertIn(reason, terminal["reason"])

    def test_bash_streams_lines_and_returns_the_last(self):
        attempt = self.run_o("bash")
        self.assertEqual(self.value("o", "bash"), "last")
        self.assertEqual(
            attempt.log.split("\n")[1:],
            ["Output:", "one", "2026-11-20 r1 o", "last", "Command exited with return code 0"],
        )
        rendered = attempt.of("SetRenderedFields")[0]["rendered_fields"]
        self.assertEqual(rendered["env"], {"X": "r1"})

    def test_a_template_file_is_read_and_rendered(self):
        self.run_o("bash_file")
        self.assertEqual(self.value("o", "bash_file"), "from file 2026-11-20")

    def test_a_branch_says_whom_it_follows_and_whom_not(self):
        terminal = self.run_o("branch").terminal
        self.assertEqual(terminal["skip"], {"followed": ["g.x", "join", "left"], "skipped": ["right"]})

    def test_a_short_circuit_skips_all_or_the_direct_downstreams(self):
        self.assertEqual(self.run_o("gate").terminal["skip"], {"skipped": ["gate_1", "gate_2"]})
        self.assertEqual(self.run_o("near_gate").terminal["skip"], {"skipped": ["near_gate_1"]})

    def test_sensors_poke_and_reschedule(self):
        self.assertEqual(self.run_o("poke").terminal["type"], "SucceedTask")
        terminal = self.run_o("again").terminal
        self.assertEqual(terminal["type"], "RescheduleTask")
        self.assertRegex(terminal["reschedule_date"], r"^2\d\d\d-.*\+00:00$")

    def test_a_rescheduled_sensor_times_out_from_its_first_poke(self):
        terminal = self.run_o("again", max_tries=5, first_reschedule_at="2026-01-01T00:00:00+00:00").terminal
        self.assertEqual((terminal["type"], terminal["state"]), ("TaskState", "failed"))
        self.assertIn("AirflowSensorTimeout", terminal["reason"])

    def test_xcoms_keep_their_python_types(self):
        self.run_o("many")
        self.assertEqual(self.value("o", "many", "a"), 1)
        self.run_o("reads")
        self.assertEqual(self.value("o", "reads"), [1, "2024-05-06T07:00:00+00:00", 1, [2], "tuple"])

    def test_the_context_has_the_keys_of_its_level(self):
        self.run_o("context_keys", run={"conf": {"b": 3}})
        self.assertEqual(
            self.value("o", "context_keys"),
            ["2026-11-20", "context_keys", {"a": 1, "b": 3}, "2026-11-21", "2026-11-19", "2026-11-21",
             "2026-11-20T00:00:00+00:00", {"b": 3}, "20261120T000000"],
        )  # fmt: skip
        self.run_t("keys", run={"logical_date": None, "data_interval_start": None, "data_interval_end": None})
        self.assertEqual(self.value("t", "keys"), [[], None])
        self.run_t("keys")
        self.assertEqual(self.value("t", "keys")[0], ["data_interval_start", "ds", "logical_date", "ts"])

    def test_variables_are_written_read_and_deleted(self):
        self.run_o("variables")
        self.assertEqual(self.value("o", "variables"), [{"x": 1}, 7, 1])

    def test_logging_becomes_records_with_level_and_logger(self):
        records = [r for f in self.run_o("logs").of("Log") for r in f["records"] if r["logger"] == "mine"]
        self.assertEqual([(r["level"], r["event"].split("\n")[0]) for r in records], [("info", "shown 1"), ("error", "caught")])
        self.assertTrue(records[1]["event"].endswith("ValueError: the value is bad"))

    def test_rendered_fields_are_bounded(self):
        command = self.run_o("renders_big").of("SetRenderedFields")[0]["rendered_fields"]["bash_command"]
        self.assertLess(len(command), 4200)
        self.assertIn("truncated, 9005 characters", command)

    def test_a_bash_decorated_function_returns_its_command(self):
        self.run_o("shell")
        self.assertEqual(self.value("o", "shell"), "2026-11-20 hi")

    def test_conditions_run_or_skip(self):
        self.assertEqual(self.run_o("only_nine").terminal["reason"], "AirflowSkipException: a is not 9")
        self.assertEqual(self.run_o("never_nine").terminal["type"], "SucceedTask")
        self.assertEqual(self.run_o("only_nine", run={"conf": {"a": 9}}).terminal["type"], "SucceedTask")
        self.assertEqual(self.run_o("never_nine", run={"conf": {"a": 9}}).terminal["state"], "skipped")

    def test_sigterm_ends_what_the_operator_started(self):
        attempt = self.supervisor.start("dags/o.py", "o", "bash_waits", level="2", max_tries=1)
        wait_until(lambda: "\npid " in attempt.log, "the command")
        pid = int(attempt.log.split("\npid ")[1].split()[0])
        os.kill(attempt.pid, signal.SIGTERM)
        attempt.wait()
        self.assertEqual(attempt.terminal["reason"], "AirflowTaskTerminated: Task received SIGTERM signal")
        wait_until(lambda: not alive(pid), "the end of the command's group")
        attempt = self.supervisor.start("dags/o.py", "o", "terminated", level="2")
        wait_until(lambda: b"here" in attempt.out["stdout"], "the task")
        os.kill(attempt.pid, signal.SIGTERM)
        self.assertEqual(attempt.wait().terminal["state"], "failed")

    def test_a_signal_after_the_end_ends_it_without_a_word(self):
        attempt = self.supervisor.start("dags/o.py", "o", "lingering", level="2")
        wait_until(lambda: b"lingering" in attempt.out["stdout"], "the callback")
        os.kill(attempt.pid, signal.SIGTERM)
        attempt.wait()
        self.assertEqual(attempt.terminal["type"], "SucceedTask")
        self.assertNotIn("after the task had ended", attempt.log)
        self.assertEqual(attempt.out["stderr"], b"")
        self.assertTrue(attempt.out["stdout"].endswith(b"lingering\ncleaned up\n"))

    def test_a_mapped_task_runs_per_index_and_its_reader_gets_all(self):
        attempt = self.run_t("numbers", push_length=True)
        self.assertEqual(self.supervisor.lengths[("t", "r1", "numbers", "return_value")], 3)
        for index in range(3):
            attempt = self.run_t("double", map_index=index)
            self.assertEqual(attempt.of("SetRenderedMapIndex")[0]["rendered_map_index"], f"n is {(index + 1) * 10}, {(index + 1) * 10}")
        self.run_t("total")
        self.assertEqual(self.value("t", "total"), [3, 123, [21, 0]])

    def test_a_key_that_is_mapped_over_is_pushed_with_its_length(self):
        self.run_t("fields", push_length_keys=["rows", "word"])
        self.assertEqual({key: n for (_, _, task_id, key), n in self.supervisor.lengths.items() if task_id == "fields"}, {"rows": 2})
        self.run_t("by_row", map_index=1)
        self.assertEqual(self.value("t", "by_row", map_index=1), [4, 1])

    def test_a_cross_product_counts_with_its_last_argument_fastest(self):
        self.run_t("numbers__1")
        for index in range(6):
            self.run_t("cross", map_index=index)
        self.assertEqual([self.value("t", "cross", map_index=i)[0] for i in range(6)], [17, 27, 37, 19, 29, 39])

    def test_expand_kwargs_and_classic_operators(self):
        for index in range(2):
            self.run_t("zipped", map_index=index)
            self.run_t("bash", map_index=index)
        self.assertEqual([self.value("t", "zipped", map_index=i)[0] for i in range(2)], [8, 12])
        self.assertEqual([self.value("t", "bash", map_index=i) for i in range(2)], ["2026-11-20", "two"])

    def test_a_template_in_anothers_result_is_not_rendered(self):
        self.run_t("dangerous")
        self.run_t("same", map_index=0)
        self.assertEqual(self.value("t", "same", map_index=0), "{{ dag.dag_id }}")

    def test_a_mapped_group_hands_each_index_its_own_values(self):
        for index in range(3):
            self.run_t("per.one", map_index=index)
            self.run_t("per.two", map_index=index, upstream_map_indexes={"per.one": index})
        self.assertEqual([self.value("t", "per.two", map_index=i) for i in range(3)], [200, 300, 400])

    def test_a_mapped_downstream_needs_a_list(self):
        terminal = self.run_t("nothing", push_length=True, max_tries=1).terminal
        self.assertEqual(terminal["reason"], "XComForMappingNotPushed: did not push XCom for task mapping")

    def test_a_dag_file_that_breaks_at_run_time_fails_the_attempt_with_its_reason(self):
        self.assertEqual(self.supervisor.run("dags/b.py", "b", "fine").terminal["type"], "SucceedTask")
        self.supervisor.variables["break"] = "x"
        attempt = self.supervisor.run("dags/b.py", "b", "fine", max_tries=1)
        del self.supervisor.variables["break"]
        self.assertEqual(attempt.terminal["reason"], "KeyError: 'now it breaks'")
        self.assertIn('File "dags/b.py", line 9', attempt.log)

    def test_a_dag_or_task_that_is_gone_is_said(self):
        self.assertIn("the DAG 'gone' is not in dags/b.py", self.supervisor.run("dags/b.py", "gone", "x").terminal["reason"])
        self.assertIn("the task 'gone' is not in the DAG 'b'", self.supervisor.run("dags/b.py", "b", "gone").terminal["reason"])


outcomes = textwrap.dedent(outcomes)

if __name__ == "__main__":
    unittest.main()
