"""What each server is started with."""

import os
from pathlib import Path

import msgspec
import pytest

from local import relay, suite
from local.layout import Layout
from local.suite import Options
from shared.config import Emulators, load

OPTIONS = Options(
    layout=Layout(Path("/data")),
    ports={"gateway": 8080, "auth": 1, "billing": 2, "tenants": 3, "stripe": 4, "relay": 5, "cluster": 6},
    retry_base_seconds=0.1,
    tick_seconds=0,
)


def test_a_function_gets_its_settings_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "somebody's")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    server = suite.function(OPTIONS, "billing", {"STRIPE_API_BASE": "http://127.0.0.1:4"})
    assert server.env == {
        "PATH": os.environ["PATH"],
        "HOME": "/data/home/billing",
        "BACKEND": "embedded",
        "DOORS": "both",
        "ENVIRONMENT": "local",
        "PUBLIC_URL": "http://127.0.0.1:8080",
        "DATA_DIR": "/data",
        "FIRESTORE_PROJECT": "energent-local",
        "PUBLIC_BUCKET": "energent-local-public",
        "STORAGE_BUCKET": "energent-local-storage",
        "STRIPE_API_BASE": "http://127.0.0.1:4",
        "EVENTS_KEYS": "file:/data/relay/jwks.json",
        "EVENTS_ISSUER": "http://127.0.0.1/local-relay",
        "EVENTS_AUDIENCE": "http://127.0.0.1:2",
        "EVENTS_CALLER": "relay@local.invalid",
        "WORKERS": "1",
        "GRPC_VERBOSITY": "ERROR",
    }
    assert server.cwd == Path("/data/build/billing")
    assert server.command[1:] == (
        *("--source", "main.py", "--target", "billing_handler"),
        *("--host", "127.0.0.1", "--port", "2"),
    )


def test_on_the_gcp_backend_a_function_is_sent_to_the_stand_ins_for_google() -> None:
    ports = dict(zip(suite.names("gcp"), range(1, 100), strict=False))
    options = msgspec.structs.replace(OPTIONS, backend="gcp", ports=ports)
    settings = suite.function(options, "auth", {}).env
    config = load(settings, "auth")
    assert (config.backend, config.deployed, config.firestore_database) == (
        "gcp",
        False,
        "energent-metadata-local",
    )
    assert config.emulators == Emulators(
        firestore=f"127.0.0.1:{ports['firestore']}",
        pubsub=f"127.0.0.1:{ports['pubsub']}",
        secret_manager=f"127.0.0.1:{ports['secrets']}",
        storage=f"http://127.0.0.1:{ports['storage']}",
    )


def test_no_two_servers_share_a_home() -> None:
    servers = [suite.function(OPTIONS, name, {}) for name in suite.ENTRY_POINTS]
    servers += [suite.gateway(OPTIONS), suite.relay(OPTIONS), suite.cluster(OPTIONS), suite.stripe(OPTIONS)]
    assert len({server.env["HOME"] for server in servers}) == len(servers) == 7


def test_the_relay_signs_as_the_caller_that_the_functions_expect() -> None:
    chosen = relay.options(suite.relay(OPTIONS).command[3:])
    expected = suite.function(OPTIONS, "auth", {}).env
    assert (chosen.issuer, chosen.email) == (expected["EVENTS_ISSUER"], expected["EVENTS_CALLER"])
    assert chosen.functions == {
        "auth": "http://127.0.0.1:1",
        "billing": "http://127.0.0.1:2",
        "tenants": "http://127.0.0.1:3",
    }
    assert (chosen.broker.retry_base_seconds, chosen.tick_seconds) == (0.1, 0)


def test_the_gateway_is_configured_for_the_functions_as_they_are_started() -> None:
    settings = suite.gateway_settings(OPTIONS)
    assert settings.backends == {name: suite.function(OPTIONS, name, {}).url for name in suite.ENTRY_POINTS}
    assert settings.jwks_url == "http://127.0.0.1:1/.well-known/jwks.json"
