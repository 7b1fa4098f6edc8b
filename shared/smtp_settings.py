"""How mail leaves: the server that takes it, and who we are to it."""

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from shared import settings
from shared.settings import SecretRef

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_SENDER = re.compile(r"[A-Za-z0-9._+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}")
_USUAL_PORT = {"starttls": "587", "implicit": "465"}


class Smtp(msgspec.Struct, frozen=True):
    """`tls`: from the first byte, or with `STARTTLS`; never without. `sender` is an address. Without `user`
    the server takes mail from whoever reaches it, and there is no `password`.
    """

    host: str
    port: int
    tls: Literal["starttls", "implicit"]
    user: str
    password: SecretRef | None
    sender: str


def read(environ: Mapping[str, str]) -> Smtp | None:
    """None where `SMTP_HOST` is not set. Raises `settings.Wrong`."""
    host = settings.given(environ, "SMTP_HOST")
    if not host:
        return None
    if not _HOST.fullmatch(host):
        raise settings.Wrong("SMTP_HOST must be the name of a mail server")
    tls = _tls(environ)
    port = settings.given(environ, "SMTP_PORT") or _USUAL_PORT[tls]
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise settings.Wrong("SMTP_PORT must be a port's number")
    sender = settings.required(environ, "SMTP_FROM")
    if not _SENDER.fullmatch(sender):
        raise settings.Wrong("SMTP_FROM must be a plain address, like no-reply@example.com")
    user, password = _login(environ)
    return Smtp(host, int(port), tls, user, password, sender)


def _tls(environ: Mapping[str, str]) -> Literal["starttls", "implicit"]:
    match settings.given(environ, "SMTP_TLS"):
        case "" | "starttls":
            return "starttls"
        case "implicit":
            return "implicit"
    raise settings.Wrong("SMTP_TLS must be starttls or implicit: no mail leaves in the clear")


def _login(environ: Mapping[str, str]) -> tuple[str, SecretRef | None]:
    user = settings.given(environ, "SMTP_USER")
    password = settings.given(environ, "SMTP_PASSWORD_SECRET")
    if bool(user) != bool(password):
        raise settings.Wrong("SMTP_USER and SMTP_PASSWORD_SECRET are set together, or not at all")
    return user, settings.secret("SMTP_PASSWORD_SECRET", password) if password else None
