"""The code behind the `airflow` package. What is called how, and where, is the table in `airflow/_table.py`."""
