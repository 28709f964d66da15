"""A small `airflow` of our own: DAG files of Airflow 1.10, 2.x and 3.x import it and notice nothing.

Every import path of every generation is a row of `_table.py`; `_surface.py` serves the rows. Nothing is imported
before somebody asks for it (PEP 562), so that a guest starts in milliseconds.
"""

from __future__ import annotations

# One consistent answer: providers and careful files choose their imports by it.
__version__ = "3.1.0"
version = __version__

from airflow import _surface  # noqa: E402

_surface.open_surface()


def __getattr__(name: str):
    return _surface.look_up("airflow", name)


def __dir__():
    return _surface.names_in("airflow")
