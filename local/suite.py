"""Which servers make the suite, and the commands and settings they are started with."""

import os
import sys
from pathlib import Path

import msgspec

from local.gateway import JWKS_PATH, Gateway, command
from local.layout import Layout
from local.ports import HOST
from local.processes import Server

ENTRY_POINTS = {"auth": "auth_handler", "tenants": "tenant_handler", "billing": "billing_handler"}
EVENTS_ISSUER = "http://127.0.0.1/local-relay"
EVENTS_CALLER = "relay@local.invalid"
REPOSITORY = Path(__file__).resolve().parent.parent


class Options(msgspec.Struct, frozen=True):
    """What the command line decides. `ports`: one for each function and one for the `gateway`."""

    layout: Layout
    ports: dict[str, int]
    jwks_cache_seconds: float = 300.0
    retry_base_seconds: float = 0.5
    tick_seconds: float = 3600.0
    cluster_delay_seconds: float = 0.5


def base_url(options: Options, server: str) -> str:
    return f"http://{HOST}:{options.ports[server]}"


def stage_command(options: Options) -> list[str]:
    """Fills the build folder with exactly what is deployed, compiled."""
    return [sys.executable, "-m", "deploy.stage", "--out", str(options.layout.build), "--compile"]


def function(options: Options, name: str) -> Server:
    """One function from its staged folder, with its own settings and nothing of the caller's environment."""
    url = base_url(options, name)
    settings = {
        "BACKEND": "embedded",
        "DOORS": "both",
        "ENVIRONMENT": "local",
        "PUBLIC_URL": base_url(options, "gateway"),
        "DATA_DIR": str(options.layout.root),
        "EVENTS_KEYS": f"file:{options.layout.relay_keys}",
        "EVENTS_ISSUER": EVENTS_ISSUER,
        "EVENTS_AUDIENCE": url,
        "EVENTS_CALLER": EVENTS_CALLER,
        "WORKERS": "1",
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


def relay(options: Options) -> Server:
    """Delivers from the bus to the functions' event doors."""
    doors = [f"--{name}={base_url(options, name)}" for name in ENTRY_POINTS]
    identity = [f"--issuer={EVENTS_ISSUER}", f"--email={EVENTS_CALLER}"]
    pace = [
        f"--retry-base-seconds={options.retry_base_seconds}",
        f"--tick-seconds={options.tick_seconds}",
    ]
    return _module(options, "relay", f"--data-dir={options.layout.root}", *identity, *pace, *doors)


def cluster(options: Options) -> Server:
    """Answers what tenants asks of the cluster."""
    delay = f"--delay-seconds={options.cluster_delay_seconds}"
    return _module(options, "cluster", f"--data-dir={options.layout.root}", delay)


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
