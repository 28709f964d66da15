"""Templates: real Jinja2, with Airflow's filters, files and native objects."""

from __future__ import annotations

import logging

import jinja2
import jinja2.ext
import jinja2.nativetypes
import jinja2.sandbox

from airflow._light.params import DagParam
from airflow._light.xcom_arg import MappedArgument, XComArg

_log = logging.getLogger("airflow.task.template")


def environment_of(dag):
    """The environment of a DAG's templates: its folder and search path, its macros and filters."""
    folders = [dag.folder, *(dag.template_searchpath or [])]
    options = {
        "loader": jinja2.FileSystemLoader(folders),
        "undefined": dag.template_undefined or jinja2.StrictUndefined,
        "extensions": ["jinja2.ext.do"],
        "cache_size": 0,
        **(dag.jinja_environment_kwargs or {}),
    }
    environment = (_NativeEnvironment if dag.render_template_as_native_obj else _Environment)(**options)
    if dag.user_defined_macros:
        environment.globals.update(dag.user_defined_macros)
    if dag.user_defined_filters:
        environment.filters.update(dag.user_defined_filters)
    return environment


def bare_environment():
    return _Sandboxed(cache_size=0, undefined=jinja2.StrictUndefined)


def render_fields(task, context, environment=None):
    """Renders the template fields of a task in place. Without an environment one is made for the first field with text."""
    task.__dict__["_rendering"] = True
    try:
        for field in task.template_fields:
            try:
                value = getattr(task, field)
            except AttributeError:
                raise AttributeError(
                    f"{field!r} is configured as a template field but {task.task_type} does not have this attribute."
                ) from None
            if value:
                if environment is None and _holds_text(value):
                    environment = task.get_template_env()
                setattr(task, field, render(value, context, environment, task))
    finally:
        task.__dict__["_rendering"] = False


def _holds_text(value):
    """Whether rendering it may need an environment: a result of another task, a number, and lists and dicts of them do not."""
    if value is None or isinstance(value, (bool, int, float, XComArg, MappedArgument, DagParam, literal)):
        return False
    if value.__class__ in (tuple, list, set):
        return any(map(_holds_text, value))
    if value.__class__ is dict:
        return any(map(_holds_text, value.values()))
    return True


def render(value, context, environment, task=None, seen=None):
    """A value with all templates inside it rendered; strings with a template extension are files."""
    if task is not None and any(value is each for each in getattr(task, "_as_it_is", ())):
        return value
    if isinstance(value, str):
        if task is not None and value.endswith(tuple(task.template_ext)):
            template = environment.get_template(value)
        elif "{" not in value and _is_plain(environment):
            # Nothing can start without a brace, but Jinja drops one trailing newline.
            return value[:-1] if value.endswith("\n") and not environment.keep_trailing_newline else value
        else:
            template = environment.from_string(value)
        return _rendered(template, context, environment)
    if isinstance(value, (XComArg, MappedArgument, DagParam, literal)):
        return value.resolve(context)
    if value.__class__ is tuple:
        return tuple(render(each, context, environment, task, seen) for each in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return value.__class__(*(render(each, context, environment, task, seen) for each in value))
    if isinstance(value, list):
        return [render(each, context, environment, task, seen) for each in value]
    if isinstance(value, dict):
        return {key: render(each, context, environment, task, seen) for key, each in value.items()}
    if isinstance(value, set):
        return {render(each, context, environment, task, seen) for each in value}
    if hasattr(value, "template_fields") and not isinstance(value, type):
        seen = seen or set()
        if id(value) not in seen:
            seen.add(id(value))
            for field in value.template_fields:
                setattr(value, field, render(getattr(value, field), context, environment, task, seen))
        return value
    return value


def resolve_files(task):
    """Puts the contents of template files in the place of their names, as Airflow does when it loads a DAG."""
    extensions = tuple(task.template_ext)
    if extensions:
        task.__dict__["_rendering"] = True
        try:
            for field in task.template_fields:
                value = getattr(task, field, None)
                if isinstance(value, str) and value.endswith(extensions):
                    source = _source(task, value)
                    if source is not None:
                        setattr(task, field, source)
                elif isinstance(value, list):
                    for index, each in enumerate(value):
                        if isinstance(each, str) and each.endswith(extensions):
                            source = _source(task, each)
                            if source is not None:
                                value[index] = source
        finally:
            task.__dict__["_rendering"] = False
    task.prepare_template()


def _source(task, name):
    environment = task.get_template_env()
    try:
        source = environment.loader.get_source(environment, name)[0]
        _read_included(environment, source, set())
        return source
    except Exception as problem:
        # Airflow only notes it here as well: the task fails when it renders, the DAG loads.
        _log.warning("Failed to resolve template field of %r: %s: %s", task.task_id, type(problem).__name__, problem)
        return None


def _read_included(environment, source, seen):
    """Reads what a template file includes, so that the parse knows these files as its inputs."""
    from jinja2 import meta

    for name in meta.find_referenced_templates(environment.parse(source)):
        if name and name not in seen:
            seen.add(name)
            _read_included(environment, environment.loader.get_source(environment, name)[0], seen)


def _rendered(template, context, environment):
    if isinstance(environment, jinja2.nativetypes.NativeEnvironment):
        return template.render(context)
    # As Airflow: not through `template.render`, so that errors keep the author's traceback.
    return "".join(template.root_render_func(template.new_context(context)))


def _is_plain(environment):
    """Braces start everything, and a rendered text stays a text."""
    return (
        not isinstance(environment, jinja2.nativetypes.NativeEnvironment)
        and environment.variable_start_string[0] == environment.block_start_string[0] == "{"
        and environment.line_statement_prefix is None
        and environment.line_comment_prefix is None
    )


class _Filters:
    def __init__(self, **options):
        super().__init__(**options)
        self.filters.update(_filters)


class _Environment(_Filters, jinja2.Environment):
    pass


class _Sandboxed(_Filters, jinja2.sandbox.SandboxedEnvironment):
    def is_safe_attribute(self, obj, attr, value):
        return not jinja2.sandbox.is_internal_attribute(obj, attr)


class _NativeEnvironment(_Filters, jinja2.nativetypes.NativeEnvironment):
    pass


def _format(value, pattern):
    return value.strftime(pattern) if value else ""


def _ts_nodash(value):
    return _format(value, "%Y%m%dT%H%M%S")


_filters = {
    "ds": lambda value: _format(value, "%Y-%m-%d"),
    "ds_nodash": lambda value: _format(value, "%Y%m%d"),
    "ts": lambda value: value.isoformat() if value else "",
    "ts_nodash": _ts_nodash,
    "ts_nodash_with_tz": lambda value: value.isoformat().replace("-", "").replace(":", "") if value else "",
}


class literal:
    """`literal("{{ not a template }}")`: left as it is."""

    def __init__(self, value):
        self.value = value

    def resolve(self, context):
        return self.value

    def iter_references(self):
        return iter(())

