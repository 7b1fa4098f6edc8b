"""The settings of one function process, read once from its environment."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NoReturn
from urllib.parse import urlsplit

import msgspec

Backend = Literal["embedded", "gcp"]
Function = Literal["auth", "billing", "tenants"]

PLATFORM_KEYS = "platform"
"""`events_keys`: Cloud Run has checked the signature and removed it."""
_FILE = "file:"


class Config(msgspec.Struct, frozen=True):
    """`public_url` is issuer and audience of access tokens. The `events_` settings name the one who may push
    events: issuer, audience and e-mail of its identity token, and `platform` or `file:` and the path of a
    JWKS. Empty: not set, and not needed by what this process serves.
    """

    function: Function
    backend: Backend
    serves_http: bool
    serves_events: bool
    environment: str
    public_url: str
    data_dir: Path
    firestore_project: str
    secret_manager_project: str
    storage_bucket: str
    events_keys: str
    events_issuer: str
    events_audience: str
    events_caller: str
    version: str


class _Wrong(Exception):
    """A setting that is missing or malformed: `NAME why`."""


def load(environ: Mapping[str, str], function: Function) -> Config:
    """Ends the process with status 1 and one line on stderr that names the setting where one is wrong."""
    try:
        return _read(environ, function)
    except _Wrong as wrong:
        _stop(f"{function}: {wrong}")


def _read(environ: Mapping[str, str], function: Function) -> Config:
    backend = _backend(environ)
    serves_http, serves_events = _doors(environ, backend)
    return Config(
        function=function,
        backend=backend,
        serves_http=serves_http,
        serves_events=serves_events,
        environment=_required(environ, "ENVIRONMENT"),
        public_url=_url(environ, "PUBLIC_URL", backend),
        data_dir=_folder(environ, "DATA_DIR") if backend == "embedded" else Path(),
        firestore_project=_given(environ, "FIRESTORE_PROJECT", needed=backend == "gcp"),
        secret_manager_project=_given(environ, "SECRET_MANAGER_PROJECT", needed=backend == "gcp"),
        storage_bucket=_given(environ, "STORAGE_BUCKET", needed=backend == "gcp" and function == "billing"),
        events_keys=_events_keys(environ, backend) if serves_events else "",
        events_issuer=_given(environ, "EVENTS_ISSUER", needed=serves_events),
        events_audience=_given(environ, "EVENTS_AUDIENCE", needed=serves_events),
        events_caller=_given(environ, "EVENTS_CALLER", needed=serves_events),
        version=environ.get("K_REVISION") or "local",
    )


def _backend(environ: Mapping[str, str]) -> Backend:
    backend = _required(environ, "BACKEND")
    if backend not in ("embedded", "gcp"):
        raise _Wrong("BACKEND must be embedded or gcp")
    if environ.get("K_SERVICE") and backend != "gcp":
        raise _Wrong("BACKEND must be gcp where K_SERVICE is set: what is deployed keeps nothing on disk")
    if backend == "gcp":
        raise _Wrong("BACKEND gcp is not in this build")
    return "embedded"


def _doors(environ: Mapping[str, str], backend: Backend) -> tuple[bool, bool]:
    doors = _required(environ, "DOORS")
    if doors not in ("http", "events", "both"):
        raise _Wrong("DOORS must be http, events or both")
    if doors == "both" and backend == "gcp":
        raise _Wrong("DOORS must be http or events: a deployed function serves one")
    return doors != "events", doors != "http"


def _events_keys(environ: Mapping[str, str], backend: Backend) -> str:
    keys = _required(environ, "EVENTS_KEYS")
    if keys == PLATFORM_KEYS:
        if backend != "gcp":
            raise _Wrong("EVENTS_KEYS must be file:/path/jwks.json: no platform checks signatures here")
    elif not keys.startswith(_FILE) or not Path(keys.removeprefix(_FILE)).is_absolute():
        raise _Wrong("EVENTS_KEYS must be platform or file:/path/jwks.json")
    return keys


def _url(environ: Mapping[str, str], name: str, backend: Backend) -> str:
    """An origin: tokens carry it letter for letter, so it has one spelling."""
    url = _required(environ, name)
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.username is None and f"{parts.scheme}://{parts.netloc}" == url
        _ = parts.port  # raises ValueError
    except ValueError:
        good = False
    schemes = ("https",) if backend == "gcp" else ("http", "https")
    if not good or not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise _Wrong(f"{name} must be {' or '.join(schemes)}://host[:port] without path or slash at the end")
    return url


def _folder(environ: Mapping[str, str], name: str) -> Path:
    folder = Path(_required(environ, name))
    if not folder.is_absolute():
        raise _Wrong(f"{name} must be an absolute path")
    return folder


def _given(environ: Mapping[str, str], name: str, *, needed: bool) -> str:
    return _required(environ, name) if needed else environ.get(name, "").strip()


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise _Wrong(f"{name} is not set")
    if not value.isprintable():
        raise _Wrong(f"{name} holds a character that cannot be printed")
    return value


def _stop(line: str) -> NoReturn:
    sys.stderr.write(line + "\n")
    raise SystemExit(1)
