"""Functions that run under another Python: one that is there already, or a virtual environment made for the task."""

from __future__ import annotations

import ast
import inspect
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import textwrap

from airflow._light.exceptions import AirflowException, AirflowSkipException
from airflow._light.operators import BranchMixIn, PythonOperator, determine_kwargs
from airflow._light.taskflow import DecoratedOperator

# Plain values of the context, as Airflow hands them over; the rest cannot leave this process.
_plain_context = frozenset(
    {"ds", "ds_nodash", "inlets", "outlets", "run_id", "task_instance_key_str", "test_mode", "tomorrow_ds",
     "tomorrow_ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz", "yesterday_ds", "yesterday_ds_nodash",
     "next_ds", "next_ds_nodash", "prev_ds", "prev_ds_nodash", "params"}
)  # fmt: skip

_runner = """
import pickle, sys
with open(sys.argv[1], "rb") as file:
    told = pickle.load(file)
virtualenv_string_args = told["string_args"]
{source}
result = {name}(*told["args"], **told["kwargs"])
with open(sys.argv[2], "wb") as file:
    pickle.dump(result, file, protocol=2)
"""


class ExternalPythonOperator(PythonOperator):
    template_fields = ("python", *PythonOperator.template_fields)

    def __init__(
        self, *, python_callable, python=None, serializer=None, use_dill=False, string_args=None, expect_airflow=True,
        expect_pendulum=False, skip_on_exit_code=None, env_vars=None, inherit_env=True, use_airflow_context=False,
        **kwargs,
    ):  # fmt: skip
        if getattr(python_callable, "__name__", "") == "<lambda>" or not inspect.isfunction(python_callable):
            raise AirflowException(f"{type(self).__name__} needs a function with a name")
        super().__init__(python_callable=python_callable, **kwargs)
        self.python = python
        self.string_args = list(string_args or [])
        codes = skip_on_exit_code
        self.skip_on_exit_code = [codes] if isinstance(codes, int) else list(codes or [])
        self.env_vars, self.inherit_env = env_vars, inherit_env
        self._process = None

    def determine_kwargs(self, context):
        given = {**{k: v for k, v in context.items() if k in _plain_context}, **self.op_kwargs}
        if "params" in given:
            given["params"] = dict(given["params"])
        return determine_kwargs(self.python_callable, self.op_args, given, self.op_kwargs)

    def execute_callable(self):
        with tempfile.TemporaryDirectory(prefix="python-") as folder:
            return self._run_with(self._interpreter(folder), folder)

    def _interpreter(self, folder):
        return self.python

    def _run_with(self, python, folder):
        script, told, result = (os.path.join(folder, name) for name in ("script.py", "told", "result"))
        with open(script, "w", encoding="utf-8") as file:
            source = source_without_decorators(self.python_callable)
            file.write(_runner.format(source=source, name=self.python_callable.__name__))
        with open(told, "wb") as file:
            kwargs = {"args": list(self.op_args), "kwargs": self.op_kwargs, "string_args": self.string_args}
            pickle.dump(kwargs, file, protocol=2)
        env = {**(os.environ if self.inherit_env else {}), **(self.env_vars or {})}
        code = self._stream([python, script, told, result], env)
        if code in self.skip_on_exit_code:
            raise AirflowSkipException(f"Process exited with code {code}. Skipping.")
        if code != 0:
            raise AirflowException(f"the function failed under {python}: exit code {code}")
        with open(result, "rb") as file:
            return pickle.load(file)

    def _stream(self, command, env):
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, start_new_session=True
        )
        for line in iter(self._process.stdout.readline, b""):
            self.log.info("%s", line.decode(errors="backslashreplace").rstrip())
        return self._process.wait()

    def on_kill(self):
        from airflow._light.operators import BashOperator

        BashOperator.on_kill(self)


class PythonVirtualenvOperator(ExternalPythonOperator):
    template_fields = ("requirements", "index_urls", "venv_cache_path", *PythonOperator.template_fields)
    template_ext = (".txt",)

    def __init__(
        self, *, requirements=None, python_version=None, system_site_packages=True, pip_install_options=None,
        index_urls=None, venv_cache_path=None, index_urls_from_connection_ids=None, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.requirements = [requirements] if isinstance(requirements, str) else list(requirements or [])
        self.python_version = str(python_version) if python_version else None
        self.system_site_packages = system_site_packages
        self.pip_install_options = list(pip_install_options or [])
        self.index_urls = [index_urls] if isinstance(index_urls, str) else list(index_urls or [])
        self.venv_cache_path = venv_cache_path

    def _interpreter(self, folder):
        base = sys.executable
        if self.python_version and not sys.version.startswith(self.python_version):
            base = shutil.which(f"python{self.python_version}")
            if base is None:
                raise AirflowException(f"there is no python{self.python_version} on this machine")
        venv = os.path.join(folder, "venv")
        options = ["--system-site-packages"] if self.system_site_packages else []
        self._must([base, "-m", "venv", *options, venv], "make a virtual environment")
        python = os.path.join(venv, "bin", "python")
        wanted = [line for each in self.requirements for line in each.splitlines() if line.strip()]
        if wanted:
            index = ["--index-url", self.index_urls[0]] if self.index_urls else []
            more = [part for url in self.index_urls[1:] for part in ("--extra-index-url", url)]
            self._must([python, "-m", "pip", "install", *index, *more, *self.pip_install_options, *wanted], "install its requirements")
        return python

    def _must(self, command, deed):
        if self._stream(command, dict(os.environ)) != 0:
            raise AirflowException(f"could not {deed}: see the lines above (a task reaches an index only if its egress allows it)")


class BranchExternalPythonOperator(ExternalPythonOperator, BranchMixIn):
    decides = "branch"

    def execute(self, context):
        return self.do_branch(context, super().execute(context))


class BranchPythonVirtualenvOperator(PythonVirtualenvOperator, BranchMixIn):
    decides = "branch"

    def execute(self, context):
        return self.do_branch(context, super().execute(context))


class ExternalPythonDecoratedOperator(DecoratedOperator, ExternalPythonOperator):
    template_fields = ExternalPythonOperator.template_fields
    custom_operator_name = "@task.external_python"


class VirtualenvDecoratedOperator(DecoratedOperator, PythonVirtualenvOperator):
    template_fields = PythonVirtualenvOperator.template_fields
    custom_operator_name = "@task.virtualenv"


def source_without_decorators(function):
    source = textwrap.dedent(inspect.getsource(function))
    node = ast.parse(source).body[0]
    return "\n".join(source.splitlines()[node.lineno - 1 :])
