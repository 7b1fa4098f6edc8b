"""Which servers make the suite, and the commands and settings they are started with."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from local import broker, emulators
from local.backend import PUBLIC_BUCKET, Backend
from local.gateway import JWKS_PATH, Gateway, command
from local.layout import Layout
from local.ports import HOST
from local.processes import Server
from shared.config import Emulators

STAND_INS = ("firestore", "pubsub", "secrets", "storage")
"""For Google's own services, where the backend is `gcp`."""
ENTRY_POINTS = {"auth": "auth_handler", "tenants": "tenant_handler", "billing": "billing_handler"}
CONSUMERS = ("relay", "cluster")
"""They take messages from the topics, and listen to say how many are left."""
EVENTS_ISSUER = "http://127.0.0.1/local-relay"
EVENTS_CALLER = "relay@local.invalid"
REPOSITORY = Path(__file__).resolve().parent.parent


class Options(msgspec.Struct, frozen=True):
    """What the command line decides. `ports`: one for each of `names(backend)`."""

    layout: Layout
    ports: dict[str, int]
    backend: Literal["embedded", "gcp"] = "embedded"
    jwks_cache_seconds: float = 300.0
    retry_base_seconds: float = 0.5
    tick_seconds: float = 3600.0
    cluster_delay_seconds: float = 0.5


def names(backend: str) -> tuple[str, ...]:
    """The servers that listen."""
    return ("gateway", *ENTRY_POINTS, *CONSUMERS, "stripe", *(STAND_INS if backend == "gcp" else ()))


def address(options: Options, server: str) -> str:
    return f"{HOST}:{options.ports[server]}"


def base_url(options: Options, server: str) -> str:
    return f"http://{address(options, server)}"


def backend(options: Options) -> Backend:
    """What the functions and the tools around them keep things in."""
    if options.backend == "embedded":
        return Backend("embedded", str(options.layout.root))
    stand_ins = Emulators(
        firestore=address(options, "firestore"),
        pubsub=address(options, "pubsub"),
        secret_manager=address(options, "secrets"),
        storage=base_url(options, "storage"),
    )
    return Backend("gcp", str(options.layout.root), stand_ins)


def stage_command(options: Options) -> list[str]:
    """Fills the build folder with exactly what is deployed, compiled."""
    return [sys.executable, "-m", "deploy.stage", "--out", str(options.layout.build), "--compile"]


def function(options: Options, name: str, more: Mapping[str, str]) -> Server:
    """One function from its staged folder, with its own settings and `more`, and nothing of the caller's
    environment.
    """
    url = base_url(options, name)
    settings = {
        **backend(options).settings(),
        "DOORS": "both",
        "PUBLIC_URL": base_url(options, "gateway"),
        "EVENTS_KEYS": f"file:{options.layout.relay_keys}",
        "EVENTS_ISSUER": EVENTS_ISSUER,
        "EVENTS_AUDIENCE": url,
        "EVENTS_CALLER": EVENTS_CALLER,
        "WORKERS": "1",
        "GRPC_VERBOSITY": "ERROR",
        **more,
    }
    framework = Path(sys.executable).parent / "functions-framework"
    target = ["--source", "main.py", "--target", ENTRY_POINTS[name]]
    return Server(
        name=name,
        command=(str(framework), *target, "--host", HOST, "--port", str(options.ports[name])),
        cwd=options.layout.build / name,
        env={**_environment(options, name), **settings},
        log=options.layout.log(name),
        url=url,
        ready_url=f"{url}/health",
    )


def broker_options(options: Options) -> broker.Options:
    """Where the messages are."""
    return broker.Options(options.layout.root, pubsub=backend(options).emulators.pubsub)


def relay(options: Options) -> Server:
    """Delivers from the bus to the functions' event doors."""
    doors = [f"--{name}={base_url(options, name)}" for name in ENTRY_POINTS]
    identity = [f"--issuer={EVENTS_ISSUER}", f"--email={EVENTS_CALLER}"]
    pace = [
        f"--retry-base-seconds={options.retry_base_seconds}",
        f"--tick-seconds={options.tick_seconds}",
    ]
    return _consumer(options, "relay", *identity, *pace, *doors)


def cluster(options: Options) -> Server:
    """Answers what tenants asks of the cluster."""
    return _consumer(options, "cluster", f"--delay-seconds={options.cluster_delay_seconds}")


def stripe(options: Options) -> Server:
    """Collects no money, and tells billing of it through the gateway."""
    url = base_url(options, "stripe")
    server = _module(
        options,
        "stripe",
        f"--port={options.ports['stripe']}",
        f"--secrets-file={options.layout.stripe_secrets}",
        f"--webhook-url={base_url(options, 'gateway')}/v1/webhooks/stripe",
        *(() if options.backend == "gcp" else (f"--data-dir={options.layout.stripe}",)),
    )
    return msgspec.structs.replace(server, url=url, ready_url=f"{url}/health")


def gateway(options: Options) -> Server:
    url = base_url(options, "gateway")
    return Server(
        name="gateway",
        command=tuple(command(options.layout.envoy)),
        cwd=options.layout.root,
        env=_environment(options, "gateway"),
        log=options.layout.log("gateway"),
        url=url,
        ready_url=f"{url}/health",
    )


def gateway_settings(options: Options) -> Gateway:
    return Gateway(
        backends={name: base_url(options, name) for name in ENTRY_POINTS},
        jwks_url=base_url(options, "auth") + JWKS_PATH,
        port=options.ports["gateway"],
        jwks_cache_seconds=options.jwks_cache_seconds,
        access_log="/dev/stdout",
    )


def stand_ins(options: Options) -> list[Server]:
    """What is there in place of Google's services; all of it keeps its data in memory. Raises `Missing`."""
    if options.backend == "embedded":
        return []
    google = emulators.find()
    storage = Path(sys.executable).parent / "gcp-storage-emulator"
    ports = options.ports
    commands = {
        "firestore": google.firestore(ports["firestore"]),
        "pubsub": google.pubsub(ports["pubsub"]),
        "secrets": (sys.executable, "-m", "local.google.secret_manager", f"--port={ports['secrets']}"),
        "storage": (
            *(str(storage), "start", f"--host={HOST}", f"--port={ports['storage']}", "--in-memory"),
            f"--default-bucket={PUBLIC_BUCKET}",
        ),
    }
    return [
        Server(
            name=name,
            command=commands[name],
            cwd=REPOSITORY,
            env={**_environment(options, name), **emulators.environment()},
            log=options.layout.log(name),
            url=base_url(options, name),
            ready_url=f"tcp://{address(options, name)}"
            if name == "secrets"
            else f"{base_url(options, name)}/",
            irreplaceable=True,
        )
        for name in STAND_INS
    ]


def _consumer(options: Options, name: str, *arguments: str) -> Server:
    where = [f"--data-dir={options.layout.root}", f"--status-port={options.ports[name]}"]
    if options.backend == "gcp":
        where.append(f"--pubsub={address(options, 'pubsub')}")
    return msgspec.structs.replace(_module(options, name, *where, *arguments), url=base_url(options, name))


def _module(options: Options, name: str, *arguments: str) -> Server:
    return Server(
        name=name,
        command=(sys.executable, "-m", f"local.{name}", *arguments),
        cwd=REPOSITORY,
        env=_environment(options, name),
        log=options.layout.log(name),
    )


def _environment(options: Options, server: str) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(options.layout.home(server))}
