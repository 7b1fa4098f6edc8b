"""`session.revoke.requested`: whose access ends, once for each event, and what can never succeed."""

import asyncio
from typing import Any

import pytest

from functions.auth.audit_log import Selection
from functions.auth.oauth.tokens import Tokens
from shared.errors import OAuthError, Unauthenticated, Unavailable
from shared.event_door import Rejected
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio

BOUND = 30


async def ask(suite: Suite, event_id: str = "evt_1", tenant_id: str = ACME, **data: Any) -> None:
    data = {"reason": "stolen_device"} | data
    await suite.deliver("session.revoke.requested", data, tenant_id, event_id)


async def is_in(suite: Suite, tokens: Tokens) -> bool:
    try:
        await suite.verifier.verify(tokens.access_token)
    except Unauthenticated:
        return False
    return True


async def goes_on(suite: Suite, tokens: Tokens) -> bool:
    try:
        await suite.refresh(tokens.refresh_token)
    except OAuthError:
        return False
    return True


async def signed_in(suite: Suite) -> tuple[Tokens, str, str]:
    """Tokens, with the ids of user and session."""
    tokens = await suite.login()
    principal = await suite.verifier.verify(tokens.access_token)
    assert principal.session_id is not None
    return tokens, principal.subject, principal.session_id


@pytest.fixture
async def owner(suite: Suite) -> None:
    await suite.add_user()


async def test_every_session_of_a_user_ends(suite: Suite, owner: None) -> None:
    first, user_id, _ = await signed_in(suite)
    second, *_ = await signed_in(suite)
    await suite.add_user("bob@acme.test", "member")
    other = await suite.login("bob@acme.test")
    suite.clock.move(1)
    await ask(suite, user_id=user_id)
    suite.clock.move(BOUND)
    for tokens in (first, second):
        assert not await is_in(suite, tokens)
        assert not await goes_on(suite, tokens)
    assert await is_in(suite, other)
    assert await goes_on(suite, other)
    assert await is_in(suite, await suite.login())


async def test_one_session_ends_and_the_others_go_on(suite: Suite, owner: None) -> None:
    ended, _, session_id = await signed_in(suite)
    other, *_ = await signed_in(suite)
    await ask(suite, session_id=session_id)
    suite.clock.move(BOUND)
    assert not await is_in(suite, ended)
    assert not await goes_on(suite, ended)
    assert await is_in(suite, other)
    assert await goes_on(suite, other)


async def test_what_a_machine_holds_ends_and_it_may_sign_in_again(suite: Suite, owner: None) -> None:
    client_id, secret = await suite.add_machine("usage:read")
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    before = await suite.endpoint.answer(form, None, "req_1")
    await ask(suite, service_account_id=client_id.partition(".")[2])
    suite.clock.move(BOUND)
    assert not await is_in(suite, before)
    assert await is_in(suite, await suite.endpoint.answer(form, None, "req_1"))


async def test_the_same_event_again_ends_nothing_more(suite: Suite, owner: None) -> None:
    """In any order, at once or much later; another event does."""
    _, user_id, _ = await signed_in(suite)
    await asyncio.gather(*(ask(suite, user_id=user_id) for _ in range(3)))
    suite.clock.move(1)
    again, *_ = await signed_in(suite)
    commits = len(suite.store.commits)
    suite.clock.move(BOUND)
    await ask(suite, user_id=user_id)
    assert len(suite.store.commits) == commits
    suite.clock.move(BOUND)
    assert await is_in(suite, again)
    await ask(suite, "evt_2", user_id=user_id)
    assert not await goes_on(suite, again)


async def test_it_is_in_the_audit_log_once_with_its_reason(suite: Suite, owner: None) -> None:
    _, user_id, session_id = await signed_in(suite)
    for _ in range(2):
        await ask(suite, user_id=user_id)
    records = (await suite.do.audit_log.page(ACME, Selection(limit=100))).items
    ended = [record for record in records if record.action in ("access.revoke", "session.revoke")]
    assert {(record.action, record.target, record.detail["because"]) for record in ended} == {
        ("access.revoke", user_id, "stolen_device"),
        ("session.revoke", session_id, "revoke_requested"),
    }
    assert len(ended) == 2
    for record in ended:
        assert (record.actor.kind, record.actor.id, record.actor.request_id) == ("system", "//test", "evt_1")
    assert [event.subject for event in suite.bus.events("session.revoked")] == [ACME]


