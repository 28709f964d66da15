"""Must fail, each five minutes: it tries what no task may do. Where one of its tries succeeds, so does the run."""
import os
import socket
from datetime import timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException


def opened(path):
    try:
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def reached(address):
    try:
        socket.create_connection(address, timeout=1).close()
        return True
    except OSError:
        return False


def written(path):
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        os.unlink(path)
        return True
    except OSError:
        return False


@dag(schedule="*/5 * * * *", catchup=False, max_active_runs=1, dagrun_timeout=timedelta(minutes=2), tags=["canary"])
def must_fail():
    @task
    def try_the_fences():
        through = [path for path in ("/etc/shadow", "/root/.bashrc") if opened(path)]
        through += [host for host in ("169.254.169.254", "10.0.0.1") if reached((host, 80))]
        through += [path for path in ("/usr/airlock-canary", "/etc/airlock-canary") if written(path)]
        if not through:
            raise AirflowFailException("every fence held, as it must")
        print("NOT FENCED:", ", ".join(through))

    try_the_fences()


must_fail()
