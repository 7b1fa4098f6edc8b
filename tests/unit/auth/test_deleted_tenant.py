"""T12: a tenant whose document is gone. No event is needed for that to be the end of every way in."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from functions.auth.domain.one_time_link import OneTimeLink
from functions.auth.domain.people import login_id
from functions.auth.oauth.introspection import INACTIVE
from shared import tenant
from shared.errors import Error
from shared.event_door import Rejected
from shared.store import Create, Delete
from tests.unit.auth import applications
from tests.unit.auth.applications import basic
from tests.unit.auth.people import People
from tests.unit.auth.suite import ACME, PASSWORD, Suite
from tests.unit.auth.test_api_keys import forged, make, use

pytestmark = pytest.mark.anyio

BOB = "bob@acme.test"


async def test_t12_a_deleted_tenant_lets_nobody_in_and_gives_nothing(suite: Suite) -> None:
    """Also where its slug stays taken, so that nobody else gets it."""
    people = People(suite)
    await people.add(BOB)
    signed_in = await suite.login(BOB)
    key, client = await make(suite), await applications.machine(suite, "usage:read")
    account, secret = await suite.add_machine("usage:read")
    invited = await suite.invite("eve@acme.test")
    await people.post("/v1/auth/password/forgot", {"tenant": "acme", "email": BOB})
    reset = suite.links.text(OneTimeLink("password_reset", ACME, login_id(BOB)))
    marker = Create(suite.store.platform().key("slugs", "marker"), {"tenant_id": "tnt_marker"})
    await suite.store.inner.commit(marker, Delete(tenant.key(suite.store, ACME)))
    suite.clock.move(26)
    suite.store.commits.clear()

    grant = {"grant_type": "client_credentials"}
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "access token": lambda: suite.verifier.verify(signed_in.access_token),
        "password": lambda: suite.login(BOB),
        "refresh token": lambda: suite.refresh(signed_in.refresh_token),
        "API key": lambda: use(suite, key.text),
        "client": lambda: suite.endpoint.answer(grant, client.basic, "req_1"),
        "client, guessed": lambda: suite.endpoint.answer(grant, basic(client.id, "guess"), "req_1"),
        "API key, guessed": lambda: use(suite, forged(key.text, secret="0" * 22)),
        "service account": lambda: suite.machine_token(account, secret),
        "invitation": lambda: suite.invitations.accept(invited, PASSWORD, "Eve", "req_1"),
        "reset": lambda: suite.do.password_changes.reset(reset, "staple battery horse incorrect", "req_1"),
    }
    for name, way in ways.items():
        with pytest.raises(Error) as refused:
            await way()
        assert 400 <= refused.value.status < 500, name
    assert suite.store.commits == []
    await suite.add_tenant("tnt_globex", "globex")
    other = await applications.machine(suite, tenant_id="tnt_globex")
    asked = {"token": signed_in.refresh_token or ""}
    assert await suite.do.introspection.answer(asked, other.basic, "req_1") == INACTIVE
    await people.client.aclose()


async def test_t12_what_was_under_way_for_it_ends_quietly(suite: Suite) -> None:
    """Events that come late or twice: refused for good or nothing to do, and never tried again for ever."""
    people = People(suite)
    user = await people.add(BOB)
    await people.post("/v1/auth/password/forgot", {"tenant": "acme", "email": BOB})
    marker = Create(suite.store.platform().key("slugs", "marker"), {"tenant_id": "tnt_marker"})
    await suite.store.inner.commit(marker, Delete(tenant.key(suite.store, ACME)))
    for name, data in (
        ("tenant.activated", {}),
        ("user.deleted", {"user_id": user.id}),
        ("role.updated", {"role": "auditor"}),
        ("session.revoke.requested", {"reason": "abuse", "user_id": user.id}),
    ):
        with suppress(Rejected):
            await suite.deliver(name, data)
    forgot = {"tenant": "acme", "email": BOB}
    assert (await people.post("/v1/auth/password/forgot", forgot)).status_code == 202
    await suite.deliver_published("mail.requested")
    assert not suite.mailbox.exists()
    await people.client.aclose()
