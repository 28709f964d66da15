"""Which generation of Airflow a DAG means: 1.10, 2 or 3. The same file has other run dates under another one."""

from __future__ import annotations

import ast

from airflow._table import PLUGIN_DOORS, ROWS

_generation_of = {path: generation for generation, path, _ in ROWS if generation}


def infer_level(source: str, other_sources: list[str], arguments_before_3: set[str]) -> str:
    """The level of one DAG, from the imports of its file (or of the repository's modules it imports, where the file
    itself says nothing) and from the DAG arguments it used.
    """
    said = generations_in(source)
    if not said:
        said = set().union(*(generations_in(other) for other in other_sources))
    if not arguments_before_3 and "3" in said:
        return "3"
    if said & {"2", "3"}:
        return "2"
    return "1.10" if "1.10" in said else "2"


def generations_in(source: str) -> set[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    said: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            said |= _say(node.module, [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            for alias in node.names:
                said |= _say(alias.name, [])
    return said


def _say(path: str, names: list[str]) -> set[str]:
    if path.split(".")[0] != "airflow":
        return set()
    if path.startswith("airflow.sdk") or path == "airflow" and "sdk" in names:
        return {"3"}
    if path.startswith("airflow.contrib"):
        # 2.x took them too, deprecated; who writes contrib and nothing of 2.x means 1.10.
        return {"1.10"}
    if path in PLUGIN_DOORS[:3]:
        # `from airflow.operators import bash` is 2.x (a module), `… import BashOperator` is 1.10 (a class, or a plugin's).
        inner = {_generation_of.get(f"{path}.{name}", "1.10" if name[:1].isupper() else "") for name in names}
        return inner - {"", "1"}
    return {_generation_of.get(path, "")} - {"", "1"}
