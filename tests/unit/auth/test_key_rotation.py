"""Rotations as use-cases: by the clock, by notification, by hand; in one commit, once, whoever is first."""

import asyncio
import base64
import json
from datetime import timedelta

import pytest

from functions.auth import records
from functions.auth.domain.key_ring import KeyRing
from functions.auth.domain.refresh_token import RefreshToken
from functions.auth.domain.roles import PLATFORM_TENANT
from functions.auth.keyring.jwks_copy import NAME
from functions.auth.keyring.key_rings import (
    PACES,
    REFRESH_RING,
    SIGNING_RING,
    SIGNING_SECRET,
)
from functions.auth.keyring.key_rotation import KeyRotation
from functions.auth.keyring.keys import KeyRoom
from shared.audit import Actor
from shared.errors import Conflict, NotFound, Unauthenticated, Unavailable
from shared.identity import Verifier
from shared.secrets.cached import CachedSecrets
from tests.tokens import ISSUER
from tests.unit.auth.suite import AUDIT, Suite

pytestmark = pytest.mark.anyio

OPERATOR = Actor("service_account", "sa_1", PLATFORM_TENANT)
MINUTE = 60.0


async def ring(suite: Suite, name: str = SIGNING_RING) -> KeyRing:
    found = records.found((await suite.store.inner.read(records.ring_key(suite.store, name)))[0], KeyRing)
    assert found is not None
    return found.value


async def states(suite: Suite, name: str = SIGNING_RING) -> list[str]:
    return [key.state for key in (await ring(suite, name)).keys]


async def sweep(suite: Suite, after: timedelta = timedelta(minutes=1)) -> None:
    suite.clock.now += after
    await suite.do.key_rotation.sweep()


async def steps(suite: Suite) -> list[tuple[str, str]]:
    """What the audit log of the platform says: which ring, what."""
    page = await suite.store.tenant(PLATFORM_TENANT).query(AUDIT, limit=1000)
    return [(doc.body["detail"]["ring"], doc.body["action"]) for doc in page.docs]


async def rotate(suite: Suite, name: str = SIGNING_RING) -> None:
    """Until the new key is in use."""
    await suite.do.key_rotation.begin(name, OPERATOR)
    await sweep(suite)
    await sweep(suite, PACES[name].pending)


async def copied(suite: Suite) -> list[str]:
    found = await suite.objects.get(NAME)
    return [key["kid"] for key in json.loads(found.data)["keys"]] if found else []


def instance(suite: Suite) -> KeyRotation:
    """Another process."""
    secrets = CachedSecrets(suite.secrets, suite.clock)
    room = KeyRoom(suite.publishing, secrets, suite.clock)
    return KeyRotation(suite.publishing, suite.outbox, secrets, room, suite.do.jwks_copy, suite.clock)


async def token(suite: Suite) -> str:
    client, secret = await suite.add_machine("usage:read")
    return await suite.machine_token(client, secret)


async def test_without_any_notification_every_ring_rotates_by_itself(suite: Suite) -> None:
    await sweep(suite, min(pace.active for pace in PACES.values()) - timedelta(minutes=2))
    assert await steps(suite) == []
    for _ in range(3):
        await sweep(suite, timedelta(days=366))
        await sweep(suite)
        await sweep(suite, timedelta(minutes=15))
    for name, pace in PACES.items():
        found = await states(suite, name)
        assert found[-1] == "active"
        assert (len(found) == 4) is (pace.retiring is None)
    assert (await ring(suite, REFRESH_RING)).removed == ()


async def test_each_step_is_one_commit_with_its_record_and_its_event(suite: Suite) -> None:
    old = (await ring(suite)).active
    suite.store.commits.clear()
    await rotate(suite)
    assert await states(suite) == ["retiring", "active"]
    await sweep(suite, PACES[SIGNING_RING].retiring or timedelta())
    wanted = ["key.create", "key.publish", "key.retire", "key.activate", "key.remove", "key.destroy"]
    assert sorted(step for _, step in await steps(suite)) == sorted(wanted)
    told = [json.loads(bytes(event.data)) for event in suite.bus.events("security.key_rotated")]
    assert [f"key.{each['step']}" for each in told] == wanted
    assert old is not None
    assert told[-1] == {"ring": SIGNING_RING, "kid": old.kid, "step": "destroy"}
    changes = [
        commit for commit in suite.store.commits if any("keyring/" in write.key.path for write in commit)
    ]
    assert len(changes) == 5
    for commit in changes:
        kinds = [write.key.path.split("/")[0] for write in commit]
        assert kinds.count("tenants") == kinds.count("outbox") == len(commit) // 2


