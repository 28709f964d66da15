"""The team's database. Its address and password are in the connection `warehouse`, never in this repository."""

from __future__ import annotations

from contextlib import contextmanager

from airflow.sdk import BaseHook


@contextmanager
def warehouse():
    """A cursor in one transaction: all of what is done inside is kept, or nothing."""
    # Imported here: reading a DAG file should not need the driver.
    import pg8000.dbapi

    place = BaseHook.get_connection("warehouse")
    connection = pg8000.dbapi.connect(
        user=place.login, password=place.password, host=place.host, port=place.port, database=place.schema, timeout=10
    )
    try:
        cursor = connection.cursor()
        yield cursor
        connection.commit()
    finally:
        connection.close()
