"""Parses single settings of the environment."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

_SECRET = re.compile(r"([A-Za-z0-9_-]{1,200})/([1-9][0-9]{0,8})")


class SecretRef(msgspec.Struct, frozen=True):
    """One version of a secret, written `name/3`. Never `latest`: a new version is deployed deliberately."""

    name: str
    version: int


class Wrong(Exception):
    """A missing or malformed setting. The message is its name and what is wrong."""


def given(environ: Mapping[str, str], name: str, *, needed: bool = False) -> str:
    """The setting's text; empty if it is not set. Raises `Wrong`, as all functions here do."""
    return required(environ, name) if needed else environ.get(name, "").strip()


def required(environ: Mapping[str, str], name: str) -> str:
    """A required setting: printable text without surrounding blanks."""
    value = environ.get(name, "").strip()
    if not value:
        raise Wrong(f"{name} is not set")
    if not value.isprintable():
        raise Wrong(f"{name} holds a character that cannot be printed")
    return value


def secret(name: str, text: str) -> SecretRef:
    """Parses `text`, the value of the setting `name`."""
    found = _SECRET.fullmatch(text)
    if found is None:
        raise Wrong(f"{name} must name a secret and the number of its version, like name/3")
    return SecretRef(found[1], int(found[2]))


def whole_number(environ: Mapping[str, str], name: str, default: int) -> int:
    """A number from 0 to 9."""
    value = given(environ, name) or str(default)
    if len(value) != 1 or value not in "0123456789":
        raise Wrong(f"{name} must be a whole number from 0 to 9")
    return int(value)


def url(environ: Mapping[str, str], name: str, *, deployed: bool) -> str:
    """An origin in its only accepted spelling, since tokens are compared with it letter for letter."""
    value = required(environ, name)
    try:
        parts = urlsplit(value)
        good = bool(parts.hostname) and parts.username is None and f"{parts.scheme}://{parts.netloc}" == value
        _ = parts.port  # raises ValueError
    except ValueError:
        good = False
    schemes = ("https",) if deployed else ("http", "https")
    if not good or not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise Wrong(f"{name} must be {' or '.join(schemes)}://host[:port] without path or slash at the end")
    return value


def optional_url(environ: Mapping[str, str], name: str, *, deployed: bool) -> str:
    """Like `url`; empty if it is not set."""
    return url(environ, name, deployed=deployed) if given(environ, name) else ""


def folder(environ: Mapping[str, str], name: str) -> Path:
    """An absolute path, which need not exist."""
    path = Path(required(environ, name))
    if not path.is_absolute():
        raise Wrong(f"{name} must be an absolute path")
    return path
