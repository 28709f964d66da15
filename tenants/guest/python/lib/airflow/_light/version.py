from airflow import __version__ as version  # noqa: F401
