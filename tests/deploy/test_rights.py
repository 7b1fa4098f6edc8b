"""What each service is told, what its account may do, and who may call it."""

import json
from pathlib import Path

import pytest

from functions.auth.keyring.key_rings import PACES, SECRETS
from shared import config
from shared.config import Function
from tests.deploy.rehearsals import (
    EVENT_SERVICES,
    HTTP_SERVICES,
    PROJECT,
    SERVICES,
    Rehearsed,
    account,
    address,
    commands,
    deployed,
    full,
    settings,
    steps,
)

FUNCTIONS: dict[str, Function] = {
    "auth": "auth",
    "auth-events": "auth",
    "billing": "billing",
    "billing-api": "billing",
    "tenants": "tenants",
    "tenants-events": "tenants",
}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_with_the_settings_that_it_is_given(rehearsed: Rehearsed, service: str) -> None:
    given = {**settings(rehearsed.again, service), "K_SERVICE": full(service), "K_REVISION": "1"}
    assert given["GRPC_VERBOSITY"] == "ERROR"
    read = config.load(given, FUNCTIONS[service])
    assert (read.deployed, read.backend, read.environment) == (True, "gcp", "production")
    assert (read.serves_http, read.serves_events) == (service in HTTP_SERVICES, service in EVENT_SERVICES)
    assert (read.firestore_project, read.secret_manager_project) == (PROJECT, PROJECT)
    (database,) = commands(rehearsed.setup, "firestore", "databases", "create")
    assert read.firestore_database == database["--database"] == "energent-metadata-production"
    assert read.stripe is None
    if read.serves_events:
        assert (read.events_issuer, read.events_audience) == ("https://accounts.google.com", address(service))
        assert (read.events_keys, read.events_caller) == ("platform", account("events"))


@pytest.mark.parametrize("service", ["billing", "billing-api"])
def test_stripes_secrets_reach_billing_by_version(rehearsed: Rehearsed, service: str, tmp_path: Path) -> None:
    pair = "stripe-webhook-secret/1,stripe-webhook-secret/2"
    step = steps(f"deploy-{service}", STRIPE_API_KEY_SECRET="stripe-api-key/3", STRIPE_WEBHOOK_SECRETS=pair)
    given = settings(rehearsed.copied(tmp_path).pipeline(step), service)
    stripe = config.load({**given, "K_SERVICE": full(service)}, "billing").stripe
    assert stripe is not None
    assert (stripe.api_key.name, stripe.api_key.version) == ("stripe-api-key", 3)
    assert [secret.version for secret in stripe.webhook_secrets] == [1, 2]
    made = {one["name"] for one in commands(rehearsed.setup, "secrets", "create")}
    assert {f"energent-production-{one.name}" for one in (stripe.api_key, *stripe.webhook_secrets)} < made


def test_the_buckets_that_the_settings_name_are_made(rehearsed: Rehearsed) -> None:
    made = {
        one["name"].removeprefix("gs://") for one in commands(rehearsed.setup, "storage", "buckets", "create")
    }
    auth, billing = (settings(rehearsed.again, service) for service in ("auth", "billing"))
    assert {auth["PUBLIC_BUCKET"], billing["STORAGE_BUCKET"]} < made


def test_the_bucket_of_documents_is_as_the_guide_has_it(rehearsed: Rehearsed) -> None:
    url = f"gs://{settings(rehearsed.again, 'billing')['STORAGE_BUCKET']}"
    (made,) = [one for one in commands(rehearsed.setup, "storage", "buckets", "create") if one["name"] == url]
    assert made["--retention-period"] == "2592000s"
    assert made["--default-encryption-key"].endswith("/cryptoKeys/storage")
    assert {"--uniform-bucket-level-access", "--public-access-prevention", "--lifecycle-file"} < set(made)
    assert {"--versioning"} < set(commands(rehearsed.setup, "storage", "buckets", "update")[0])


def test_the_database_can_be_restored_and_is_not_deleted_by_mistake(rehearsed: Rehearsed) -> None:
    for run in (rehearsed.setup, rehearsed.setup_again):
        (updated,) = commands(run, "firestore", "databases", "update")
        assert {"--enable-pitr", "--delete-protection"} < set(updated)


def test_auth_has_its_secrets_and_the_rights_to_them(rehearsed: Rehearsed) -> None:
    names = {f"energent-production-{name}" for name in SECRETS.values()}
    assert names < {one["name"] for one in commands(rehearsed.setup, "secrets", "create")}
    rights = {
        (one["name"], one["--role"].removeprefix("roles/secretmanager."))
        for one in commands(rehearsed.setup, "secrets", "add-iam-policy-binding")
        if one["--member"] == f"serviceAccount:{account('auth')}"
    }
    own = {(name, role) for name in names for role in ("secretAccessor", "secretVersionManager")}
    assert rights == own | {("energent-production-smtp-password", "secretAccessor")}
    updates = commands(rehearsed.setup, "secrets", "update")
    told = {one["name"]: one["--add-topics"] for one in updates if "--add-topics" in one}
    assert told == dict.fromkeys(names, f"projects/{PROJECT}/topics/auth-events")


