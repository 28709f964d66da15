"""Errors as the author of a DAG file wants them: where in his own file, what is wrong, and the way out."""

from __future__ import annotations

import os
import re
import sys
import traceback

_guest = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_bundle = ""
reason_characters_max = 4000
_traceback_characters_max = 32 * 1024

_distributions = {
    "yaml": "PyYAML", "sklearn": "scikit-learn", "cv2": "opencv-python", "PIL": "Pillow", "bs4": "beautifulsoup4",
    "dotenv": "python-dotenv", "dateutil": "python-dateutil", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient",
    "jwt": "PyJWT", "git": "GitPython", "slack_sdk": "slack-sdk", "kubernetes": "kubernetes", "attr": "attrs",
    "Crypto": "pycryptodome", "serial": "pyserial", "dbt": "dbt-core", "cosmos": "astronomer-cosmos",
}  # fmt: skip


def know_bundle(folder: str) -> None:
    """Paths in messages are relative to this folder."""
    global _bundle
    _bundle = folder.rstrip(os.sep) + os.sep


def reason_of(error: BaseException) -> str:
    """`ValueError: what was said`, one line's worth."""
    said = str(error).strip()
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return text if len(text) <= reason_characters_max else text[: reason_characters_max - 1] + "…"


def traceback_text(error: BaseException) -> str:
    """The traceback without frames of the guest and of Python's import machinery."""
    told = traceback.TracebackException.from_exception(error)
    _trim(told, set())
    lines = "".join(told.format()).replace(_bundle, "") if _bundle else "".join(told.format())
    if len(lines) > _traceback_characters_max:
        half = _traceback_characters_max // 2
        lines = f"{lines[:half]}\n…\n{lines[-half:]}"
    return lines.rstrip()


def problem_of(error: BaseException) -> dict:
    """The FileProblem of an exception."""
    problem: dict = {"message": _sentence(error)}
    line, column = _place_of(error)
    if line is not None:
        problem["line"] = line
    if column is not None:
        problem["column"] = column
    hint = hint_for(error)
    if hint:
        problem["hint"] = hint
    problem["traceback"] = traceback_text(error)
    return problem


def hint_for(error: BaseException) -> str | None:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _hint_for_module(error.name)
    if isinstance(error, ImportError) and (error.name or "").startswith("airflow"):
        return (
            "Airlock's own airflow package has no such name at this path; check the spelling, "
            "or add the package that supplies it to requirements.txt."
        )
    if isinstance(error, (IndentationError, SyntaxError)):
        return f"Mend the syntax; this file is read by Python {sys.version_info.major}.{sys.version_info.minor}."
    said = str(error)
    if isinstance(error, KeyError) and "Variable " in said:
        return "Create this variable for the tenant, or give Variable.get a default."
    kind = type(error).__name__
    if kind == "AirflowNotFoundException" and "conn_id" in said:
        return "Create this connection for the tenant, or fetch it inside a task instead of at the top of the file."
    if kind == "AirflowDagCycleException":
        return "Remove one of the arrows between the tasks of the cycle."
    if kind == "DuplicateTaskIdFound":
        return "Give one of the two another task_id, or put them into task groups of different names."
    if kind == "NameError":
        return "Import or define the name above this line."
    if isinstance(error, FileNotFoundError):
        return "Write the path relative to this file, e.g. Path(__file__).parent / 'config.yaml', and commit the file."
    if isinstance(error, (ConnectionError, TimeoutError)) or kind in ("gaierror", "ConnectError", "EndpointConnectionError"):
        return "There is no network while a file is parsed; move this call into a task."
    if isinstance(error, OSError) and error.errno in (101, 113):
        return "There is no network while a file is parsed; move this call into a task."
    decorator = re.match(r"task decorator '(\w+)' not found", said)
    if isinstance(error, AttributeError) and decorator:
        return f"Add the provider that brings @task.{decorator.group(1)} to requirements.txt, or check the spelling."
    if isinstance(error, RecursionError):
        return "Something at the top of the file calls itself without end."
    if isinstance(error, SystemExit):
        return "The file ends the interpreter when it is loaded; guard that with if __name__ == '__main__'."
    if isinstance(error, TypeError) and re.search(r"DAG.__init__\(\) got an unexpected keyword", said):
        return "No Airflow generation has this argument of DAG; check its spelling."
    if isinstance(error, TypeError) and said.startswith("Invalid arguments were passed"):
        return "Remove the argument or check its spelling; unknown keys of default_args are ignored, unknown arguments are not."
    return None


def _hint_for_module(name: str) -> str:
    inner = name.split(".")
    if inner[:2] == ["airflow", "providers"] and len(inner) > 2:
        kinds = {"operators", "hooks", "sensors", "transfers", "triggers", "utils", "secrets", "notifications", "decorators"}
        provider: list[str] = []
        for each in inner[2:]:
            if each in kinds:
                break
            provider.append(each)
        return f"Add apache-airflow-providers-{'-'.join(provider)} to requirements.txt."
    if inner[0] == "airflow":
        return f"No Airflow generation known to Airlock has {name} in its core; check the spelling, or add the package that supplies it to requirements.txt."
    if inner[0] == "google":
        return f"Add {'-'.join(inner[:3])} to requirements.txt."
    package = _distributions.get(inner[0], inner[0])
    return (
        f"Add {package} to requirements.txt, or, if {inner[0]} is a module of this repository, "
        "put it beside the DAG files, into plugins/ or at the top of the repository."
    )


def _sentence(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return reason_of(error).split("\n")[0]


def _place_of(error: BaseException) -> tuple[int | None, int | None]:
    """Where in the repository: of a SyntaxError itself, else the last frame that is the author's."""
    if isinstance(error, SyntaxError) and error.filename and _is_authors(error.filename):
        return error.lineno, error.offset
    found = None
    walk = error.__traceback__
    while walk is not None:
        if _is_authors(walk.tb_frame.f_code.co_filename):
            found = walk
        walk = walk.tb_next
    if found is None:
        return None, None
    positions = getattr(found.tb_frame.f_code, "co_positions", None)
    if positions is None:
        return found.tb_lineno, None
    for index, (_line, _end, column, _end_column) in enumerate(positions()):
        if index == found.tb_lasti // 2:
            return found.tb_lineno, None if column is None else column + 1
    return found.tb_lineno, None


def _is_authors(filename: str) -> bool:
    return bool(_bundle) and filename.startswith(_bundle)


def _trim(told: traceback.TracebackException, seen: set) -> None:
    if id(told) in seen:
        return
    seen.add(id(told))
    kept = [
        frame for frame in told.stack
        if not frame.filename.startswith(_guest) and not frame.filename.startswith("<frozen importlib")
    ]  # fmt: skip
    told.stack[:] = kept
    for other in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        if other is not None:
            _trim(other, seen)
