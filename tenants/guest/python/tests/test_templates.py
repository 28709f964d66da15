"""Templates render as real Jinja2 and Airflow make them."""

import json
import os
import unittest

import harness  # noqa: F401  puts the guest on the path
import jinja2

from airflow._light import template
from airflow._light.dag import DAG
from airflow._light.operators import BashOperator


class Templates(unittest.TestCase):
    def setUp(self):
        self.dag = DAG("d", schedule=None)

    def test_the_58_cases_render_as_jinja_renders_them(self):
        with open(os.path.join(harness.here, "template-cases.json"), encoding="utf-8") as file:
            told = json.load(file)
        self.assertEqual(len(told["cases"]), 58)
        environment = template.environment_of(self.dag)
        names = {**told["context"], "ti": _TaskInstance(), "dag_run": _DagRun(), "macros": _Macros()}
        for case in told["cases"]:
            with self.subTest(case["template"]):
                self.assertEqual(template.render(case["template"], names, environment), case["expected"])

    def test_a_missing_name_is_an_error_and_names_itself(self):
        with self.assertRaisesRegex(jinja2.UndefinedError, "'nowhere' is undefined"):
            template.render("{{ nowhere }}", {}, template.environment_of(self.dag))

    def test_native_objects_keep_their_type(self):
        native = template.environment_of(DAG("n", schedule=None, render_template_as_native_obj=True))
        self.assertEqual(template.render("{{ xs }}", {"xs": [1, {"a": 2}]}, native), [1, {"a": 2}])
        self.assertEqual(template.render("5", {}, native), 5)
        self.assertEqual(template.render("5", {}, template.environment_of(self.dag)), "5")

    def test_macros_and_filters_of_the_dag_are_there(self):
        dag = DAG("m", schedule=None, user_defined_macros={"hi": lambda: "ho"}, user_defined_filters={"twice": lambda x: x * 2})
        self.assertEqual(template.render("{{ hi() | twice }}", {}, template.environment_of(dag)), "hoho")

    def test_other_delimiters_are_seen_although_there_is_no_brace(self):
        dag = DAG("o", schedule=None, jinja_environment_kwargs={"variable_start_string": "[[", "variable_end_string": "]]"})
        self.assertEqual(template.render("[[ x ]]", {"x": 1}, template.environment_of(dag)), "1")

    def test_structures_are_rendered_through_and_literals_are_not(self):
        class Holder:
            template_fields = ("inner",)
            inner = "{{ x }}"

        value = {"a": ["{{ x }}", ("{{ x }}",)], "b": template.literal("{{ x }}"), "c": 3, "d": Holder()}
        done = template.render(value, {"x": "y"}, template.environment_of(self.dag))
        self.assertEqual((done["a"], done["b"], done["c"], done["d"].inner), (["y", ("y",)], "{{ x }}", 3, "y"))

    def test_a_command_with_a_trailing_blank_is_no_file(self):
        with self.dag:
            task = BashOperator(task_id="a", bash_command="run.sh ")
            missing = BashOperator(task_id="b", bash_command="run.sh")
        task.render_template_fields({})
        self.assertEqual(task.bash_command, "run.sh ")
        with self.assertRaises(jinja2.TemplateNotFound):
            missing.render_template_fields({})


class _TaskInstance:
    def xcom_pull(self, task_ids=None, key="return_value"):
        return {"n": 5} if key == "return_value" else None


class _DagRun:
    conf = {"k2": "v2"}


class _Macros:
    @staticmethod
    def ds_add(ds, n):
        return "2026-11-25"


if __name__ == "__main__":
    unittest.main()
