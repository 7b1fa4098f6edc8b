"""Settings: what stops the start, and the one line that says why."""

from pathlib import Path

import pytest

from shared.config import Config, Emulators, Stripe, load
from shared.settings import SecretRef

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
        deployed=False,
        serves_http=True,
        serves_events=True,
        environment="local",
        public_url="http://127.0.0.1:8080",
        data_dir=Path("/data"),
        firestore_project="p",
        firestore_database="energent-metadata-local",
        secret_manager_project="p",
        storage_bucket="",
        public_bucket="",
        password_range_url="",
        trusted_hops=1,
        emulators=Emulators(),
        stripe=None,
        smtp=None,
        events_keys="file:/data/relay/jwks.json",
        events_issuer="http://127.0.0.1/local-relay",
        events_audience="http://127.0.0.1:9001",
        events_caller="relay@local.invalid",
        service="energent-auth",
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
        ({"BACKEND": "gcp"}, "FIRESTORE_PROJECT is not set"),
        ({"BACKEND": "gcp", "FIRESTORE_PROJECT": "p"}, "PUBLIC_BUCKET is not set"),
        ({"K_SERVICE": "energent-auth"}, "BACKEND must be gcp where K_SERVICE is set"),
        ({"ENVIRONMENT": "Production!"}, "ENVIRONMENT"),
        ({"FIRESTORE_EMULATOR_HOST": "127.0.0.1"}, "FIRESTORE_EMULATOR_HOST must be host:port"),
        ({"STORAGE_EMULATOR_HOST": "127.0.0.1:9"}, "STORAGE_EMULATOR_HOST must be http"),
        ({"DOORS": "all"}, "DOORS"),
        ({"PUBLIC_URL": "127.0.0.1:8080"}, "PUBLIC_URL"),
        ({"TRUSTED_HOPS": "two"}, "TRUSTED_HOPS"),
        ({"TRUSTED_HOPS": "-1"}, "TRUSTED_HOPS"),
        ({"TRUSTED_HOPS": "12"}, "TRUSTED_HOPS"),
        ({"TRUSTED_HOPS": "\u0663"}, "TRUSTED_HOPS"),
        ({"PASSWORD_RANGE_URL": "https://ranges.example/range"}, "PASSWORD_RANGE_URL"),
        ({"PUBLIC_URL": "http://127.0.0.1:8080/"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://127.0.0.1:8080/api"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://127.0.0.1:port"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://user@host"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "ftp://host"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://[::1"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://?x"}, "PUBLIC_URL"),
        ({"DATA_DIR": "data"}, "DATA_DIR"),
        ({"EVENTS_KEYS": "platform"}, "EVENTS_KEYS"),
        ({"EVENTS_KEYS": "file:jwks.json"}, "EVENTS_KEYS must be file:/path/jwks.json"),
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


DEPLOYED = {
    "K_SERVICE": "energent-billing-production",
    "K_REVISION": "r-7",
    "BACKEND": "gcp",
    "DOORS": "events",
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://api.energent.example.com",
    "FIRESTORE_PROJECT": "p",
    "EVENTS_KEYS": "platform",
    "EVENTS_ISSUER": "https://accounts.google.com",
    "EVENTS_AUDIENCE": "https://energent-billing-production.example",
    "EVENTS_CALLER": "trigger@p.example",
}


def test_a_deployed_function_keeps_nothing_on_disk_and_takes_the_defaults_of_its_environment() -> None:
    config = load(DEPLOYED, "billing")
    assert (config.deployed, config.backend, config.data_dir) == (True, "gcp", Path())
    assert config.firestore_database == "energent-metadata-production"
    assert config.secret_manager_project == "p"
    assert config.stripe is None
    assert config.trusted_hops == 2


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"DOORS": "both"}, "DOORS must be http or events"),
        ({"PUBLIC_URL": "http://api.energent.example.com"}, "PUBLIC_URL must be https"),
        ({"EVENTS_KEYS": "keys.json"}, "EVENTS_KEYS must be platform"),
        ({"EVENTS_KEYS": "file:/tmp/relay-jwks.json"}, "EVENTS_KEYS must be platform"),
        ({"EVENTS_ISSUER": "http://127.0.0.1:1"}, "EVENTS_ISSUER must be https://accounts.google.com"),
        (
            {"EVENTS_ISSUER": "https://accounts.google.com/"},
            "EVENTS_ISSUER must be https://accounts.google.com",
        ),
        ({"EVENTS_ISSUER": "accounts.google.com"}, "EVENTS_ISSUER must be https://accounts.google.com"),
        *(
            ({name: "http://127.0.0.1:9"}, f"{name} must not be set where K_SERVICE is")
            for name in (
                "FIRESTORE_EMULATOR_HOST",
                "PUBSUB_EMULATOR_HOST",
                "SECRET_MANAGER_EMULATOR_HOST",
                "STORAGE_EMULATOR_HOST",
                "STRIPE_API_BASE",
            )
        ),
    ],
)
def test_what_is_deployed_takes_no_stand_in_and_nothing_unsafe(
    changes: dict[str, str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        load(DEPLOYED | changes, "billing")
    assert capsys.readouterr().err.startswith(f"billing: {named}")


def test_stripe_is_named_by_secrets_with_the_numbers_of_their_versions() -> None:
    settings = {"STRIPE_API_KEY_SECRET": "stripe-key/3", "STRIPE_WEBHOOK_SECRETS": "hook/1, hook/2"}
    wanted = Stripe(SecretRef("stripe-key", 3), (SecretRef("hook", 1), SecretRef("hook", 2)), "")
    assert load(DEPLOYED | settings, "billing").stripe == wanted
    assert load(DEPLOYED | settings | {"DATA_DIR": "/d"}, "tenants").stripe is None


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"STRIPE_API_KEY_SECRET": "key/3"}, "STRIPE_WEBHOOK_SECRETS is not set"),
        ({"STRIPE_WEBHOOK_SECRETS": "hook/3"}, "STRIPE_API_KEY_SECRET is not set"),
        (
            {"STRIPE_API_KEY_SECRET": "key/latest", "STRIPE_WEBHOOK_SECRETS": "hook/1"},
            "STRIPE_API_KEY_SECRET",
        ),
        ({"STRIPE_API_KEY_SECRET": "key/1", "STRIPE_WEBHOOK_SECRETS": "hook/0"}, "STRIPE_WEBHOOK_SECRETS"),
        ({"STRIPE_API_KEY_SECRET": "key/1", "STRIPE_WEBHOOK_SECRETS": "hook/1,"}, "STRIPE_WEBHOOK_SECRETS"),
        (
            {"STRIPE_API_KEY_SECRET": "sk_live_secret", "STRIPE_WEBHOOK_SECRETS": "hook/1"},
            "STRIPE_API_KEY_SECRET",
        ),
    ],
)
def test_a_secret_of_stripe_that_is_none_stops_the_start_and_is_not_repeated(
    settings: dict[str, str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        load(DEPLOYED | settings, "billing")
    said = capsys.readouterr().err
    assert said.startswith(f"billing: {named}")
    assert "sk_live_secret" not in said
