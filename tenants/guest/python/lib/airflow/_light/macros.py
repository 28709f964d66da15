"""`macros` of templates, also `airflow.macros`."""

from __future__ import annotations

import json  # noqa: F401
import random as random_module
import time  # noqa: F401
import uuid  # noqa: F401
from datetime import datetime, timedelta

import dateutil  # noqa: F401
import dateutil.parser
import dateutil.relativedelta  # noqa: F401

random = random_module.random


def ds_add(ds, days):
    moment = datetime.strptime(str(ds), "%Y-%m-%d")
    return (moment + timedelta(days=days)).strftime("%Y-%m-%d") if days else str(ds)


def ds_format(ds, input_format, output_format):
    return datetime.strptime(str(ds), input_format).strftime(output_format)


def ds_format_locale(ds, input_format, output_format, locale=None):
    return ds_format(ds, input_format, output_format)


def datetime_diff_for_humans(dt, since=None):
    import pendulum

    return pendulum.instance(dt).diff_for_humans(pendulum.instance(since) if since else None)



def __getattr__(name):
    # `macros.<plugin>.<function>` of the repository's own plugins.
    from airflow._light import plugins

    found = plugins.macros_of(name)
    if found is None:
        raise AttributeError(f"module 'airflow.macros' has no attribute {name!r}")
    return found
