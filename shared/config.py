"""The settings of one function process, read once from its environment."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NoReturn

import msgspec

from shared import settings, smtp_settings
from shared.settings import SecretRef
from shared.smtp_settings import Smtp

Backend = Literal["embedded", "gcp"]
Function = Literal["auth", "billing", "tenants"]

PLATFORM_KEYS = "platform"
"""A value of `events_keys`: Cloud Run has verified the token's signature and removed it."""
GOOGLE = "https://accounts.google.com"
"""The `events_issuer` of a deployed function."""
_HOPS_DEPLOYED = 2
"""Two proxies append to `X-Forwarded-For`: Google's front end before API Gateway (the client's address), and
the one before Cloud Run (the gateway's address).
"""
_FILE = "file:"
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,29}")
_HOST_AND_PORT = re.compile(r"[A-Za-z0-9.-]+:[0-9]{1,5}")


class Stripe(msgspec.Struct, frozen=True):
    """Each of `webhook_secrets` is accepted, so that they can be rotated. `api_base` is empty for Stripe's
    own API.
    """

    api_key: SecretRef
    webhook_secrets: tuple[SecretRef, ...]
    api_base: str


class Emulators(msgspec.Struct, frozen=True):
    """`host:port` of each emulator, a URL for `storage`; empty for Google's own service."""

    firestore: str = ""
    pubsub: str = ""
    secret_manager: str = ""
    storage: str = ""


class Config(msgspec.Struct, frozen=True):
    """`public_url` is issuer and audience of access tokens. The `events_` settings describe who may push
    events: issuer, audience and e-mail of the identity token, and its keys (`platform`, or `file:` and the
    path of a JWKS). `public_bucket` is where auth publishes its JWKS, `password_range_url` the service asked
    for breached passwords, `trusted_hops` the position of the client in `X-Forwarded-For`, from its end. An
    empty value is not set, and not needed here. Without `stripe` no payment is collected, without `smtp` no
    mail is sent.
    """

    function: Function
    backend: Backend
    deployed: bool
    serves_http: bool
    serves_events: bool
    environment: str
    public_url: str
    data_dir: Path
    firestore_project: str
    firestore_database: str
    secret_manager_project: str
    storage_bucket: str
    public_bucket: str
    password_range_url: str
    trusted_hops: int
    emulators: Emulators
    stripe: Stripe | None
    smtp: Smtp | None
    events_keys: str
    events_issuer: str
    events_audience: str
    events_caller: str
    service: str
    version: str


def load(environ: Mapping[str, str], function: Function) -> Config:
    """The settings. If one is invalid, ends the process with status 1 and a line on stderr that names it."""
    try:
        return _read(environ, function)
    except settings.Wrong as wrong:
        _stop(f"{function}: {wrong}")


def _read(environ: Mapping[str, str], function: Function) -> Config:
    deployed = bool(environ.get("K_SERVICE"))
    backend = _backend(environ, deployed=deployed)
    serves_http, serves_events = _doors(environ, deployed=deployed)
    google = backend == "gcp"
    environment = settings.required(environ, "ENVIRONMENT")
    if not _ENVIRONMENT.fullmatch(environment):
        raise settings.Wrong("ENVIRONMENT must be a short name in lower case: it becomes part of others")
    project = settings.given(environ, "FIRESTORE_PROJECT", needed=google)
    return Config(
        function=function,
        backend=backend,
        deployed=deployed,
        serves_http=serves_http,
        serves_events=serves_events,
        environment=environment,
        public_url=settings.url(environ, "PUBLIC_URL", deployed=deployed),
        data_dir=Path() if deployed else settings.folder(environ, "DATA_DIR"),
        firestore_project=project,
        firestore_database=settings.given(environ, "FIRESTORE_DATABASE")
        or f"energent-metadata-{environment}",
        secret_manager_project=settings.given(environ, "SECRET_MANAGER_PROJECT") or project,
        storage_bucket=settings.given(environ, "STORAGE_BUCKET"),
        public_bucket=settings.given(environ, "PUBLIC_BUCKET", needed=google and function == "auth"),
        password_range_url=settings.optional_url(environ, "PASSWORD_RANGE_URL", deployed=deployed),
        trusted_hops=settings.whole_number(environ, "TRUSTED_HOPS", _HOPS_DEPLOYED if deployed else 1),
        emulators=_emulators(environ, deployed=deployed),
        stripe=_stripe(environ, deployed=deployed) if function == "billing" else None,
        smtp=smtp_settings.read(environ) if function == "auth" and serves_events else None,
        events_keys=_events_keys(environ, deployed=deployed) if serves_events else "",
        events_issuer=_events_issuer(environ, deployed=deployed) if serves_events else "",
        events_audience=settings.given(environ, "EVENTS_AUDIENCE", needed=serves_events),
        events_caller=settings.given(environ, "EVENTS_CALLER", needed=serves_events),
        service=environ.get("K_SERVICE") or f"energent-{function}",
        version=environ.get("K_REVISION") or "local",
    )


