"""Refresh tokens rotate; a copy that turns up late ends the session, a lost reply does not."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from functions.auth.domain.refresh_token import RefreshToken
from functions.auth.domain.session import ABSOLUTE_LIFETIME
from functions.auth.oauth.oauth_client_changes import ClientChange
from functions.auth.oauth.tokens import Tokens
from shared.audit import Actor
from shared.errors import Error, OAuthError, Unauthenticated, Unavailable
from shared.identity import TENANT_LIMITS
from shared.tenant import Status
from tests.unit.auth import applications
from tests.unit.auth.suite import ACME, Suite, principal, running

pytestmark = pytest.mark.anyio

ACTOR = Actor("user", "usr_test", ACME)


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


async def test_a_refresh_is_two_reads_and_one_commit_of_three_writes(suite: Suite, first: Tokens) -> None:
    """Session and user; the session, its record, and that the tenant is the one that is kept for 25 s."""
    second = await suite.refresh(first.refresh_token)
    suite.store.reads.clear()
    suite.store.commits.clear()
    await suite.refresh(second.refresh_token)
    assert [len(keys) for keys in suite.store.reads] == [2]
    (writes,) = suite.store.commits
    assert sorted(type(write).__name__ for write in writes) == ["Check", "Create", "Replace"]


@pytest.mark.parametrize("moves_on", [True, False])
async def test_what_is_kept_of_a_tenant_outlives_no_suspension(
    suite: Suite, first: Tokens, moves_on: bool
) -> None:
    """T10: neither for the newest token nor for one that is handed out again."""
    second = await suite.refresh(first.refresh_token)
    await suite.set_status("suspended")
    assert await refused(suite, (second if moves_on else first).refresh_token) == "invalid_grant"


async def test_nobody_is_signed_out_by_what_was_kept_of_a_suspended_tenant(
    suite: Suite, first: Tokens
) -> None:
    await suite.set_status("suspended")
    assert await refused(suite, first.refresh_token) == "invalid_grant"
    suite.clock.move(1)
    await suite.set_status("active")
    fresh = await suite.login()
    assert (await suite.refresh(fresh.refresh_token)).refresh_token


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
        await suite.do.session_end.logout(
            principal("owner", session_id=None), Actor("service_account", "sa_1")
        )
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
        after.clock.move(60)
        assert await refused(after, first.refresh_token) == "invalid_grant"
        assert await refused(after, second.refresh_token) == "invalid_grant"


async def test_another_client_cannot_use_the_token_and_its_owner_still_can(
    suite: Suite, first: Tokens
) -> None:
    """R10"""
    account, secret = await suite.add_machine("usage:read")
    token = first.refresh_token
    by_account = {"client_id": account, "client_secret": secret}
    assert await refused(suite, token, client_id=account) == "invalid_client"
    assert await refused(suite, token, **by_account) == "unauthorized_client"
    guess = {"client_id": "energent-app", "client_secret": "guess"}
    assert await refused(suite, token, **guess) == "invalid_client"
    other = await applications.register(suite)
    assert await refused(suite, token, client_id=other.id, client_secret=other.secret) == "invalid_grant"
    public = await applications.register(suite, kind="public")
    assert await refused(suite, token, client_id=public.id) == "invalid_grant"
    assert (await suite.refresh(token, client_id="energent-app")).refresh_token


async def test_a_client_refreshes_its_own_sessions_only(suite: Suite) -> None:
    """R10: another client's attempt, the app's too, uses up and ends nothing."""
    user = await suite.add_user()
    mine, other = await applications.register(suite), await applications.register(suite)
    tokens = await applications.given(suite, mine, user)
    with pytest.raises(OAuthError) as refusal:
        await applications.refresh(suite, other, tokens.refresh_token)
    assert refusal.value.code == "invalid_grant"
    assert await refused(suite, tokens.refresh_token) == "invalid_grant"
    second = await applications.refresh(suite, mine, tokens.refresh_token)
    assert (second.scope, second.id_token is not None) == ("email openid usage:read", True)
    assert (await applications.refresh(suite, mine, second.refresh_token)).refresh_token


async def test_a_client_of_another_tenant_cannot_use_the_token(suite: Suite) -> None:
    """R10, T2: no session is read for it."""
    user = await suite.add_user()
    await suite.add_tenant("tnt_globex", "globex")
    tokens = await applications.given(suite, await applications.register(suite), user)
    foreign = await applications.register(suite, tenant_id="tnt_globex")
    suite.store.reads.clear()
    with pytest.raises(OAuthError) as refusal:
        await applications.refresh(suite, foreign, tokens.refresh_token)
    assert refusal.value.code == "invalid_grant"
    assert not any("sessions" in path for paths in suite.store.reads for path in paths)


async def test_what_a_client_may_no_more_leaves_its_sessions(suite: Suite) -> None:
    user = await suite.add_user()
    client = await applications.register(suite)
    tokens = await applications.given(suite, client, user)
    await suite.do.oauth_client_changes.update(
        principal("owner"), ACTOR, client.client.id, ClientChange(scopes=("openid",))
    )
    assert (await applications.refresh(suite, client, tokens.refresh_token)).scope == "openid"
    disabled = ClientChange(status="disabled")
    await suite.do.oauth_client_changes.update(principal("owner"), ACTOR, client.client.id, disabled)
    with pytest.raises(OAuthError) as refusal:
        await applications.refresh(suite, client, tokens.refresh_token)
    assert refusal.value.code == "invalid_client"


async def test_a_token_that_was_just_exchanged_is_answered_again_even_if_its_successor_was_used(
    suite: Suite, first: Tokens
) -> None:
    """R4, R5: two tabs, one of which is quick. Both go on, with the same tokens."""
    second = await suite.refresh(first.refresh_token)
    third = await suite.refresh(second.refresh_token)
    suite.clock.move(29)
    late = await suite.refresh(first.refresh_token)
    assert late.refresh_token == second.refresh_token
    assert (await suite.refresh(late.refresh_token)).refresh_token == third.refresh_token
    assert len(suite.store.commits) == 2
    suite.clock.move(1)
    assert await refused(suite, first.refresh_token) == "invalid_grant"
    assert (await suite.only_session()).revoked_because == "refresh_token_reused"


async def test_an_explicit_end_beats_the_grace(suite: Suite, first: Tokens) -> None:
    second = await suite.refresh(first.refresh_token)
    who = await suite.verifier.verify(second.access_token)
    await suite.do.session_end.logout(who, ACTOR)
    for token in (first, second):
        assert await refused(suite, token.refresh_token) == "invalid_grant"


async def test_a_session_that_ends_takes_its_access_tokens_along(suite: Suite, first: Tokens) -> None:
    """R2, R7: within the time that a verifier remembers a tenant."""
    second = await suite.refresh(first.refresh_token)
    await suite.do.session_end.logout(await suite.verifier.verify(second.access_token), ACTOR)
    suite.clock.move(TENANT_LIMITS.ttl.total_seconds())
    for token in (first, second):
        with pytest.raises(Unauthenticated):
            await suite.verifier.verify(token.access_token)


async def test_another_tenants_id_in_a_token_is_a_forgery(suite: Suite, first: Tokens) -> None:
    """R10, R13: no store is asked."""
    forged = RefreshToken("tnt_other", "usr_1", (await suite.only_session()).id, 1)
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
    whole = await suite.refresh(narrow.refresh_token, f"{first.scope} offline_access")
    assert whole.scope == first.scope


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
    unknown = suite.refresh_tokens.text(RefreshToken(ACME, "usr_none", "ses_none", 1))
    foreign = suite.refresh_tokens.text(RefreshToken("tnt_none", "usr_none", "ses_none", 1))
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
