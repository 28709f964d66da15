"""A file that cannot be read says where, what, and the way out; and it stops nobody else."""

import textwrap
import unittest

from harness import Supervisor

cases = {
    "missing_module": ("import pandas_of_nobody\n", 1, "ModuleNotFoundError: No module named 'pandas_of_nobody'", "Add pandas_of_nobody to requirements.txt"),
    "known_package": ("x = 1\nimport sklearn\n", 2, "ModuleNotFoundError: No module named 'sklearn'", "Add scikit-learn to requirements.txt"),
    "provider": (
        "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator\n", 1,
        "ModuleNotFoundError: No module named 'airflow.providers.cncf'", "Add apache-airflow-providers-cncf to requirements.txt",
    ),
    "wrong_name": ("from airflow.operators.bash import Bash\n", 1, "ImportError: cannot import name 'Bash'", "check the spelling"),
    "syntax": ("def f(:\n    pass\n", 1, "SyntaxError: invalid syntax", "Mend the syntax"),
    "name": ("x = 1\n\n\ndef f():\n    return y\n\n\nf()\n", 5, "NameError: name 'y' is not defined", "Import or define"),
    "no_variable": ("from airflow.models import Variable\nVariable.get('gone')\n", 2, 'KeyError: \'Variable gone does not exist\'', "Create this variable"),
    "no_connection": (
        "from airflow.hooks.base import BaseHook\nBaseHook.get_connection('gone')\n", 2,
        "AirflowNotFoundException: The conn_id `gone` isn't defined", "Create this connection",
    ),
    "no_file": ("open('/opt/airflow/config.yaml')\n", 1, "FileNotFoundError", "relative to this file"),
    "exits": ("import sys\nsys.exit(3)\n", 2, "SystemExit: 3", "__main__"),
    "unknown_dag_argument": ("from airflow import DAG\nDAG('d', shedule='@daily')\n", 2, "unexpected keyword argument 'shedule'", "check its spelling"),
    "unknown_task_argument": (
        "from airflow import DAG\nfrom airflow.operators.bash import BashOperator\n"
        "with DAG('d'):\n    BashOperator(task_id='t', bash_command='x', retrys=1)\n", 4,
        "Invalid arguments were passed to BashOperator (task_id: t). Invalid arguments were: retrys=1", "check its spelling",
    ),
    "missing_task_argument": (
        "from airflow import DAG\nfrom airflow.operators.bash import BashOperator\n"
        "with DAG('d'):\n    BashOperator(task_id='t')\n", 4, "TypeError: missing keyword argument 'bash_command'", None,
    ),
    "duplicate": (
        "from airflow import DAG\nfrom airflow.operators.empty import EmptyOperator\nwith DAG('d'):\n"
        "    EmptyOperator(task_id='t')\n    EmptyOperator(task_id='t')\n", 5,
        "Task id 't' has already been added to the DAG", "another task_id",
    ),
    "decorator": (
        "from airflow.sdk import task\n\n@task.kubernetes\ndef f(): ...\n", 3,
        "AttributeError: task decorator 'kubernetes' not found", "Add the provider that brings @task.kubernetes",
    ),
    "taskflow_call": (
        "from airflow.sdk import dag, task\n@dag()\ndef d():\n    @task\n    def f(a): ...\n    f()\nd()\n", 6,
        "missing a required argument: 'a'", None,
    ),
}  # fmt: skip


class Problems(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        files = {f"dags/{name}.py": case[0] for name, case in cases.items()}
        files["dags/cycle.py"] = textwrap.dedent(
            """
            from airflow import DAG
            from airflow.operators.empty import EmptyOperator
            with DAG("good"):
                EmptyOperator(task_id="a")
            with DAG("round"):
                a, b = EmptyOperator(task_id="a"), EmptyOperator(task_id="b")
                a >> b >> a
            with DAG("odd", schedule="every day"):
                pass
            """
        )
        files["dags/helper_breaks.py"] = "import broken_helper\n"
        files["dags/broken_helper.py"] = "\n\n1 / 0\n"
        files["dags/says_nothing.py"] = "import json\n"
        cls.supervisor = Supervisor(files)

    @classmethod
    def tearDownClass(cls):
        cls.supervisor.close()

    def test_each_says_line_sentence_and_hint(self):
        for name, (_, line, message, hint) in cases.items():
            with self.subTest(name):
                result = self.supervisor.parse(f"dags/{name}.py")
                self.assertEqual((len(result["errors"]), result["dags"]), (1, []))
                problem = result["errors"][0]
                self.assertEqual(problem["line"], line)
                self.assertIn(message, problem["message"])
                if hint:
                    self.assertIn(hint, problem["hint"])
                self.assertNotIn("airlock_guest", problem["traceback"])
                self.assertNotIn("_light", problem["traceback"].split("\n")[1:-1])
                self.assertEqual(result["inputs"][0], f"dags/{name}.py")

    def test_a_bad_dag_does_not_take_the_good_one_of_its_file_along(self):
        result = self.supervisor.parse("dags/cycle.py")
        self.assertEqual([dag["dag_id"] for dag in result["dags"]], ["good"])
        messages = [problem["message"] for problem in result["errors"]]
        self.assertIn("round: AirflowDagCycleException: Cycle detected in DAG: round. Faulty task: a", messages[0])
        self.assertIn("the schedule 'every day' of odd is neither", messages[1])

    def test_an_error_in_a_module_points_into_the_module_and_its_file_is_an_input(self):
        result = self.supervisor.parse("dags/helper_breaks.py")
        problem = result["errors"][0]
        self.assertEqual((problem["line"], problem["message"]), (3, "ZeroDivisionError: division by zero"))
        self.assertIn('File "dags/broken_helper.py", line 3', problem["traceback"])
        self.assertIn('File "dags/helper_breaks.py", line 1', problem["traceback"])
        self.assertEqual(result["inputs"], ["dags/helper_breaks.py", "dags/broken_helper.py"])

    def test_a_file_without_dags_is_no_problem(self):
        result = self.supervisor.parse("dags/says_nothing.py")
        self.assertEqual((result["dags"], result["errors"], result["warnings"]), ([], [], []))


if __name__ == "__main__":
    unittest.main()