def _backend(environ: Mapping[str, str], *, deployed: bool) -> Backend:
    backend = settings.required(environ, "BACKEND")
    if backend not in ("embedded", "gcp"):
        raise settings.Wrong("BACKEND must be embedded or gcp")
    if deployed and backend != "gcp":
        raise settings.Wrong(
            "BACKEND must be gcp where K_SERVICE is set: what is deployed keeps nothing on disk"
        )
    return "gcp" if backend == "gcp" else "embedded"


def _doors(environ: Mapping[str, str], *, deployed: bool) -> tuple[bool, bool]:
    doors = settings.required(environ, "DOORS")
    if doors not in ("http", "events", "both"):
        raise settings.Wrong("DOORS must be http, events or both")
    if doors == "both" and deployed:
        raise settings.Wrong("DOORS must be http or events: a deployed function serves one")
    return doors != "events", doors != "http"


def _emulators(environ: Mapping[str, str], *, deployed: bool) -> Emulators:
    """The emulators' settings. A deployed function refuses them, since an emulator checks no permissions."""
    storage = _local(environ, "STORAGE_EMULATOR_HOST", deployed=deployed)
    return Emulators(
        firestore=_host(environ, "FIRESTORE_EMULATOR_HOST", deployed=deployed),
        pubsub=_host(environ, "PUBSUB_EMULATOR_HOST", deployed=deployed),
        secret_manager=_host(environ, "SECRET_MANAGER_EMULATOR_HOST", deployed=deployed),
        storage=settings.url(environ, "STORAGE_EMULATOR_HOST", deployed=False) if storage else "",
    )


def _host(environ: Mapping[str, str], name: str, *, deployed: bool) -> str:
    host = _local(environ, name, deployed=deployed)
    if host and not _HOST_AND_PORT.fullmatch(host):
        raise settings.Wrong(f"{name} must be host:port")
    return host


def _local(environ: Mapping[str, str], name: str, *, deployed: bool) -> str:
    value = settings.given(environ, name)
    if value and deployed:
        raise settings.Wrong(f"{name} must not be set where K_SERVICE is")
    return value


def _stripe(environ: Mapping[str, str], *, deployed: bool) -> Stripe | None:
    base = _local(environ, "STRIPE_API_BASE", deployed=deployed)
    api_key = settings.given(environ, "STRIPE_API_KEY_SECRET")
    webhooks = settings.given(environ, "STRIPE_WEBHOOK_SECRETS")
    if not api_key and not webhooks:
        return None
    for name, value in (("STRIPE_API_KEY_SECRET", api_key), ("STRIPE_WEBHOOK_SECRETS", webhooks)):
        if not value:
            raise settings.Wrong(f"{name} is not set; Stripe needs both of its secrets")
    return Stripe(
        api_key=settings.secret("STRIPE_API_KEY_SECRET", api_key),
        webhook_secrets=tuple(
            settings.secret("STRIPE_WEBHOOK_SECRETS", one.strip()) for one in webhooks.split(",")
        ),
        api_base=settings.url(environ, "STRIPE_API_BASE", deployed=False) if base else "",
    )


def _events_keys(environ: Mapping[str, str], *, deployed: bool) -> str:
    keys = settings.required(environ, "EVENTS_KEYS")
    if deployed and keys != PLATFORM_KEYS:
        raise settings.Wrong(
            "EVENTS_KEYS must be platform where K_SERVICE is set: Cloud Run checks signatures"
        )
    if not deployed and not (keys.startswith(_FILE) and Path(keys.removeprefix(_FILE)).is_absolute()):
        raise settings.Wrong("EVENTS_KEYS must be file:/path/jwks.json: no platform checks signatures here")
    return keys


def _events_issuer(environ: Mapping[str, str], *, deployed: bool) -> str:
    issuer = settings.required(environ, "EVENTS_ISSUER")
    if deployed and issuer != GOOGLE:
        raise settings.Wrong(f"EVENTS_ISSUER must be {GOOGLE} where K_SERVICE is set")
    return issuer


def _stop(line: str) -> NoReturn:
    sys.stderr.write(line + "\n")
    raise SystemExit(1)
