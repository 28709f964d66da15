"""Connections, and the hook base that fetches them."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from airflow._light import channel
from airflow._light.baseoperator import LoggingMixin
from airflow._light.exceptions import AirflowException, AirflowNotFoundException, AirflowRuntimeError


class Connection:
    EXTRA_KEY = "__extra__"

    def __init__(
        self, conn_id=None, conn_type=None, description=None, host=None, login=None, password=None,
        schema=None, port=None, extra=None, uri=None, **_more,
    ):  # fmt: skip
        self.conn_id, self.conn_type, self.description = conn_id, conn_type, description
        self.host, self.login, self.password = host, login, password
        self.schema = schema
        self.port = int(port) if port is not None else None
        self.extra = json.dumps(extra) if isinstance(extra, dict) else extra
        if uri:
            self._read_uri(uri)

    def _read_uri(self, uri):
        parts = urlsplit(uri)
        self.conn_type = {"postgresql": "postgres"}.get(parts.scheme, parts.scheme.replace("-", "_"))
        rest = parts._replace(scheme="").geturl()
        doubled = re.match(r"//([\w-]+)://", rest)
        if doubled:
            parts = urlsplit(rest[2:])
        address = parts.netloc.rpartition("@")[2]
        host = re.sub(r":\d*$", "", address)
        self.host = unquote(host) or None
        if doubled and self.host:
            self.host = f"{doubled.group(1)}://{self.host}"
        self.login = unquote(parts.username) if parts.username else None
        self.password = unquote(parts.password) if parts.password else None
        self.port = parts.port
        self.schema = unquote(parts.path[1:]) if len(parts.path) > 1 else ""
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if query:
            self.extra = query.get(self.EXTRA_KEY) or json.dumps(query)

    @property
    def extra_dejson(self):
        return self.get_extra_dejson()

    def get_extra_dejson(self, nested=False):
        if not self.extra:
            return {}
        try:
            found = json.loads(self.extra)
        except ValueError:
            return {}
        if nested and isinstance(found, dict):
            for key, value in found.items():
                if isinstance(value, str):
                    try:
                        found[key] = json.loads(value)
                    except ValueError:
                        continue
        return found

    def get_password(self):
        return self.password

    def get_extra(self):
        return self.extra

    def set_extra(self, value):
        self.extra = value

    def get_uri(self):
        kind = (self.conn_type or "").lower().replace("_", "-")
        uri = f"{kind}://"
        host = self.host or ""
        if "://" in host:
            inner, host = host.split("://", 1)
            uri += f"{inner}://"
        if self.login is not None or self.password is not None:
            uri += quote(self.login or "", safe="")
            uri += f":{quote(self.password, safe='')}" if self.password is not None else ""
            uri += "@"
        uri += quote(host, safe="")
        uri += f":{self.port}" if self.port else ""
        uri += f"/{quote(self.schema, safe='')}" if self.schema else ""
        if self.extra:
            found = self.extra_dejson
            plain = isinstance(found, dict) and found and all(isinstance(v, str) for v in found.values())
            query = urlencode(found) if plain else urlencode({self.EXTRA_KEY: self.extra})
            uri += ("?" if self.schema else "/?") + query
        return uri

    def to_dict(self, *, prune_empty=False, validate=True):
        found = {
            "conn_id": self.conn_id, "conn_type": self.conn_type, "description": self.description,
            "host": self.host, "login": self.login, "password": self.password, "schema": self.schema,
            "port": self.port, "extra": self.extra_dejson,
        }  # fmt: skip
        return {k: v for k, v in found.items() if v not in (None, "", {})} if prune_empty else found

    def as_json(self):
        found = self.to_dict(prune_empty=True)
        found.pop("conn_id", None)
        return json.dumps(found)

    @classmethod
    def from_json(cls, value, conn_id=None):
        return cls(conn_id=conn_id, **json.loads(value))

    @classmethod
    def get(cls, conn_id):
        answer = channel.ask({"type": "GetConnection", "conn_id": conn_id})
        if channel.is_error(answer, "CONNECTION_NOT_FOUND"):
            raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
        if channel.is_error(answer):
            raise AirflowRuntimeError(answer.get("error"), answer.get("detail"))
        fields = {k: answer.get(k) for k in ("conn_type", "host", "login", "password", "schema", "port", "extra")}
        return cls(conn_id=answer.get("conn_id", conn_id), **fields)

    get_connection_from_secrets = get

    def get_hook(self, *, hook_params=None):
        from airflow._light.providers_manager import hook_for

        hook = hook_for(self, hook_params)
        if hook is None:
            raise AirflowException(
                f"no installed provider has a hook for connections of type {self.conn_type!r}: "
                f"add apache-airflow-providers-{(self.conn_type or '').replace('_', '-')} to requirements.txt"
            )
        return hook

    def __repr__(self):
        return f"Connection(conn_id={self.conn_id!r}, conn_type={self.conn_type!r}, host={self.host!r})"

    __str__ = __repr__


class ConnectionAccessor:
    """`conn.my_id` in templates."""

    def __getattr__(self, conn_id):
        if conn_id.startswith("__"):
            raise AttributeError(conn_id)
        return Connection.get(conn_id)

    __getitem__ = __getattr__

    def get(self, conn_id, default_conn=None):
        try:
            return Connection.get(conn_id)
        except AirflowNotFoundException:
            return default_conn


class BaseHook(LoggingMixin):
    conn_name_attr = "conn_id"
    default_conn_name = "default_conn_id"
    conn_type = None
    hook_name = None

    def __init__(self, source=None, logger_name=None, **_more):
        super().__init__()

    @classmethod
    def get_connection(cls, conn_id):
        return Connection.get(conn_id)

    @classmethod
    def get_connections(cls, conn_id):
        return [Connection.get(conn_id)]

    @classmethod
    def get_hook(cls, conn_id, hook_params=None):
        return Connection.get(conn_id).get_hook(hook_params=hook_params)

    def get_conn(self):
        raise NotImplementedError

    @classmethod
    def get_connection_form_widgets(cls):
        return {}

    @classmethod
    def get_ui_field_behaviour(cls):
        return {}
