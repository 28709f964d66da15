"""The guest program: it waits, forks, parses and runs. The names authors use are the package `airflow` beside it."""
