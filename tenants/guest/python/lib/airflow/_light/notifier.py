"""Notifiers: callbacks that are objects, with templates of their own."""

from __future__ import annotations

from airflow._light.baseoperator import LoggingMixin


class BaseNotifier(LoggingMixin):
    template_fields: tuple = ()
    template_ext: tuple = ()

    def __init__(self, **_more):
        pass

    def notify(self, context):
        raise NotImplementedError

    def render_template_fields(self, context, jinja_env=None):
        from airflow._light import template

        dag = context.get("dag")
        environment = jinja_env or (dag.get_template_env() if dag is not None else template.bare_environment())
        for field in self.template_fields:
            value = getattr(self, field, None)
            if value:
                setattr(self, field, template.render(value, context, environment, self))

    def __call__(self, *args):
        # The five arguments of an sla_miss_callback, or one context.
        names = ("dag", "task_list", "blocking_task_list", "slas", "blocking_tis")
        context = args[0] if len(args) == 1 else dict(zip(names, args))
        self.render_template_fields(context)
        self.notify(context)
