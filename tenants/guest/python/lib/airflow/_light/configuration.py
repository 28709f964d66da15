"""`conf.get(section, key)`: the environment's `AIRFLOW__SECTION__KEY`, else what stands to reason here."""

from __future__ import annotations

import os

from airflow._light.exceptions import AirflowConfigException

_unset = object()
_defaults = {
    ("core", "default_timezone"): "utc",
    ("core", "executor"): "LocalExecutor",
    ("core", "parallelism"): "32",
    ("core", "load_examples"): "False",
    ("core", "max_active_tasks_per_dag"): "16",
    ("core", "dag_concurrency"): "16",
    ("core", "max_active_runs_per_dag"): "16",
    ("core", "unit_test_mode"): "False",
    ("core", "enable_xcom_pickling"): "False",
    ("core", "fernet_key"): "",
    ("core", "killed_task_cleanup_time"): "60",
    ("core", "max_templated_field_length"): "4096",
    ("operators", "default_owner"): "airflow",
    ("operators", "default_queue"): "default",
    ("operators", "default_deferrable"): "False",
    ("sensors", "default_timeout"): "604800",
    ("scheduler", "catchup_by_default"): "False",
    ("logging", "logging_level"): "INFO",
    ("webserver", "base_url"): "http://localhost:8080",
    ("api", "base_url"): "http://localhost:8080",
    ("email", "email_backend"): "airflow.utils.email.send_email_smtp",
    ("smtp", "smtp_mail_from"): "airflow@example.com",
}


class AirflowConfigParser:
    folders: dict = {}

    def get(self, section, key, fallback=_unset, **_more):
        section, key = section.lower(), key.lower()
        told = os.environ.get(f"AIRFLOW__{section.upper()}__{key.upper()}")
        if told is not None:
            return told
        found = self.folders.get(key) if section in ("core", "logging") else None
        if found is None:
            found = _defaults.get((section, key))
        if found is not None:
            return found
        if fallback is _unset:
            raise AirflowConfigException(f"section/key [{section}/{key}] not found in config")
        return fallback

    def getboolean(self, section, key, **more):
        value = str(self.get(section, key, **more)).lower().strip()
        if value in ("t", "true", "1", "yes", "on"):
            return True
        if value in ("f", "false", "0", "no", "off", "none", ""):
            return False
        raise AirflowConfigException(f"[{section}] {key} is not a boolean: {value!r}")

    def getint(self, section, key, **more):
        return int(self.get(section, key, **more))

    def getfloat(self, section, key, **more):
        return float(self.get(section, key, **more))

    def getlist(self, section, key, fallback=_unset, delimiter=",", **_more):
        value = self.get(section, key, fallback=fallback)
        return [each.strip() for each in value.split(delimiter)] if isinstance(value, str) else value

    def getjson(self, section, key, fallback=_unset, **_more):
        import json

        value = self.get(section, key, fallback=fallback)
        return json.loads(value) if isinstance(value, str) else value

    def get_mandatory_value(self, section, key, **more):
        return self.get(section, key, **more)

    def has_option(self, section, option):
        return self.get(section, option, fallback=None) is not None

    def getsection(self, section):
        return {key: value for (name, key), value in _defaults.items() if name == section.lower()} or None

    def as_dict(self, *_args, **_kwargs):
        found: dict = {}
        for (section, key), value in _defaults.items():
            found.setdefault(section, {})[key] = value
        return found

    def set(self, section, option, value):
        os.environ[f"AIRFLOW__{section.upper()}__{option.upper()}"] = str(value)


conf = AirflowConfigParser()
get, getboolean, getint, getfloat = conf.get, conf.getboolean, conf.getint, conf.getfloat
as_dict, has_option, getsection, set = conf.as_dict, conf.has_option, conf.getsection, conf.set


def get_airflow_home():
    return os.environ.get("AIRFLOW_HOME", "")


def __getattr__(name):
    if name == "AIRFLOW_HOME":
        return get_airflow_home()
    raise AttributeError(name)