async def test_a_crash_between_the_sessions_is_made_good_by_the_next_delivery(
    suite: Suite, owner: None
) -> None:
    first, user_id, _ = await signed_in(suite)
    second, *_ = await signed_in(suite)
    suite.clock.move(1)
    left = 2  # the first session, and its event on its way

    async def dies() -> None:
        nonlocal left
        if left == 0:
            raise Unavailable("store_unavailable", "The store did not answer.")
        left -= 1
        suite.store.before_commit = dies

    suite.store.before_commit = dies
    with pytest.raises(Unavailable):
        await ask(suite, user_id=user_id)
    suite.store.before_commit = None
    await ask(suite, user_id=user_id)
    suite.clock.move(BOUND)
    for tokens in (first, second):
        assert not await goes_on(suite, tokens)
        assert not await is_in(suite, tokens)


async def test_r7_a_refresh_that_is_under_way_saves_nobody(suite: Suite, owner: None) -> None:
    """The kill comes between what the refresh has read and its commit."""
    tokens, user_id, _ = await signed_in(suite)

    async def kill() -> None:
        await ask(suite, user_id=user_id)

    suite.store.before_commit = kill
    assert not await goes_on(suite, tokens)
    suite.clock.move(BOUND)
    assert not await is_in(suite, tokens)


async def test_r7_a_refresh_that_came_just_before_ends_as_well(suite: Suite, owner: None) -> None:
    """It comes between what the kill has read and its commit: both tokens it gave are dead."""
    tokens, _, session_id = await signed_in(suite)
    fresh: list[Tokens] = []

    async def refresh() -> None:
        suite.clock.move(5)
        fresh.append(await suite.refresh(tokens.refresh_token))
        suite.clock.move(-5)  # another instance, whose clock is behind, carries out the kill

    suite.store.before_commit = refresh
    await ask(suite, session_id=session_id)
    suite.clock.move(BOUND)
    assert not await is_in(suite, fresh[0])
    assert not await goes_on(suite, fresh[0])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, "invalid_data"),
        ({"user_id": "usr_none"}, "unknown_subject"),
        ({"session_id": "ses_none"}, "unknown_subject"),
        ({"service_account_id": "sa_none"}, "unknown_subject"),
        ({"api_key_id": "key_none"}, "unknown_subject"),
        ({"user_id": "../x"}, "unknown_subject"),
        ({"user_id": ""}, "unknown_subject"),
        ({"user_id": "x" * 1501}, "unknown_subject"),
        ({"user_id": "usr_1", "session_id": "ses_1"}, "invalid_data"),
        ({"user_id": 7}, "invalid_data"),
        ({"user_id": "usr_1", "reason": ""}, "invalid_data"),
        ({"user_id": "usr_1", "reason": "In her own words"}, "invalid_data"),
        ({"user_id": "usr_1", "everybody": True}, "invalid_data"),
    ],
)
async def test_what_can_never_succeed_is_set_aside(suite: Suite, data: dict[str, Any], reason: str) -> None:
    suite.store.commits.clear()
    with pytest.raises(Rejected) as rejected:
        await ask(suite, **data)
    assert rejected.value.reason == reason
    assert suite.store.commits == []


async def test_another_tenants_session_cannot_be_ended(suite: Suite, owner: None) -> None:
    """T4: the tenant is the event's subject."""
    await suite.add_tenant("tnt_globex", "globex")
    tokens, user_id, session_id = await signed_in(suite)
    for data in ({"user_id": user_id}, {"session_id": session_id}):
        for tenant_id in ("tnt_globex", "tnt_none", "", "a/b"):
            with pytest.raises(Rejected):
                await ask(suite, tenant_id=tenant_id, **data)
    assert await goes_on(suite, tokens)
