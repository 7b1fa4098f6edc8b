"""Keys that others may know are removed; keys that cannot be had stop only those who need them."""

import asyncio

import pytest

from functions.auth.domain.key_ring import KeyRing, RingKey
from functions.auth.domain.refresh_token import RefreshToken
from functions.auth.keyring.key_rings import (
    API_KEY_RING,
    PACES,
    REFRESH_RING,
    REFRESH_SECRET,
    SECRETS,
    SIGNING_RING,
    SIGNING_SECRET,
)
from functions.auth.keyring.keys import KeyRoom
from shared.errors import Conflict, OAuthError, Unauthenticated, Unavailable
from shared.identity import KEY_LIMITS, Verifier
from shared.secrets import SecretUnusable
from tests.tokens import ISSUER
from tests.unit.auth.suite import Suite
from tests.unit.auth.test_key_rotation import OPERATOR, copied, instance, ring, rotate, states, sweep, token

pytestmark = pytest.mark.anyio


async def test_a_removed_keys_secret_is_destroyed_though_the_first_try_fails(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = (await ring(suite)).active
    assert removed is not None
    await suite.do.key_rotation.remove(SIGNING_RING, removed.kid, OPERATOR)

    async def out(*_: object) -> None:
        raise Unavailable("secrets_unavailable", "Out.")

    with monkeypatch.context() as outage:
        outage.setattr(suite.secrets, "set_state", out)
        await sweep(suite)
    assert [key.kid for key in (await ring(suite)).removed] == [removed.kid]
    await sweep(suite)
    assert (await ring(suite)).removed == ()
    assert [version.state for version in await suite.secrets.versions(SIGNING_SECRET)] == [
        "enabled",
        "destroyed",
    ]


async def test_what_a_removed_key_signed_is_refused_within_a_minute_everywhere(suite: Suite) -> None:
    """S8."""
    stolen = await token(suite)
    others = [Verifier(suite.publishing, ISSUER, ISSUER, suite.clock) for _ in range(3)]
    for verifier in others:
        assert await verifier.verify(stolen)
    removed = (await ring(suite)).active
    assert removed is not None
    for _ in range(2):  # a lost answer is asked for again
        after = await suite.do.key_rotation.remove(SIGNING_RING, removed.kid, OPERATOR)
        assert [key.state for key in after.keys] == ["active"]
    assert removed.kid not in await copied(suite)
    suite.clock.now += KEY_LIMITS.ttl
    for verifier in others:
        with pytest.raises(Unauthenticated):
            await verifier.verify(stolen)
    for verifier in others:
        assert await verifier.verify(await token(suite))


async def test_removing_the_key_of_refresh_tokens_ends_what_it_sealed(suite: Suite) -> None:
    """S8."""
    await suite.add_user()
    signed_in = await suite.login()
    removed = (await ring(suite, REFRESH_RING)).active
    assert removed is not None
    await suite.do.key_rotation.remove(REFRESH_RING, removed.kid, OPERATOR)
    suite.clock.move(31)
    with pytest.raises(OAuthError):
        await suite.refresh(signed_in.refresh_token)
    assert (await suite.login()).refresh_token


async def test_removals_and_rotations_at_once_leave_one_active_key(suite: Suite) -> None:
    removed = (await ring(suite)).active
    assert removed is not None
    instances = [instance(suite) for _ in range(6)]
    outcomes = await asyncio.gather(
        *(each.remove(SIGNING_RING, removed.kid, OPERATOR) for each in instances[:3]),
        *(each.begin(SIGNING_RING, OPERATOR) for each in instances[3:]),
        return_exceptions=True,
    )
    assert all(isinstance(each, (KeyRing, RingKey, Conflict)) for each in outcomes)
    found = await states(suite)
    assert found.count("active") == 1
    versions = await suite.secrets.versions(SIGNING_SECRET)
    enabled = [version.number for version in versions if version.state == "enabled"]
    left = await ring(suite)
    known = [*(key.secret_version for key in left.keys), *(key.secret_version for key in left.removed)]
    assert sorted(enabled) == sorted(known)


async def test_a_pending_key_that_cannot_be_had_is_not_taken_up(
    suite: Suite, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = await suite.do.key_rotation.begin(SIGNING_RING, OPERATOR)
    await sweep(suite)
    await suite.secrets.set_state(SIGNING_SECRET, fresh.secret_version, "disabled")
    suite.do.keys = KeyRoom(suite.publishing, suite.secrets, suite.clock)
    await instance(suite).sweep()
    suite.clock.now += PACES[SIGNING_RING].pending
    await instance(suite).sweep()
    assert await states(suite) == ["active", "pending"]
    assert f"the key {fresh.kid} is not taken up, remove it" in caplog.text
    await suite.do.key_rotation.remove(SIGNING_RING, fresh.kid, OPERATOR)
    assert await states(suite) == ["active"]


async def test_a_sealing_key_that_is_disabled_while_it_runs_stops_only_those_who_need_it(
    suite: Suite,
) -> None:
    """S8: the link ring's is gone; access and refresh tokens go on."""
    await suite.add_user()
    signed_in = await suite.login()
    for name in (SECRETS[API_KEY_RING], SIGNING_SECRET):
        await suite.secrets.set_state(name, 1, "disabled")
    suite.clock.move(301)
    keys = await suite.do.keys.current()
    with pytest.raises(Unavailable):
        keys.peppers.mac(keys.peppers.current, b"")
    assert (await suite.refresh(signed_in.refresh_token)).access_token
    with pytest.raises(SecretUnusable):
        await KeyRoom(suite.publishing, suite.secrets, suite.clock).current()


async def test_an_older_key_in_an_outage_is_missed_and_a_disabled_one_is_refused(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = RefreshToken("tnt_acme", "usr_1", "ses_1", 1)
    sealed = suite.refresh_tokens.text(one)
    await rotate(suite, REFRESH_RING)
    access = suite.secrets.access

    async def out(name: str, version: int) -> bytes:
        if (name, version) == (REFRESH_SECRET, 1):
            raise Unavailable("secrets_unavailable", "Out.")
        return await access(name, version)

    with monkeypatch.context() as outage:
        outage.setattr(suite.secrets, "access", out)
        keys = await KeyRoom(suite.publishing, suite.secrets, suite.clock).current()
        with pytest.raises(Unavailable):
            keys.refresh_tokens.read(sealed)
    await suite.secrets.set_state(REFRESH_SECRET, 1, "disabled")
    keys = await KeyRoom(suite.publishing, suite.secrets, suite.clock).current()
    assert keys.refresh_tokens.read(sealed) is None


async def test_the_public_keys_are_served_however_long_the_store_is_out(suite: Suite) -> None:
    """D6."""
    suite.store.down = True
    suite.clock.move(3600)
    with pytest.raises(Unavailable):
        await suite.do.keys.current()
    assert await suite.do.keys.jwks() == suite.jwks
