"""An access token outlives a suspension by what the verifier remembers; nothing made with it lasts."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import msgspec
import pytest

from shared.audit import Actor
from shared.errors import Error, Forbidden, Unauthenticated
from shared.identity import Principal
from tests.tokens import NOW
from tests.unit.auth.http_door import Door
from tests.unit.auth.suite import ACME, Suite, principal

pytestmark = pytest.mark.anyio

ACTOR = Actor("user", "usr_test", ACME)
SECOND = timedelta(seconds=1)

Make = Callable[[Suite, Principal], Awaitable[object]]


async def account(suite: Suite, who: Principal) -> object:
    return await suite.service_accounts.create(who, ACTOR, "backdoor", ["usage:read"])


async def invitation(suite: Suite, who: Principal) -> object:
    return await suite.invitations.invite(who, ACTOR, "thief@evil.test", "owner")


makes = pytest.mark.parametrize("make", [account, invitation])


async def nothing_was_made(suite: Suite) -> bool:
    accounts = (await suite.service_accounts.page(ACME, 20, None)).items
    invitations = (await suite.invitations.page(ACME, 20, None)).items
    return not accounts and not invitations and suite.bus.messages == []


async def refusal(make: Make, suite: Suite, who: Principal) -> Error:
    with pytest.raises(Error) as refused:
        await make(suite, who)
    return refused.value


def signed_in(after: timedelta) -> Principal:
    return msgspec.structs.replace(principal("owner"), issued_at=NOW + after)


@makes
async def test_nothing_lasting_is_made_in_a_suspended_tenant(suite: Suite, make: Make) -> None:
    """T10"""
    await suite.set_status("suspended")
    refused = await refusal(make, suite, signed_in(SECOND))
    assert (type(refused), refused.code) == (Forbidden, "tenant_suspended")
    assert await nothing_was_made(suite)


@makes
async def test_a_token_from_before_a_suspension_makes_nothing_after_the_resume(
    suite: Suite, make: Make
) -> None:
    """T10: times in tokens are whole seconds, so that the second of the suspension counts as before it."""
    await suite.change_tenant(tokens_valid_after=NOW + timedelta(milliseconds=900))
    for after in (-SECOND, timedelta(0)):
        refused = await refusal(make, suite, signed_in(after))
        assert (type(refused), refused.code) == (Unauthenticated, "invalid_token")
        assert refused.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    assert await nothing_was_made(suite)
    assert await make(suite, signed_in(SECOND))


@makes
async def test_a_suspension_that_is_faster_than_the_commit_wins(suite: Suite, make: Make) -> None:
    """R8"""

    async def suspend() -> None:
        await suite.set_status("suspended")

    suite.store.before_commit = suspend
    assert (await refusal(make, suite, signed_in(SECOND))).code == "tenant_suspended"
    assert await nothing_was_made(suite)


@makes
async def test_a_suspension_and_a_resume_within_one_request_end_it(suite: Suite, make: Make) -> None:
    """R8"""

    async def suspend_and_resume() -> None:
        await suite.set_status("suspended")
        await suite.set_status("active")

    suite.store.before_commit = suspend_and_resume
    assert (await refusal(make, suite, signed_in(timedelta(0)))).code == "invalid_token"
    assert await nothing_was_made(suite)


@makes
async def test_any_other_change_of_the_tenant_only_makes_it_try_again(suite: Suite, make: Make) -> None:
    async def rename() -> None:
        await suite.change_tenant(name="Acme Two")

    suite.store.before_commit = rename
    assert await make(suite, signed_in(SECOND))


@makes
async def test_a_caller_without_a_tenant_makes_nothing(suite: Suite, make: Make) -> None:
    gone = msgspec.structs.replace(principal("owner"), tenant_id="tnt_gone")
    assert (await refusal(make, suite, gone)).code == "invalid_token"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/service-accounts", {"name": "backdoor", "scopes": ["usage:read"]}),
        ("/v1/invitations", {"email": "thief@evil.test", "role": "owner"}),
    ],
)
async def test_a_token_the_verifier_still_takes_is_refused_where_it_would_make_what_lasts(
    suite: Suite, door: Door, path: str, body: dict[str, object]
) -> None:
    """T10"""
    await suite.add_user()
    bearer = await door.bearer()

    async def posted() -> httpx.Response:
        assert (await door.client.get("/v1/me", headers=bearer)).status_code == 200
        return await door.client.post(path, headers=bearer, json=body)

    assert (await door.client.get("/v1/me", headers=bearer)).status_code == 200
    suite.clock.move(5)
    await suite.set_status("suspended")
    suspended = await posted()
    assert (suspended.status_code, suspended.json()["code"]) == (403, "tenant_suspended")
    await suite.set_status("active")
    resumed = await posted()
    assert (resumed.status_code, resumed.json()["code"]) == (401, "invalid_token")
