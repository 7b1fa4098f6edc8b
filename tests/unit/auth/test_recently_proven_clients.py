"""A client whose secret was right is believed for 25 seconds; what changes meanwhile still has its end."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import NoReturn

import pytest

from functions.auth.oauth import client_authentication
from functions.auth.oauth.client_authentication import AuthenticatedClient
from functions.auth.oauth.oauth_client_changes import ClientChange
from shared.audit import Actor
from shared.errors import OAuthError, Unauthenticated, Unavailable
from shared.identity import Verifier
from shared.store import Write
from tests.tokens import ISSUER
from tests.unit.auth.applications import (
    Application,
    add_key,
    ask,
    assertion,
    basic,
    machine,
    refusal,
    register,
)
from tests.unit.auth.suite import ACME, Suite, principal

pytestmark = pytest.mark.anyio

ACTOR = Actor("user", "usr_test", ACME)
OWNER = principal("owner")
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
async def client(suite: Suite) -> Application:
    return await machine(suite, "usage:read", "invoices:read")


@pytest.fixture
async def elsewhere(suite: Suite) -> AsyncIterator[Suite]:
    """Another process of the same function."""
    other = Suite(suite.folder, suite.store.inner, suite.clock)
    await other.assemble()
    yield other
    other.passwords.close()


async def recently(suite: Suite, header: str) -> AuthenticatedClient:
    return await suite.do.clients.recently({}, header, "req_1")


async def is_over(suite: Suite, token: str) -> bool:
    """To a process that knew nothing before."""
    try:
        await Verifier(suite.publishing, ISSUER, ISSUER, suite.clock).verify(token)
    except Unauthenticated:
        return True
    return False


async def test_the_second_token_needs_no_read(suite: Suite, client: Application) -> None:
    first = await ask(suite, GRANT, client.basic)
    suite.store.reads.clear()
    second = await ask(suite, GRANT, client.basic)
    assert suite.store.reads == []
    assert second.access_token != first.access_token
    assert (await suite.verifier.verify(second.access_token)).client_id == client.id


async def test_a_service_account_and_the_other_way_to_send_a_secret_alike(suite: Suite) -> None:
    account, secret = await suite.add_machine("usage:read")
    form = GRANT | {"client_id": account, "client_secret": secret}
    await ask(suite, form)
    suite.store.reads.clear()
    await ask(suite, form)
    assert suite.store.reads == []


async def test_no_other_secret_passes_for_it(suite: Suite, client: Application) -> None:
    await ask(suite, GRANT, client.basic)
    for header in (basic(client.id, client.secret + "x"), basic(client.id, ""), basic("x" + client.id, "y")):
        assert (await refusal(suite, GRANT, header)).code == "invalid_client"
    both = GRANT | {"client_secret": client.secret}
    assert (await refusal(suite, both, client.basic)).code == "invalid_request"


async def test_a_secret_that_was_right_is_no_other_clients(suite: Suite, client: Application) -> None:
    other = await machine(suite, "usage:read")
    secret = GRANT | {"client_secret": client.secret}
    assert (await ask(suite, secret | {"client_id": client.id})).access_token
    assert (await refusal(suite, secret | {"client_id": other.id})).code == "invalid_client"
    assert (await refusal(suite, secret)).code == "invalid_client"


async def test_what_was_refused_is_looked_up_again_so_a_new_secret_works_at_once(
    suite: Suite, client: Application, elsewhere: Suite
) -> None:
    await ask(suite, GRANT, client.basic)
    assert (await refusal(suite, GRANT, basic(client.id, "sk_soon"))).code == "invalid_client"
    added = await elsewhere.do.oauth_client_changes.add_secret(OWNER, ACTOR, client.client.id, None)
    assert (await ask(suite, GRANT, basic(client.id, added.text))).access_token


async def test_an_assertion_is_checked_each_time(suite: Suite, client: Application) -> None:
    """RFC 7523 §3: each is good once."""
    await add_key(suite, client, "ES256")
    proof = assertion(suite, client.id)
    await ask(suite, GRANT | proof)
    assert (await refusal(suite, GRANT | proof)).code == "invalid_client"


async def test_a_secret_that_was_removed_elsewhere_works_25_seconds_at_most(
    suite: Suite, client: Application, elsewhere: Suite
) -> None:
    await ask(suite, GRANT, client.basic)
    changes = elsewhere.do.oauth_client_changes
    await changes.remove(OWNER, ACTOR, client.client.id, "secrets", client.client.secrets[0].id)
    suite.clock.move(24.9)
    assert (await recently(suite, client.basic)).client_id == client.id
    suite.clock.move(0.1)
    assert (await refusal(suite, GRANT, client.basic)).code == "invalid_client"


async def test_what_changes_in_this_process_counts_at_once(suite: Suite, client: Application) -> None:
    changes = suite.do.oauth_client_changes
    await ask(suite, GRANT, client.basic)
    await changes.update(OWNER, ACTOR, client.client.id, ClientChange(scopes=("usage:read",)))
    assert (await ask(suite, GRANT, client.basic)).scope == "usage:read"
    await changes.delete(OWNER, ACTOR, client.client.id)
    assert (await refusal(suite, GRANT, client.basic)).code == "invalid_client"

    account, secret = await suite.add_machine("usage:read")
    await ask(suite, GRANT, basic(account, secret))
    await suite.do.service_account_changes.update(OWNER, ACTOR, account.partition(".")[2], status="disabled")
    assert (await refusal(suite, GRANT, basic(account, secret))).code == "invalid_client"


async def test_a_change_whose_answer_was_lost_counts_too(
    suite: Suite, client: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(suite, GRANT, client.basic)
    commit = suite.store.commit

    async def lost(*writes: Write) -> NoReturn:
        await commit(*writes)
        raise Unavailable("store_unavailable", "The store did not answer. Try again.")

    monkeypatch.setattr(suite.store, "commit", lost)
    with pytest.raises(Unavailable):
        await suite.do.oauth_client_changes.delete(OWNER, ACTOR, client.client.id)
    monkeypatch.undo()
    assert (await refusal(suite, GRANT, client.basic)).code == "invalid_client"


async def test_what_changes_while_it_is_looked_up_is_not_kept(suite: Suite, client: Application) -> None:
    async def deleted() -> None:
        await suite.do.oauth_client_changes.delete(OWNER, ACTOR, client.client.id)

    suite.store.after_read = deleted
    await ask(suite, GRANT, client.basic)
    assert (await refusal(suite, GRANT, client.basic)).code == "invalid_client"


async def test_a_suspended_tenant_gets_none_after_25_seconds(suite: Suite, client: Application) -> None:
    await ask(suite, GRANT, client.basic)
    await suite.set_status("suspended")
    suite.clock.move(25)
    assert (await refusal(suite, GRANT, client.basic)).code == "unauthorized_client"


async def test_a_deadline_is_kept_to_the_instant(suite: Suite, client: Application) -> None:
    """K5: also where it comes within the 25 seconds."""
    changes = suite.do.oauth_client_changes
    await changes.add_secret(OWNER, ACTOR, client.client.id, None)
    secret_id = client.client.secrets[0].id
    deadline = suite.clock() + timedelta(seconds=10)
    await changes.expire(OWNER, ACTOR, client.client.id, "secrets", secret_id, deadline)
    await ask(suite, GRANT, client.basic)
    suite.clock.move(9.999_999)
    assert (await ask(suite, GRANT, client.basic)).access_token
    suite.clock.move(0.000_001)
    assert (await refusal(suite, GRANT, client.basic)).code == "invalid_client"


@pytest.mark.parametrize("change", [ClientChange(status="disabled"), ClientChange(scopes=("usage:read",))])
async def test_a_token_from_memory_is_as_old_as_what_was_looked_up(
    suite: Suite, client: Application, elsewhere: Suite, change: ClientChange
) -> None:
    """So whatever has changed since ends it, like those that were out before."""
    await ask(suite, GRANT, client.basic)
    suite.clock.move(10)
    await elsewhere.do.oauth_client_changes.update(OWNER, ACTOR, client.client.id, change)
    suite.clock.move(10)
    late = await ask(suite, GRANT, client.basic)
    assert await is_over(suite, late.access_token)


async def test_a_suspension_ends_what_was_given_from_memory_for_good(
    suite: Suite, client: Application
) -> None:
    await ask(suite, GRANT, client.basic)
    suite.clock.move(10)
    await suite.set_status("suspended")
    suite.clock.move(10)
    late = await ask(suite, GRANT, client.basic)
    await suite.set_status("active")
    assert await is_over(suite, late.access_token)


async def test_expires_in_says_how_long_the_token_lives(suite: Suite, client: Application) -> None:
    assert (await ask(suite, GRANT, client.basic)).expires_in == 600
    suite.clock.move(20)
    late = await ask(suite, GRANT, client.basic)
    assert late.expires_in == 580
    suite.clock.move(579)
    assert not await is_over(suite, late.access_token)
    suite.clock.move(1)
    assert await is_over(suite, late.access_token)


async def test_only_what_gives_no_person_a_token_is_answered_from_memory(
    suite: Suite, client: Application, elsewhere: Suite
) -> None:
    await ask(suite, GRANT, client.basic)
    await elsewhere.do.oauth_client_changes.delete(OWNER, ACTOR, client.client.id)
    for grant_type in ("refresh_token", "authorization_code"):
        assert (await refusal(suite, {"grant_type": grant_type}, client.basic)).code == "invalid_client"


async def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(
    suite: Suite, client: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_authentication, "MAX_KEPT", 2)
    others = [await suite.add_machine("usage:read") for _ in range(2)]
    for header in (client.basic, *(basic(*other) for other in others)):
        await recently(suite, header)
    suite.store.reads.clear()
    for header in reversed([client.basic, *(basic(*other) for other in others)]):
        await recently(suite, header)
    ((first, _),) = suite.store.reads
    assert first.endswith(client.client.id)


async def test_who_is_nobody_takes_no_place(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has no secret, the app among them, and whoever is refused."""
    monkeypatch.setattr(client_authentication, "MAX_KEPT", 1)
    account, secret = await suite.add_machine("usage:read")
    await recently(suite, basic(account, secret))
    assert (await suite.do.clients.recently({}, None, "req_1")).kind == "app"
    public = {"client_id": (await register(suite, kind="public")).id}
    assert (await suite.do.clients.recently(public, None, "req_1")).method == "none"
    with pytest.raises(OAuthError):
        await recently(suite, basic(account, "guess"))
    suite.store.reads.clear()
    await recently(suite, basic(account, secret))
    assert suite.store.reads == []
