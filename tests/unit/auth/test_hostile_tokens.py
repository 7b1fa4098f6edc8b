"""Tokens that are signed a moment too late, and given back more often than there are."""

from typing import Any

import pytest

from shared.store import Query
from tests.unit.auth import applications
from tests.unit.auth.machine_door import ACTOR
from tests.unit.auth.people import People
from tests.unit.auth.suite import ACME, Suite, principal

pytestmark = pytest.mark.anyio

ADMIN = "admin@acme.test"
REVOCATIONS = Query("revocations_newest", "revocations", order="at", descending=True)


async def test_a_refresh_that_a_demotion_overtakes_signs_nothing_that_outlives_it(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R8: a repeated refresh commits nothing that could fail. It has read the user, then waits a second."""
    people = People(suite)
    admin = await people.add(ADMIN, "admin")
    person = await people.signed_in(ADMIN)
    await suite.refresh(person.tokens.refresh_token)
    issue, overtaken = suite.do.access_tokens.issue, False

    async def late(*what: Any, **more: Any) -> Any:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            await suite.do.user_changes.change(principal("owner"), ACTOR, admin.id, None, "member")
            suite.clock.move(1)
        return await issue(*what, **more)

    monkeypatch.setattr(suite.do.access_tokens, "issue", late)
    person.tokens = await suite.refresh(person.tokens.refresh_token)
    assert overtaken
    assert not await person.is_let_in()
    assert await person.refreshed() == {"tenant:read", "usage:read"}
    assert await person.is_let_in()


async def test_a_token_that_is_given_back_again_and_again_is_written_down_once(suite: Suite) -> None:
    """A tenant's records are known one by one up to a number, and its machines have no say in that."""
    machine = await applications.machine(suite)
    token = (await applications.ask(suite, {"grant_type": "client_credentials"}, machine.basic)).access_token
    for _ in range(5):
        await suite.do.token_revocation.revoke({"token": token}, machine.basic, "req_1")
    assert len((await suite.store.tenant(ACME).query(REVOCATIONS)).docs) == 1
    assert (await suite.audit()).count("access_token.revoke") == 1
