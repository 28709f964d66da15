"""The table: every row is served, and what is no row is an ImportError."""

import importlib
import subprocess
import sys
import unittest

import harness

from airflow import _surface
from airlock_guest.infer_level import infer_level


class Table(unittest.TestCase):
    def test_every_name_of_every_row_can_be_imported(self):
        count = 0
        for path in ["airflow", *_surface.all_paths()]:
            module = importlib.import_module(path)
            for name in _surface.names_in(path):
                with self.subTest(f"{path}.{name}"):
                    getattr(module, name)
                    count += 1
        self.assertGreater(count, 500)

    def test_the_same_class_stands_behind_the_paths_of_all_generations(self):
        from airflow.operators.bash import BashOperator as two
        from airflow.operators.bash_operator import BashOperator as one
        from airflow.providers.standard.operators.bash import BashOperator as three

        self.assertTrue(one is two is three)

    def test_an_unknown_name_is_an_import_error(self):
        for statement in (
            "from airflow.operators.bash import NoSuchOperator",
            "from airflow.operators import NoSuchOperator",
            "import airflow.no_such_module",
            "from airflow.providers.postgres.operators.postgres import PostgresOperator",
            "from airflow import no_such_name",
        ):
            with self.subTest(statement), self.assertRaises(ImportError):
                exec(statement, {})

    def test_submodules_are_reached_through_the_package_alone(self):
        code = "import airflow; print(airflow.utils.dates.days_ago(0), airflow.models.DAG, airflow.__version__)"
        said = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {harness.lib!r}); {code}"],
                              capture_output=True, text=True, check=True)  # fmt: skip
        self.assertIn("airflow._light.dag.DAG", said.stdout)

    def test_a_star_import_takes_the_names_of_the_row(self):
        names: dict = {}
        exec("from airflow.exceptions import *\nfrom airflow.operators.python import *", names)
        self.assertIn("AirflowSkipException", names)
        self.assertIn("PythonOperator", names)

    def test_packages_of_the_environment_fill_the_providers_namespace(self):
        import os
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            inner = os.path.join(folder, "airflow", "providers", "acme")
            os.makedirs(inner)
            # A whole Airflow beside it stays shut out.
            for path, text in ((os.path.join(inner, "hooks.py"), "NAME = 'acme'"),
                               (os.path.join(folder, "airflow", "__init__.py"), "raise RuntimeError"),
                               (os.path.join(folder, "airflow", "jobs.py"), "")):  # fmt: skip
                with open(path, "w") as file:
                    file.write(text)
            code = (
                f"import sys; sys.path[:0] = [{harness.lib!r}, {folder!r}]\n"
                "from airflow.providers.acme.hooks import NAME\nprint(NAME)\n"
                "from airflow.providers.standard.operators.bash import BashOperator\n"
                "try:\n    import airflow.jobs\nexcept ImportError:\n    print('shut')\n"
            )
            said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            self.assertEqual((said.stdout, said.stderr), ("acme\nshut\n", ""))


class Level(unittest.TestCase):
    def test_it_is_inferred_from_imports_and_arguments(self):
        cases = [
            ("from airflow.sdk import DAG", set(), "3"),
            ("from airflow import sdk", set(), "3"),
            ("from airflow.providers.standard.operators.bash import BashOperator", set(), "3"),
            ("from airflow.sdk import DAG", {"schedule_interval"}, "2"),
            ("from airflow import DAG\nfrom airflow.operators.bash import BashOperator", set(), "2"),
            ("from airflow import DAG", set(), "2"),
            ("from airflow.operators.bash_operator import BashOperator", set(), "2"),
            ("from airflow.contrib.operators.bigquery_operator import X", {"schedule_interval"}, "1.10"),
            ("from airflow.contrib.hooks.x import X\nfrom airflow.operators.bash import BashOperator", set(), "2"),
            ("from airflow.operators import BashOperator", set(), "1.10"),
            ("from airflow.operators import bash", set(), "2"),
            ("try:\n  from airflow.sdk import dag\nexcept ImportError:\n  from airflow.decorators import dag", set(), "3"),
        ]
        for source, arguments, level in cases:
            with self.subTest(source):
                self.assertEqual(infer_level(source, [], arguments), level)

    def test_a_file_that_says_nothing_takes_the_word_of_the_modules_it_imports(self):
        self.assertEqual(infer_level("from factory import make", ["from airflow.sdk import DAG"], set()), "3")


if __name__ == "__main__":
    unittest.main()
