"""How events reach the functions once deployed: topics, triggers, dead letters, and the clock."""

from pathlib import Path

import pytest

from deploy.rehearsal import ROOT, RehearsalError
from shared import envelope, events
from shared.bus import TOPICS
from shared.bus.dead_letters import PUSH_SUFFIX, SUFFIX
from shared.envelope import Delivery
from tests.deploy.rehearsals import (
    EVENT_SERVICES,
    PROJECT,
    Rehearsed,
    account,
    address,
    commands,
    deployed,
    full,
    replacing,
    settings,
    steps,
)

PUBSUB = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"


@pytest.mark.parametrize(("service", "topic"), EVENT_SERVICES.items())
def test_an_event_service_is_pushed_its_topic_with_retries(
    rehearsed: Rehearsed, service: str, topic: str
) -> None:
    """Without --retry a message that fails is dropped and reported as delivered."""
    found = deployed(rehearsed.first, service)
    assert "--retry" in found
    assert found["--trigger-topic"] == topic
    assert found["--trigger-location"] == "us-central1"
    assert found["--trigger-service-account"] == account("events")


@pytest.mark.parametrize("run", ["first", "again"])
@pytest.mark.parametrize(("service", "topic"), EVENT_SERVICES.items())
def test_p21_every_topic_has_retries_and_dead_letters(
    rehearsed: Rehearsed, run: str, service: str, topic: str
) -> None:
    calls = getattr(rehearsed, run)
    subscription = f"projects/{PROJECT}/subscriptions/eventarc-{full(service)}"
    (updated,) = [
        one for one in commands(calls, "pubsub", "subscriptions", "update") if one["name"] == subscription
    ]
    assert updated["--dead-letter-topic"] == topic + SUFFIX
    assert 5 <= int(updated["--max-delivery-attempts"]) <= 100
    assert updated["--message-retention-duration"] == "7d"
    assert updated["--expiration-period"] == "never"
    assert (updated["--min-retry-delay"], updated["--max-retry-delay"]) == ("10s", "600s")
    bound = {
        (one["name"], one["--member"], one["--role"])
        for kind in ("topics", "subscriptions")
        for one in commands(calls, "pubsub", kind, "add-iam-policy-binding")
    }
    assert (topic + SUFFIX, PUBSUB, "roles/pubsub.publisher") in bound
    assert (subscription, PUBSUB, "roles/pubsub.subscriber") in bound


@pytest.mark.parametrize(("service", "topic"), EVENT_SERVICES.items())
def test_p21_dead_letters_are_pushed_to_the_same_door_by_the_same_caller(
    rehearsed: Rehearsed, service: str, topic: str
) -> None:
    name = topic + PUSH_SUFFIX
    (created,) = [
        one for one in commands(rehearsed.first, "pubsub", "subscriptions", "create") if one["name"] == name
    ]
    (updated,) = [
        one for one in commands(rehearsed.again, "pubsub", "subscriptions", "update") if one["name"] == name
    ]
    assert created.pop("--topic") == topic + SUFFIX
    assert created == updated
    assert created["--push-endpoint"] == f"{address(service)}/"
    assert created["--push-auth-token-audience"] == address(service)
    assert created["--push-auth-service-account"] == account("events")
    assert created["--message-retention-duration"] == "7d"
    assert created["--expiration-period"] == "never"


def test_the_topics_are_those_of_the_code(rehearsed: Rehearsed) -> None:
    topics = {one["name"] for one in commands(rehearsed.setup, "pubsub", "topics", "create")}
    assert topics == set(TOPICS) | {topic + SUFFIX for topic in TOPICS}


@pytest.mark.parametrize("function", ["auth", "billing", "tenants"])
def test_a_function_may_publish_where_its_events_go_and_tenants_anywhere(
    rehearsed: Rehearsed, function: str
) -> None:
    """Read off the names of events in its source; events.py holds those that it takes. Tenants replays."""
    sources = (ROOT / "functions" / function).rglob("*.py")
    source = "".join(path.read_text() for path in sources if path.name != "events.py")
    named = [name for name in events.DESTINATIONS if f'"{name}"' in source]
    wanted = {topic for name in named for topic in events.DESTINATIONS[name]}
    member = f"serviceAccount:{account(function)}"
    bindings = commands(rehearsed.first, "pubsub", "topics", "add-iam-policy-binding")
    granted = {one["name"] for one in bindings if one["--member"] == member}
    assert granted == (set(TOPICS) if function == "tenants" else wanted)


def test_the_audience_is_what_eventarc_says_and_known_from_the_second_deployment_on(
    rehearsed: Rehearsed,
) -> None:
    for service in EVENT_SERVICES:
        unknown = settings(rehearsed.first, service)["EVENTS_AUDIENCE"]
        assert unknown == "https://not-known-yet.invalid"
        assert settings(rehearsed.again, service)["EVENTS_AUDIENCE"] == address(service)
    corrected = commands(rehearsed.first, "run", "services", "update")
    assert {one["name"]: one["--update-env-vars"] for one in corrected} == {
        full(name): f"EVENTS_AUDIENCE={address(name)}" for name in EVENT_SERVICES
    }
    assert commands(rehearsed.again, "run", "services", "update") == []


def test_a_trigger_that_pushes_without_an_identity_stops_the_deployment(
    rehearsed: Rehearsed, tmp_path: Path
) -> None:
    silent = replacing("_describe", '[[ $3 == *audience* ]] || usual "$@"')
    with pytest.raises(RehearsalError, match="without an identity token"):
        rehearsed.copied(tmp_path, silent).pipeline(steps("deploy-billing"))


def scheduled(rehearsed: Rehearsed) -> list[dict[str, str]]:
    return commands(rehearsed.first, "scheduler", "jobs", "create", "pubsub")


def test_each_topic_is_swept_every_minute_and_billing_ticks_hourly(rehearsed: Rehearsed) -> None:
    jobs = {(one["--attributes"], one["--topic"], one["--schedule"]) for one in scheduled(rehearsed)}
    sweeps, ticks = (events.DESTINATIONS[name] for name in ("outbox.sweep", "billing.tick"))
    assert jobs == {
        *(("type=ai.energent.outbox.sweep.v1", topic, "* * * * *") for topic in sweeps),
        *(("type=ai.energent.billing.tick.v1", topic, "0 * * * *") for topic in ticks),
    }


def test_what_the_clock_sends_is_an_event_that_the_door_reads(rehearsed: Rehearsed) -> None:
    for one in scheduled(rehearsed):
        event = envelope.event_of(Delivery("1", one["--message-body"].encode(), {}))
        assert one["--attributes"] == f"type={event.type}"
        assert one["--topic"] in events.DESTINATIONS[events.short_name(event.type) or ""]
    updated = commands(rehearsed.again, "scheduler", "jobs", "update", "pubsub")
    assert [one["--message-body"] for one in updated] == [
        one["--message-body"] for one in scheduled(rehearsed)
    ]