def test_secret_manager_asks_for_rotations_at_the_pace_of_the_rings(rehearsed: Rehearsed) -> None:
    """Just ahead of auth, which begins one itself where that is not heard. A second run puts nothing off."""
    scheduled = [
        one for one in commands(rehearsed.setup, "secrets", "update") if "--next-rotation-time" in one
    ]
    periods = {one["name"]: one["--rotation-period"] for one in scheduled}
    assert periods == {
        f"energent-production-{secret}": f"{int(PACES[ring].active.total_seconds())}s"
        for ring, secret in SECRETS.items()
    }
    again = commands(rehearsed.setup_again, "secrets", "update")
    assert [one for one in again if "--next-rotation-time" in one] == []


@pytest.mark.parametrize("run", ["first", "again"])
@pytest.mark.parametrize("service", SERVICES)
def test_only_the_gateway_or_the_triggers_may_call_a_service(
    rehearsed: Rehearsed, run: str, service: str
) -> None:
    """The whole policy is set, so nobody else is left in it."""
    (file,) = [
        call.command[5]
        for call in getattr(rehearsed, run)
        if call.command[1:5] == ("run", "services", "set-iam-policy", full(service))
    ]
    caller = account("events" if service in EVENT_SERVICES else "gateway")
    assert json.loads((rehearsed.workspace / file).read_text()) == {
        "bindings": [{"role": "roles/run.invoker", "members": [f"serviceAccount:{caller}"]}]
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_reached_by_its_door_only(rehearsed: Rehearsed, service: str) -> None:
    """API Gateway does not count as internal; Pub/Sub does."""
    found = deployed(rehearsed.first, service)
    if service in HTTP_SERVICES:
        assert {"--trigger-http", "--no-allow-unauthenticated"} < set(found)
        assert found["--ingress-settings"] == "all"
    else:
        assert "--trigger-http" not in found
        assert found["--ingress-settings"] == "internal-only"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_runs_as_its_functions_account_with_the_guides_labels(
    rehearsed: Rehearsed, service: str
) -> None:
    found, function = deployed(rehearsed.first, service), FUNCTIONS[service]
    assert found["--source"] == f"build/{function}"
    assert found["--run-service-account"] == account(function)
    assert found["--build-service-account"] == f"projects/{PROJECT}/serviceAccounts/{account('build')}"
    label = "authentication" if function == "auth" else function
    assert found["--update-labels"] == f"environment=production,service={label}"


def test_no_account_has_a_wider_role_than_its_work_needs(rehearsed: Rehearsed) -> None:
    """`if`: under a condition, on one database or on the buckets of sources."""
    roles: dict[str, set[str]] = {}
    for one in commands(rehearsed.setup, "projects", "add-iam-policy-binding"):
        who = one["--member"].removeprefix("serviceAccount:energent-").partition("-production@")[0]
        conditional = "" if one["--condition"] == "None" else " if"
        roles.setdefault(who, set()).add(one["--role"].removeprefix("roles/") + conditional)
    assert roles == {
        "auth": {"datastore.user if"},
        "billing": {"datastore.user if"},
        "tenants": {"datastore.user if"},
        "events": {"eventarc.eventReceiver"},
        "build": {"logging.logWriter", "artifactregistry.writer", "storage.objectAdmin if"},
        "deploy": {
            "logging.logWriter",
            "cloudfunctions.developer",
            "run.admin",
            "eventarc.viewer",
            "pubsub.admin",
            "cloudscheduler.admin",
            "apigateway.admin",
            "datastore.indexAdmin",
            "serviceusage.serviceUsageConsumer",
        },
    }


def test_everybody_may_read_the_public_keys_and_nothing_else(rehearsed: Rehearsed) -> None:
    found = [call.command for call in rehearsed.all() if any("allUsers" in word for word in call.command)]
    assert {(command[1:5], command[-1]) for command in found} == {
        (
            ("storage", "buckets", "add-iam-policy-binding", f"gs://{PROJECT}-energent-production-public"),
            "--role=roles/storage.legacyObjectReader",
        )
    }


def test_the_pipeline_acts_as_each_account_that_it_gives_away(rehearsed: Rehearsed) -> None:
    bound = commands(rehearsed.setup, "iam", "service-accounts", "add-iam-policy-binding")
    assert {one["name"] for one in bound} == {
        account(name) for name in ("auth", "billing", "tenants", "events", "gateway", "build")
    }
    assert {one["--member"] for one in bound} == {f"serviceAccount:{account('deploy')}"}