async def test_a_key_signs_once_the_copy_is_known_and_fifteen_minutes_have_passed(suite: Suite) -> None:
    """S3, J34. The copy is what the gateway reads."""
    first = await token(suite)
    fresh = await suite.do.key_rotation.begin(SIGNING_RING, OPERATOR)
    assert fresh.kid in await copied(suite)
    await sweep(suite)
    suite.clock.move(14 * MINUTE)
    await suite.do.key_rotation.sweep()
    assert (await suite.do.keys.current()).signer.kid != fresh.kid
    await sweep(suite)
    suite.clock.move(31)
    assert (await suite.do.keys.current()).signer.kid == fresh.kid
    await suite.add_tenant("tnt_two", "two")
    second = await token(suite)
    for verifier in (suite.verifier, Verifier(suite.publishing, ISSUER, ISSUER, suite.clock)):
        assert await verifier.verify(second)
        with pytest.raises(Unauthenticated):  # it expired meanwhile; its key is still there
            await verifier.verify(first)
    assert len(await copied(suite)) == 2


async def test_a_key_that_cannot_be_copied_stays_pending(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D6: the bucket is out for a day."""

    async def out(name: str) -> None:
        raise Unavailable("objects_unavailable", "The bucket did not answer.")

    with monkeypatch.context() as outage:
        outage.setattr(suite.objects, "get", out)
        await rotate(suite)
        await sweep(suite, timedelta(days=1))
        assert await states(suite) == ["active", "pending"]
    await sweep(suite)
    assert await states(suite) == ["active", "pending"]
    await sweep(suite, PACES[SIGNING_RING].pending)
    assert await states(suite) == ["retiring", "active"]


async def test_an_instance_that_has_not_seen_the_new_ring_signs_and_verifies_all_the_same(
    suite: Suite,
) -> None:
    """J34: both ways, for as long as a process may be behind."""
    await suite.do.key_rotation.begin(SIGNING_RING, OPERATOR)
    await sweep(suite)
    suite.clock.move(PACES[SIGNING_RING].pending.total_seconds() - 1)
    behind, verifier = suite.do, suite.verifier
    assert await verifier.verify(await token(suite))
    old = (await behind.keys.current()).signer
    suite.clock.move(1)
    await instance(suite).sweep()
    assert await states(suite) == ["retiring", "active"]
    ahead = await KeyRoom(suite.publishing, suite.secrets, suite.clock).current()
    assert (await behind.keys.current()).signer is old
    assert ahead.signer.kid != old.kid
    of_behind = await token(suite)
    assert await Verifier(suite.publishing, ISSUER, ISSUER, suite.clock).verify(of_behind)
    payload = of_behind.split(".")[1]
    of_ahead = ahead.signer.sign(decoded(payload))
    suite.store.reads.clear()
    assert await verifier.verify(of_ahead)
    assert "keyring/signing" not in [path for paths in suite.store.reads for path in paths]


def decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


async def test_a_retired_key_is_good_until_it_is_removed(suite: Suite) -> None:
    """J9."""
    await rotate(suite)
    suite.clock.move(-PACES[SIGNING_RING].pending.total_seconds())
    old = await token(suite)
    suite.clock.move(9 * MINUTE)
    assert await Verifier(suite.publishing, ISSUER, ISSUER, suite.clock).verify(old)


async def test_a_refresh_token_outlives_rotations_of_its_key(suite: Suite) -> None:
    await suite.add_user()
    signed_in = await suite.login()
    await rotate(suite, REFRESH_RING)
    suite.clock.move(31)
    assert (await suite.do.keys.current()).refresh_tokens != suite.refresh_tokens
    again = await suite.refresh(signed_in.refresh_token)
    assert again.refresh_token != signed_in.refresh_token
    assert await states(suite, REFRESH_RING) == ["retiring", "active"]


async def test_a_new_sealing_key_is_accepted_before_it_seals(suite: Suite) -> None:
    """And an instance that is behind knows it too."""
    await suite.do.key_rotation.begin(REFRESH_RING, OPERATOR)
    await sweep(suite)
    behind = await KeyRoom(suite.publishing, suite.secrets, suite.clock).current()
    await sweep(suite, PACES[REFRESH_RING].pending)
    ahead = await KeyRoom(suite.publishing, suite.secrets, suite.clock).current()
    one = RefreshToken("tnt_acme", "usr_1", "ses_1", 1)
    assert behind.refresh_tokens.text(one) != ahead.refresh_tokens.text(one)
    assert behind.refresh_tokens.read(ahead.refresh_tokens.text(one)) == one
    assert ahead.refresh_tokens.read(behind.refresh_tokens.text(one)) == one


async def test_a_hundred_redeliveries_and_many_instances_start_one_rotation(suite: Suite) -> None:
    """P5: at once, after a minute, after it is over; and what the losers made is destroyed."""
    asked_at = suite.clock() + timedelta(days=30)
    suite.clock.now = asked_at
    instances = [instance(suite) for _ in range(8)]
    await asyncio.gather(*(each.asked_for(SIGNING_RING, asked_at, OPERATOR) for each in instances))
    assert await states(suite) == ["active", "pending"]
    for minutes in (1, 15, 30, 60 * 24 * 6):
        await asyncio.gather(*(each.sweep() for each in instances))
        suite.clock.move(minutes * MINUTE)
        await asyncio.gather(*(each.asked_for(SIGNING_RING, asked_at, OPERATOR) for each in instances))
    assert await states(suite) == ["active"]
    assert [step for name, step in await steps(suite) if name == SIGNING_RING].count("key.create") == 1
    versions = await suite.secrets.versions(SIGNING_SECRET)
    assert [version.state for version in versions].count("enabled") == 1


async def test_of_two_operators_at_once_one_is_told_of_a_rotation_under_way(suite: Suite) -> None:
    """And not of a key that is in no ring."""

    async def faster() -> None:
        await instance(suite).begin(SIGNING_RING, OPERATOR)

    suite.store.before_commit = faster
    with pytest.raises(Conflict) as refused:
        await suite.do.key_rotation.begin(SIGNING_RING, OPERATOR)
    assert refused.value.code == "rotation_under_way"
    assert await states(suite) == ["active", "pending"]


async def test_a_crash_between_the_secret_and_the_ring_costs_a_version_and_nothing_else(suite: Suite) -> None:
    async def crash() -> None:
        raise asyncio.CancelledError

    suite.store.before_commit = crash
    with pytest.raises(asyncio.CancelledError):
        await suite.do.key_rotation.begin(SIGNING_RING, OPERATOR)
    assert await states(suite) == ["active"]
    await rotate(suite)
    assert await states(suite) == ["retiring", "active"]


async def test_rs256_can_be_asked_for_and_stays(suite: Suite) -> None:
    made = await suite.do.key_rotation.begin(SIGNING_RING, OPERATOR, "RS256")
    assert (made.public["kty"], made.public["alg"]) == ("RSA", "RS256")
    await sweep(suite)
    await sweep(suite, PACES[SIGNING_RING].pending)
    suite.clock.move(31)
    signed = await token(suite)
    assert await suite.verifier.verify(signed)
    assert await Verifier(suite.publishing, ISSUER, ISSUER, suite.clock).verify(signed)
    suite.clock.move(2 * 60 * MINUTE)
    assert (await suite.do.key_rotation.begin(SIGNING_RING, OPERATOR)).public["alg"] == "RS256"


async def test_one_ring_that_fails_keeps_no_other_back(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    add = suite.secrets.add

    async def out(name: str, value: bytes) -> int:
        if name == SIGNING_SECRET:
            raise Unavailable("secrets_unavailable", "Out.")
        return await add(name, value)

    monkeypatch.setattr(suite.secrets, "add", out)
    await sweep(suite, timedelta(days=91))
    assert await states(suite) == ["active"]
    assert await states(suite, REFRESH_RING) == ["active", "pending"]


async def test_rings_and_keys_that_are_not_there_are_not_found(suite: Suite) -> None:
    for attempt in (
        suite.do.key_rotation.begin("access", OPERATOR),
        suite.do.key_rotation.remove("access", "k", OPERATOR),
        suite.do.key_rotation.remove(SIGNING_RING, "refresh-1", OPERATOR),
    ):
        with pytest.raises(NotFound):
            await attempt
