"""Who was revoked a moment ago makes himself no new way in, though the door still knows his token."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from functions.auth.oauth.oauth_client_changes import ClientChange
from functions.auth.oauth.oauth_clients import Wanted
from shared.errors import Unauthenticated
from shared.identity import Principal
from tests.unit.auth.machine_door import ACTOR, ADMIN, MachineDoor
from tests.unit.auth.suite import ACME, Suite, principal

pytestmark = pytest.mark.anyio

OWNER = principal("owner")
CLIENT = Wanted("backdoor", "confidential", ("client_credentials",), ("usage:read",))
HERE = "192.0.2.7"


async def by_key(suite: Suite) -> tuple[str, Callable[[], Awaitable[object]]]:
    made = await suite.do.api_keys.create(OWNER, ACTOR, "leaked", list(ADMIN))
    token = (await suite.do.api_key_exchange.token(made.text, HERE, None, "req_1")).access_token
    return token, lambda: suite.do.api_keys.revoke(OWNER, ACTOR, made.key.id)


async def by_account(suite: Suite) -> tuple[str, Callable[[], Awaitable[object]]]:
    client, secret = await suite.add_machine(*ADMIN)
    account = client.partition(".")[2]
    do = suite.do.service_account_changes
    return await suite.machine_token(client, secret), lambda: do.update(
        OWNER, ACTOR, account, status="disabled"
    )


async def by_client(suite: Suite) -> tuple[str, Callable[[], Awaitable[object]]]:
    wanted = msgspec.structs.replace(CLIENT, scopes=tuple(ADMIN))
    made = await suite.do.oauth_clients.create(OWNER, ACTOR, wanted)
    token = await suite.machine_token(f"{ACME}.{made.client.id}", made.secret or "")
    do, disabled = suite.do.oauth_client_changes, ClientChange(status="disabled")
    return token, lambda: do.update(OWNER, ACTOR, made.client.id, disabled)


async def by_session(suite: Suite) -> tuple[str, Callable[[], Awaitable[object]]]:
    await suite.add_user()
    token = (await suite.login()).access_token
    who = await suite.verifier.verify(token)
    return token, lambda: suite.do.session_end.logout(who, ACTOR)


def ways_in(suite: Suite, who: Principal, other: str) -> list[Callable[[], Awaitable[object]]]:
    accounts, changes, keys = suite.service_accounts, suite.do.service_account_changes, suite.do.api_keys
    return [
        lambda: accounts.create(who, ACTOR, "backdoor", ["usage:read"]),
        lambda: keys.create(who, ACTOR, "backdoor", ["usage:read"]),
        lambda: changes.add_secret(who, ACTOR, other, None),
        lambda: suite.do.oauth_clients.create(who, ACTOR, CLIENT),
        lambda: changes.update(who, ACTOR, other, status="active", name="backdoor"),
    ]


@pytest.mark.parametrize("sign_in", [by_key, by_account, by_client, by_session])
async def test_nothing_is_made_with_the_token_of_somebody_who_was_ended(
    suite: Suite, sign_in: Callable[[Suite], Awaitable[tuple[str, Callable[[], Awaitable[object]]]]]
) -> None:
    """K6, K8: before the end it works, after it nothing does, and an end just ahead of the commit counts."""
    other = (await suite.add_machine("usage:read"))[0].partition(".")[2]
    token, end = await sign_in(suite)
    who = await suite.verifier.verify(token)
    for attempt in ways_in(suite, who, other):
        await attempt()
    before = await suite.service_accounts.page(ACME, 100, None), await suite.do.api_keys.page(ACME, 100, None)

    suite.store.before_commit = end
    for attempt in ways_in(suite, who, other):
        await suite.verifier.verify(token)
        with pytest.raises(Unauthenticated) as refused:
            await attempt()
        assert refused.value.code == "invalid_token"
    after = await suite.service_accounts.page(ACME, 100, None), await suite.do.api_keys.page(ACME, 100, None)
    names = [[(item.id, item.name) for item in listing.items] for listing in (*before, *after)]
    assert set(names[2]) == set(names[0])
    assert set(names[3]) <= set(names[1])


async def test_a_machine_may_change_itself(suite: Suite) -> None:
    client, secret = await suite.add_machine(*ADMIN)
    door = MachineDoor(suite, await suite.machine_token(client, secret))
    path = f"/v1/service-accounts/{client.partition('.')[2]}"
    assert (await door.ask("POST", f"{path}/secrets", {})).status_code == 201
    assert (await door.ask("DELETE", path)).status_code == 204
    assert (
        await door.ask("POST", "/v1/service-accounts", {"name": "x", "scopes": ["usage:read"]})
    ).status_code == 401
