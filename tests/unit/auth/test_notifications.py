"""Secret Manager's notifications at auth's event door, in every shape in which they are pushed."""

import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from functions.auth import events
from functions.auth.domain.key_ring import State
from functions.auth.keyring.jwks_copy import JwksCopy
from functions.auth.keyring.key_rings import SECRETS
from functions.auth.keyring.key_rotation import KeyRotation
from functions.auth.keyring.keys import KeyRoom
from shared import quarantine
from shared.event_door import EventDoor
from shared.objects.files import FileObjects
from shared.outbox import Outbox
from shared.quarantine import Quarantine, Quarantined
from shared.secrets import SecretUnusable
from shared.secrets.cached import CachedSecrets
from shared.secrets.files import FileSecrets
from shared.store.sqlite import SqliteStore
from tests.shelf import shelved
from tests.tokens import Time
from tests.unit.auth.suite import RecordingBus
from tests.unit.events.deliveries import BINARY, encoded, event_bytes, push
from tests.unit.events.senders import bearer, check, signed

pytestmark = pytest.mark.anyio

SECRET = "projects/123/secrets/energent-test-key"
VERSION = f"{SECRET}/versions/1"
OF_SECRETS = ["SECRET_CREATE", "SECRET_UPDATE", "SECRET_DELETE", "SECRET_ROTATE"]
OF_VERSIONS = [
    f"SECRET_VERSION_{what}" for what in ("ADD", "ENABLE", "DISABLE", "DESTROY", "DESTROY_SCHEDULED")
]
RESOURCE = msgspec.json.encode({"name": VERSION, "createTime": "2026-03-04T12:00:00Z", "state": "DISABLED"})

Shape = Callable[[dict[str, str], bytes | None], tuple[dict[str, str], bytes]]
"""Attributes and data, if any, to headers and body."""


def _bare(attributes: dict[str, str], data: bytes | None) -> tuple[dict[str, str], bytes]:
    sent: Any = ... if data is None else encoded(data)
    return {"content-type": "application/json"}, push(data=sent, attributes=attributes)


def _binary(attributes: dict[str, str], data: bytes | None) -> tuple[dict[str, str], bytes]:
    return BINARY, _bare(attributes, data)[1]


def _structured(attributes: dict[str, str], data: bytes | None) -> tuple[dict[str, str], bytes]:
    event = {
        "specversion": "1.0",
        "type": BINARY["ce-type"],
        "source": BINARY["ce-source"],
        "id": "17",
        "data": msgspec.Raw(_bare(attributes, data)[1]),
    }
    return {"content-type": "application/cloudevents+json"}, msgspec.json.encode(event)


def _unwrapped(attributes: dict[str, str], data: bytes | None) -> tuple[dict[str, str], bytes]:
    headers = {name.lower(): value for name, value in attributes.items()}
    return {"x-goog-pubsub-message-id": "17", **headers}, data or b""


SHAPES: list[Shape] = [_bare, _binary, _structured, _unwrapped]


class World:
    def __init__(self, folder: Path) -> None:
        clock = Time()
        self.distant = FileSecrets(folder / "secrets", clock)
        self.secrets = CachedSecrets(self.distant, clock)
        self.store = SqliteStore(folder / "store.db", quarantine.QUERIES)
        self.bus = RecordingBus()
        self.clock = clock
        copy = JwksCopy(self.store, FileObjects(folder / "objects"))
        self.room = KeyRoom(self.store, self.secrets, clock)
        outbox = Outbox(self.store, self.bus, clock, "auth")
        self.rotation = KeyRotation(self.store, outbox, self.secrets, self.room, copy, clock)
        self.door = EventDoor(
            {},
            check(folder / "jwks.json", Time()),
            Quarantine(self.store, clock, "auth"),
            log=logging.getLogger("door"),
            notifications=events.notifications(self.secrets, "energent-test-", self.rotation),
        )

    async def send(self, shape: Shape, attributes: dict[str, str], data: bytes | None = None) -> int:
        headers, body = shape(attributes, data)

        async def read(limit: int) -> bytes:
            return body

        return (await self.door.handle({**headers, **bearer(signed())}, read)).status

    async def kept(self) -> list[Quarantined]:
        return await shelved(self.store)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    await world.distant.add("key", b"one")
    await world.distant.add("key", b"two")
    yield world
    await world.store.close()


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_message_that_tries_a_topic_out_is_taken(world: World, shape: Shape) -> None:
    """P4: attributes only."""
    assert await world.send(shape, {"eventType": "TOPIC_CONFIGURED"}) == 204
    assert await world.kept() == []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", OF_SECRETS)
