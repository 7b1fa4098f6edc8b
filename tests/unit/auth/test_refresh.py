"""Refresh tokens rotate; a copy that turns up late ends the session, a lost reply does not."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from functions.auth.domain.refresh_token import RefreshToken
from functions.auth.domain.session import ABSOLUTE_LIFETIME
from functions.auth.tokens import Tokens
from shared.audit import Actor
from shared.errors import Error, OAuthError, Unavailable
from shared.tenant import Status
from tests.unit.auth.suite import ACME, Suite, principal, running

pytestmark = pytest.mark.anyio


@pytest.fixture
async def first(suite: Suite) -> Tokens:
    """What the owner got by signing in; whatever happened until then is forgotten."""
    await suite.add_user()
    tokens = await suite.login()
    suite.store.commits.clear()
    suite.store.reads.clear()
    suite.bus.messages.clear()
    return tokens


async def refused(suite: Suite, token: str | None, **form: str) -> str:
    with pytest.raises(OAuthError) as refusal:
        await suite.refresh(token, **form)
    return refusal.value.code


async def test_the_newest_token_is_answered_with_its_successor(suite: Suite, first: Tokens) -> None:
    """R1"""
    second = await suite.refresh(first.refresh_token)
    assert second.refresh_token not in (None, first.refresh_token)
    assert second.access_token != first.access_token
    assert (second.scope, second.expires_in, second.token_type) == (first.scope, 600, "Bearer")
    assert (await suite.only_session()).generation == 2
    assert (await suite.audit()).count("session.refresh") == 1
    verified = await suite.verifier.verify(second.access_token)
    assert verified.session_id == (await suite.only_session()).id


async def test_a_refresh_is_one_read_and_one_commit_of_three_writes(suite: Suite, first: Tokens) -> None:
    await suite.refresh(first.refresh_token)
    assert [len(keys) for keys in suite.store.reads] == [2]
    assert [len(writes) for writes in suite.store.commits] == [3]


async def test_an_old_token_ends_the_session_and_says_so_once(suite: Suite, first: Tokens) -> None:
    """R2, R5, R6"""
    tokens = [first]
    for _ in range(3):
        tokens.append(await suite.refresh(tokens[-1].refresh_token))
    assert await refused(suite, first.refresh_token) == "invalid_grant"
    for each in tokens:
        assert await refused(suite, each.refresh_token) == "invalid_grant"
    session = await suite.only_session()
    assert session.revoked_because == "refresh_token_reused"
    (event,) = suite.bus.events("security.refresh_token_reused")
    assert (event.subject, msgspec.json.decode(event.data)["session_id"]) == (ACME, session.id)
    assert (await suite.audit()).count("session.revoke") == 1


async def test_a_lost_reply_is_repeated_without_a_write_while_its_successor_is_unused(
    suite: Suite, first: Tokens
) -> None:
    """R4"""
    second = await suite.refresh(first.refresh_token)
    suite.clock.move(3600)
    again = await suite.refresh(first.refresh_token)
    assert again.refresh_token == second.refresh_token
    assert again.access_token != second.access_token
    assert len(suite.store.commits) == 1
    third = await suite.refresh(again.refresh_token)
    assert third.refresh_token != second.refresh_token


@pytest.mark.parametrize("racers", [2, 16, 64])
async def test_racers_with_one_token_all_get_the_same_successor(
    suite: Suite, first: Tokens, racers: int
) -> None:
    """R3"""
    token = first.refresh_token
    for generation in range(2, 5):
        answers = await asyncio.gather(*(suite.refresh(token) for _ in range(racers)))
        assert len({answer.refresh_token for answer in answers}) == 1
        assert len({answer.access_token for answer in answers}) == racers
        assert (await suite.only_session()).generation == generation
        token = answers[0].refresh_token
    assert len(suite.store.commits) == 3
    assert suite.bus.messages == []


async def test_after_a_sign_out_no_token_of_the_session_lives(suite: Suite, first: Tokens) -> None:
    """R7: any number of refreshes on the way at the same time."""
    session = await suite.only_session()
    caller = msgspec.structs.replace(principal("owner"), session_id=session.id)

    async def refresh(tokens: list[Tokens]) -> None:
        try:
            tokens.append(await suite.refresh(tokens[-1].refresh_token))
        except OAuthError:
            return

    for _ in range(20):
        held = [await suite.login()]
        owner = await suite.verifier.verify(held[0].access_token)
        caller = msgspec.structs.replace(caller, session_id=owner.session_id)
        logout = suite.do.session_end.logout(caller, Actor("user", owner.subject, ACME))
        await asyncio.gather(refresh(held), logout, refresh(held))
        assert {await refused(suite, each.refresh_token) for each in held} == {"invalid_grant"}


async def test_signing_out_twice_is_one_revocation(suite: Suite, first: Tokens) -> None:
    who = await suite.verifier.verify(first.access_token)
    for _ in range(2):
        await suite.do.session_end.logout(who, Actor("user", who.subject, ACME))
    assert len(suite.bus.events("session.revoked")) == 1
    assert (await suite.audit()).count("session.revoke") == 1
    assert await refused(suite, first.refresh_token) == "invalid_grant"


async def test_a_machine_is_told_that_it_has_no_session(suite: Suite) -> None:
    with pytest.raises(Error) as refusal:
        await suite.do.session_end.logout(principal("owner", session_id=None), Actor("service_account", "sa_1"))
    assert (refusal.value.status, refusal.value.code) == (403, "no_session")


async def test_a_suspension_in_the_middle_of_a_refresh_wins(suite: Suite, first: Tokens) -> None:
    """R8"""

    async def suspend() -> None:
        await suite.set_status("suspended")

    suite.store.before_commit = suspend
    assert await refused(suite, first.refresh_token) == "invalid_grant"
    assert (await suite.only_session()).generation == 1


async def test_sessions_from_before_a_suspension_stay_dead_when_the_tenant_is_resumed(
    suite: Suite, first: Tokens
) -> None:
    """T10, T11"""
    await suite.set_status("suspended")
    assert await refused(suite, first.refresh_token) == "invalid_grant"
    suite.clock.move(60)
    await suite.set_status("active")
    assert await refused(suite, first.refresh_token) == "invalid_grant"
    fresh = await suite.login()
    assert (await suite.refresh(fresh.refresh_token)).refresh_token


async def test_a_rotated_token_is_refused_after_a_restart(tmp_path: Path) -> None:
    """R9"""
    async with running(tmp_path) as before:
        await before.add_user()
        first = await before.login()
        second = await before.refresh(first.refresh_token)
        await before.refresh(second.refresh_token)
    async with running(tmp_path, with_tenant=False) as after:
        assert await refused(after, first.refresh_token) == "invalid_grant"
        assert await refused(after, second.refresh_token) == "invalid_grant"


async def test_another_client_cannot_use_the_token_and_its_owner_still_can(
    suite: Suite, first: Tokens
) -> None:
    """R10"""
    client, secret = await suite.add_machine("usage:read")
    assert await refused(suite, first.refresh_token, client_id=client) == "invalid_grant"
    with pytest.raises(OAuthError):
        await suite.refresh(first.refresh_token, client_id=client, client_secret=secret)
    with pytest.raises(OAuthError):
        await suite.refresh(first.refresh_token, client_id="energent-app", client_secret="guess")
    assert (await suite.refresh(first.refresh_token, client_id="energent-app")).refresh_token


async def test_another_tenants_id_in_a_token_is_a_forgery(suite: Suite, first: Tokens) -> None:
    """R10, R13: no store is asked."""
    forged = RefreshToken("tnt_other", (await suite.only_session()).id, 1)
    text = suite.refresh_tokens.text(forged)
    suite.store.reads.clear()
    assert first.refresh_token
    assert await refused(suite, text[:-8] + first.refresh_token[-8:]) == "invalid_grant"
    assert suite.store.reads == []


async def test_a_wider_scope_uses_up_nothing_and_a_narrower_one_is_given(suite: Suite, first: Tokens) -> None:
    """R11"""
    assert await refused(suite, first.refresh_token, scope="platform:tenants:read") == "invalid_scope"
    assert suite.store.commits == []
    narrow = await suite.refresh(first.refresh_token, "usage:read")
    assert narrow.scope == "usage:read"
    assert (await suite.verifier.verify(narrow.access_token)).scopes == {"usage:read"}
    assert (await suite.refresh(narrow.refresh_token)).scope == first.scope


async def test_a_session_in_daily_use_ends_after_thirty_days(suite: Suite, first: Tokens) -> None:
    """R12"""
    token = first.refresh_token
    for _ in range(ABSOLUTE_LIFETIME.days - 1):
        suite.clock.move(timedelta(days=1).total_seconds())
        token = (await suite.refresh(token)).refresh_token
    suite.clock.move(timedelta(days=1).total_seconds())
    assert await refused(suite, token) == "invalid_grant"


@pytest.mark.parametrize(
    "junk", ["x", "\0", "rt1_", "rt1_" + "A" * 100, "٣" * 40, "rt1_" + "A" * 1_000_000, "\ud800"]
)
async def test_junk_is_refused_without_asking_the_store(suite: Suite, junk: str) -> None:
    """R13"""
    suite.store.reads.clear()
    assert await refused(suite, junk) == "invalid_grant"
    assert suite.store.reads == []


async def test_a_token_of_a_session_that_is_gone_is_refused(suite: Suite) -> None:
    unknown = suite.refresh_tokens.text(RefreshToken(ACME, "ses_none", 1))
    foreign = suite.refresh_tokens.text(RefreshToken("tnt_none", "ses_none", 1))
    assert [await refused(suite, token) for token in (unknown, foreign)] == ["invalid_grant"] * 2


async def test_a_store_that_fails_strands_nobody(suite: Suite, first: Tokens) -> None:
    """R15, R16: nothing is written, or all of it and the same token is answered again."""
    suite.store.down = True
    with pytest.raises(Unavailable):
        await suite.refresh(first.refresh_token)
    suite.store.down = False
    second = await suite.refresh(first.refresh_token)  # its reply is lost
    assert (await suite.refresh(first.refresh_token)).refresh_token == second.refresh_token


async def test_a_successor_that_was_handed_out_by_many_replies_is_one_token(
    suite: Suite, first: Tokens
) -> None:
    seen = Counter([(await suite.refresh(first.refresh_token)).refresh_token for _ in range(5)])
    assert len(seen) == 1


async def test_a_changed_tier_is_in_the_next_token(suite: Suite, first: Tokens) -> None:
    await suite.change_tenant(tier="premium")
    second = await suite.refresh(first.refresh_token)
    assert (await suite.verifier.verify(second.access_token)).tier == "premium"


@pytest.mark.parametrize("status", ["provisioning", "suspended", "failed"])
async def test_a_tenant_that_is_not_active_refreshes_nothing(
    suite: Suite, first: Tokens, status: Status
) -> None:
    """T10: whatever its floor is."""
    await suite.change_tenant(status=status)
    assert await refused(suite, first.refresh_token) == "invalid_grant"
    await suite.change_tenant(status="active")
    assert (await suite.refresh(first.refresh_token)).refresh_token
