"""Settings: what stops the start, and the one line that says why."""

from pathlib import Path

import pytest

from shared.config import Config, load

GOOD = {
    "BACKEND": "embedded",
    "DOORS": "both",
    "ENVIRONMENT": "local",
    "PUBLIC_URL": "http://127.0.0.1:8080",
    "DATA_DIR": "/data",
    "EVENTS_KEYS": "file:/data/relay/jwks.json",
    "EVENTS_ISSUER": "http://127.0.0.1/local-relay",
    "EVENTS_AUDIENCE": "http://127.0.0.1:9001",
    "EVENTS_CALLER": "relay@local.invalid",
}


def test_a_whole_environment_becomes_a_config() -> None:
    assert load(GOOD | {"FIRESTORE_PROJECT": "p", "K_REVISION": "r-1"}, "auth") == Config(
        function="auth",
        backend="embedded",
        serves_http=True,
        serves_events=True,
        environment="local",
        public_url="http://127.0.0.1:8080",
        data_dir=Path("/data"),
        firestore_project="p",
        secret_manager_project="",
        storage_bucket="",
        events_keys="file:/data/relay/jwks.json",
        events_issuer="http://127.0.0.1/local-relay",
        events_audience="http://127.0.0.1:9001",
        events_caller="relay@local.invalid",
        version="r-1",
    )


@pytest.mark.parametrize(
    ("doors", "http", "events"), [("http", True, False), ("events", False, True), ("both", True, True)]
)
def test_doors_say_what_is_served(doors: str, http: bool, events: bool) -> None:
    config = load(GOOD | {"DOORS": doors}, "billing")
    assert (config.serves_http, config.serves_events) == (http, events)


def test_the_http_door_alone_needs_nothing_of_events() -> None:
    environ = {name: value for name, value in GOOD.items() if not name.startswith("EVENTS_")} | {
        "DOORS": "http"
    }
    assert load(environ, "auth").version == "local"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        *(({name: None}, name) for name in GOOD),
        *(({name: " "}, name) for name in GOOD),
        ({"BACKEND": "Embedded"}, "BACKEND"),
        ({"BACKEND": "gcp"}, "BACKEND gcp is not in this build"),
        ({"K_SERVICE": "energent-auth"}, "BACKEND must be gcp where K_SERVICE is set"),
        ({"K_SERVICE": "energent-auth", "BACKEND": "gcp"}, "BACKEND gcp is not in this build"),
        ({"DOORS": "all"}, "DOORS"),
        ({"PUBLIC_URL": "127.0.0.1:8080"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://127.0.0.1:8080/"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://127.0.0.1:8080/api"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://127.0.0.1:port"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://user@host"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "ftp://host"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://[::1"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://?x"}, "PUBLIC_URL"),
        ({"DATA_DIR": "data"}, "DATA_DIR"),
        ({"EVENTS_KEYS": "platform"}, "EVENTS_KEYS"),
        ({"EVENTS_KEYS": "file:jwks.json"}, "EVENTS_KEYS"),
        ({"EVENTS_KEYS": "/data/jwks.json"}, "EVENTS_KEYS"),
        ({"ENVIRONMENT": "a\nb"}, "ENVIRONMENT"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(
    changes: dict[str, str | None], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {name: value for name, value in (GOOD | changes).items() if value is not None}
    with pytest.raises(SystemExit) as stopped:
        load(environ, "auth")
    assert stopped.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"auth: {named}")