async def test_what_happens_to_a_secret_is_noted(
    world: World, shape: Shape, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for data in (None, RESOURCE):
        assert await world.send(shape, {"eventType": kind, "secretId": SECRET}, data) == 204
    assert await world.kept() == []
    assert caplog.messages.count(f"notification {kind}") == 2


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", OF_VERSIONS)
async def test_a_version_that_changed_is_fetched_again_and_no_other(
    world: World, shape: Shape, kind: str
) -> None:
    """S8: what was disabled elsewhere is refused as soon as that is heard."""
    for number in (1, 2):
        await world.secrets.access("key", number)
        await world.distant.set_state("key", number, "disabled")
    attributes = {"eventType": kind, "secretId": SECRET, "versionId": VERSION}
    for data in (RESOURCE, None):
        assert await world.send(shape, attributes, data) == 204
    with pytest.raises(SecretUnusable, match="disabled"):
        await world.secrets.access("key", 1)
    assert await world.secrets.access("key", 2) == b"two"
    assert await world.kept() == []


@pytest.mark.parametrize(
    "version",
    ["projects/123/secrets/other-key/versions/1", "projects/123/secrets/energent-prod-key/versions/1"],
)
async def test_secrets_that_are_not_ours_are_passed_by(world: World, version: str) -> None:
    await world.secrets.access("key", 1)
    await world.distant.set_state("key", 1, "disabled")
    attributes = {"eventType": "SECRET_VERSION_DISABLE", "secretId": SECRET, "versionId": version}
    assert await world.send(_bare, attributes) == 204
    assert await world.secrets.access("key", 1) == b"one"
    assert await world.kept() == []


@pytest.mark.parametrize(
    "version", [None, "", SECRET, f"{SECRET}/versions/latest", f"{VERSION}/x", "x" * 3000]
)
@pytest.mark.parametrize("kind", OF_VERSIONS)
async def test_a_version_without_its_name_is_quarantined(
    world: World, kind: str, version: str | None
) -> None:
    attributes = {"eventType": kind, "secretId": SECRET}
    attributes |= {} if version is None else {"versionId": version}
    assert await world.send(_bare, attributes, RESOURCE) == 204
    (kept,) = await world.kept()
    assert kept.reason == "invalid_notification"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["SECRET_EXPLODE", "secret_rotate", ""])
async def test_a_notification_of_an_unknown_type_is_quarantined(
    world: World, shape: Shape, kind: str
) -> None:
    for data in (RESOURCE, None):
        assert await world.send(shape, {"eventType": kind, "secretId": SECRET}, data) == 204
    assert {kept.reason for kept in await world.kept()} == {"event_bad_field", "no_data"}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("named", [{}, {"secretId": SECRET}])
@pytest.mark.parametrize("kind", ["SECRET_ROTATE", "TOPIC_CONFIGURED", "SECRET_VERSION_DISABLE"])
async def test_an_event_is_no_notification_whatever_its_attributes_say(
    world: World, shape: Shape, kind: str, named: dict[str, str]
) -> None:
    """This door knows no event, so it is quarantined; it is not lost."""
    assert await world.send(shape, {"eventType": kind, **named}, event_bytes()) == 204
    (kept,) = await world.kept()
    assert (kept.reason, kept.data()) == ("unknown_type", event_bytes())


@pytest.mark.parametrize("kind", ["SECRET_ROTATE", "TOPIC_CONFIGURED"])
async def test_data_that_names_no_secret_is_no_notification(world: World, kind: str) -> None:
    assert await world.send(_bare, {"eventType": kind}, b"{}") == 204
    (kept,) = await world.kept()
    assert kept.reason == "event_bad_field"


async def begun(world: World) -> dict[str, list[State]]:
    """The states of the keys of each ring that has more than one."""
    found = {each.name: [key.state for key in each.ring.keys] for each in await world.rotation.rings()}
    return {name: states for name, states in found.items() if len(states) > 1}


@pytest.mark.parametrize("ring", SECRETS)
async def test_a_notification_begins_the_rotation_of_the_ring_that_it_names(world: World, ring: str) -> None:
    """S3, P5: redelivered a hundred times, a minute and a week later, in every shape, it is that one."""
    await world.room.current()
    world.clock.move(90 * 86_400)
    attributes = {
        "eventType": "SECRET_ROTATE",
        "secretId": f"projects/1/secrets/energent-test-{SECRETS[ring]}",
    }
    published = world.clock.now.isoformat()
    for _ in range(100):
        assert await world.send(_bare, attributes, b"{}") == 204
    assert await begun(world) == {}, "published before the ring's key was made"
    headers = {"content-type": "application/json"}

    async def send() -> None:
        body = push(data=..., attributes=attributes, publishTime=published)

        async def read(limit: int) -> bytes:
            return body

        assert (await world.door.handle({**headers, **bearer(signed())}, read)).status == 204

    await send()
    assert await begun(world) == {ring: ["active", "pending"]}
    for seconds in (60, 900, 900, 7 * 86_400):
        await send()
        world.clock.move(seconds)
        await world.rotation.sweep()
    await send()
    rings = {each.name: each.ring for each in await world.rotation.rings()}
    assert [key.state for key in rings[ring].keys if key.state != "retiring"] == ["active"]
    assert await world.kept() == []


async def test_a_notification_that_does_not_say_when_is_of_now(world: World) -> None:
    await world.room.current()
    world.clock.move(90 * 86_400)
    attributes = {"eventType": "SECRET_ROTATE", "secretId": "projects/1/secrets/energent-test-auth-link-key"}
    for _ in range(2):
        assert await world.send(_unwrapped, attributes) == 204
    assert await begun(world) == {"link": ["active", "pending"]}


@pytest.mark.parametrize(
    "secret", ["energent-prod-auth-link-key", "auth-link-key", "energent-test-stripe-api-key"]
)
async def test_the_rotation_of_a_secret_that_is_no_ring_of_ours_begins_nothing(
    world: World, secret: str
) -> None:
    await world.room.current()
    world.clock.move(90 * 86_400)
    attributes = {"eventType": "SECRET_ROTATE", "secretId": f"projects/1/secrets/{secret}"}
    assert await world.send(_unwrapped, attributes) == 204
    assert await begun(world) == {}
    assert await world.kept() == []


@pytest.mark.parametrize(
    "secret", ["auth-link-key", "projects/1/secrets/", f"{SECRET}/versions/1", "x" * 2000]
)
async def test_a_rotation_without_the_name_of_a_secret_is_quarantined(world: World, secret: str) -> None:
    assert await world.send(_bare, {"eventType": "SECRET_ROTATE", "secretId": secret}, RESOURCE) == 204
    (kept,) = await world.kept()
    assert kept.reason == "invalid_notification"
