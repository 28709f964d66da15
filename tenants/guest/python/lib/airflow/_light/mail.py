"""E-mail from a task, through the connection `smtp_default`."""

from __future__ import annotations

import os
import re
import smtplib
from email.message import EmailMessage
from mimetypes import guess_type

from airflow._light.baseoperator import BaseOperator
from airflow._light.connection import Connection


class EmailOperator(BaseOperator):
    template_fields = ("to", "subject", "html_content", "from_email", "files", "cc", "bcc")
    template_ext = (".html",)

    def __init__(
        self, *, to, subject, html_content, from_email=None, files=None, cc=None, bcc=None, mime_subtype="mixed",
        mime_charset="utf-8", conn_id="smtp_default", custom_headers=None, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.to, self.subject, self.html_content, self.from_email = to, subject, html_content, from_email
        self.files, self.cc, self.bcc = files or [], cc, bcc
        self.mime_subtype, self.mime_charset = mime_subtype, mime_charset
        self.conn_id, self.custom_headers = conn_id or "smtp_default", custom_headers or {}

    def execute(self, context):
        send_email(
            self.to, self.subject, self.html_content, files=self.files, cc=self.cc, bcc=self.bcc,
            conn_id=self.conn_id, from_email=self.from_email, custom_headers=self.custom_headers,
        )  # fmt: skip


def send_email(to, subject, html_content, files=None, dryrun=False, cc=None, bcc=None, mime_subtype="mixed",
               mime_charset="utf-8", conn_id="smtp_default", custom_headers=None, from_email=None, **_more):  # fmt: skip
    connection = Connection.get(conn_id or "smtp_default")
    extra = connection.extra_dejson
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = from_email or extra.get("from_email") or connection.login or "airflow@localhost"
    message["To"] = ", ".join(addresses_of(to))
    if cc:
        message["Cc"] = ", ".join(addresses_of(cc))
    for name, value in (custom_headers or {}).items():
        message[name] = value
    message.set_content(html_content, subtype="html")
    for path in files or []:
        kind, _, subtype = (guess_type(path)[0] or "application/octet-stream").partition("/")
        with open(path, "rb") as file:
            message.add_attachment(file.read(), maintype=kind, subtype=subtype, filename=os.path.basename(path))
    if dryrun:
        return
    plain = extra.get("disable_ssl", True)
    server = (smtplib.SMTP if plain else smtplib.SMTP_SSL)(connection.host or "localhost", connection.port or 25, timeout=30)
    with server:
        if plain and not extra.get("disable_tls", False) and server.has_extn("starttls"):
            server.starttls()
        if connection.login:
            server.login(connection.login, connection.password or "")
        server.send_message(message, to_addrs=[*addresses_of(to), *addresses_of(cc), *addresses_of(bcc)])


def addresses_of(given):
    if not given:
        return []
    if isinstance(given, str):
        return [each.strip() for each in re.split(r"[,;]", given) if each.strip()]
    return list(given)


get_email_address_list = addresses_of
