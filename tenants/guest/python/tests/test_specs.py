"""The corpus: small DAG files of all three generations, each with the spec it must become."""

import json
import os
import unittest

import spec_defaults
from harness import Supervisor, here

corpus = os.path.join(here, "corpus")


class SpecsOfTheCorpus(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.supervisor = Supervisor(read_corpus())
        cls.supervisor.variables["config"] = '{"team": "t", "tables": ["a", "b"]}'
        cls.supervisor.connections["warehouse"] = {"conn_type": "postgres", "host": "db"}
        with open(os.path.join(corpus, "expected.json"), encoding="utf-8") as file:
            cls.expected = json.load(file)

    @classmethod
    def tearDownClass(cls):
        cls.supervisor.close()

    def test_every_file_becomes_the_spec_that_is_written_down(self):
        self.assertGreaterEqual(len(self.expected), 22)
        for file, expected in self.expected.items():
            with self.subTest(file):
                result = self.supervisor.parse(file)
                self.assertEqual(result["errors"], [])
                self.assertEqual(result["inputs"], [file, *expected.get("inputs", [])])
                self.assertEqual([w["message"] for w in result["warnings"]], expected.get("warnings", []))
                self.assertEqual(result["packages"], [])
                self.assertEqual(result["dags"], [whole(dag) for dag in expected["dags"]])

    def test_an_override_of_the_level_wins_over_the_inference(self):
        dag = self.supervisor.parse("dags/v3_sdk.py", override="2")["dags"][0]
        self.assertEqual((dag["level"], dag["timetable"]["kind"], dag["catchup"]), ("2", "cron_interval", True))
        dag = self.supervisor.parse("dags/2-daily.report v2.py", override="3")["dags"][0]
        self.assertEqual((dag["level"], dag["timetable"]["kind"], dag["catchup"]), ("3", "cron_trigger", True))


def whole(dag):
    return {
        **spec_defaults.DAG,
        **dag,
        "tasks": [
            {"template_fields": spec_defaults.FIELDS.get(task["operator"]), **spec_defaults.TASK, **task}
            for task in dag["tasks"]
        ],
    }


def read_corpus():
    files = {}
    for folder, _, names in os.walk(corpus):
        for name in names:
            if name.endswith((".py", ".sh", ".json")) and name != "expected.json":
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    files[os.path.relpath(path, corpus)] = file.read()
    return files


if __name__ == "__main__":
    unittest.main()
