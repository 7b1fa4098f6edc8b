"""Nobody comes to more than they have: not by a token that outlives a role, nor by an application's."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from functions.auth.domain.roles import TENANT_SCOPES
from shared.store import Replace, Version, Write
from tests.unit.auth import applications
from tests.unit.auth.browser import add_client
from tests.unit.auth.machine_door import ACTOR, MachineDoor
from tests.unit.auth.people import People, Person
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite, principal

pytestmark = pytest.mark.anyio

ADMIN = "admin@acme.test"
AUDITOR = "auditor@acme.test"
SCOPES = ["tenant:read", "usage:read", "users:read", "users:write", "roles:write", "service_accounts:write"]
WAYS_IN: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/v1/invitations", {"email": "second@acme.test", "role": "member"}),
    ("POST", "/v1/roles", {"name": "more", "scopes": ["usage:read"]}),
    ("PATCH", "/v1/roles/auditor", {"scopes": ["usage:read"]}),
    ("POST", "/v1/service-accounts", {"name": "more", "scopes": ["usage:read"]}),
)


class Insider:
    """Somebody with a role that is about to be taken, and an access token that is still let in."""

    def __init__(self, people: People, owner: Person, user_id: str, person: Person) -> None:
        self.people = people
        self.owner = owner
        self.user_id = user_id
        self.person = person

    async def own(self, method: str, what: str = "", body: Any = None) -> httpx.Response:
        return await self.person.ask(method, f"/v1/users/{self.user_id}{what}", body)


async def insider(suite: Suite, email: str = ADMIN, role: str = "admin") -> Insider:
    people = People(suite)
    owner = await people.added(OWNER, "owner")
    await owner.ask("POST", "/v1/roles", {"name": "auditor", "scopes": SCOPES})
    user = await people.add(email, role)
    person = await people.signed_in(email)
    assert (await person.ask("GET", "/v1/users")).status_code == 200
    return Insider(people, owner, user.id, person)


async def demoted(who: Insider) -> None:
    await who.owner.ask("PATCH", f"/v1/users/{who.user_id}", {"role": "member"})


async def disabled(who: Insider) -> None:
    await who.owner.ask("POST", f"/v1/users/{who.user_id}/disable")


async def deleted(who: Insider) -> None:
    await who.owner.ask("DELETE", f"/v1/users/{who.user_id}")


async def signed_out(who: Insider) -> None:
    await who.owner.ask("DELETE", f"/v1/users/{who.user_id}/sessions")


ENDS: list[Callable[[Insider], Awaitable[None]]] = [demoted, disabled, deleted, signed_out]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_who_loses_access_makes_no_way_back_with_a_token_that_is_still_let_in(
    suite: Suite, end: Callable[[Insider], Awaitable[None]]
) -> None:
    """R8: the door learns of it within 30 s; what lasts longer than that is refused at once."""
    who = await insider(suite)
    await end(who)
    for method, path, body in WAYS_IN:
        refused = await who.person.ask(method, path, body)
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token"), path
    assert (await who.person.ask("GET", "/v1/users")).status_code == 200


async def test_nobody_takes_back_what_was_taken_from_them(suite: Suite) -> None:
    """R8: a role and an account."""
    who = await insider(suite)
    await demoted(who)
    assert (await who.own("PATCH", "", {"role": "admin"})).status_code == 401
    await disabled(who)
    assert (await who.own("POST", "/enable")).status_code == 401
    user = await suite.users.get(ACME, who.user_id)
    assert (user.role, user.status) == ("member", "disabled")


async def test_a_role_that_is_taken_just_ahead_of_the_commit_counts(suite: Suite) -> None:
    who = await insider(suite)

    async def demote() -> None:
        await suite.do.user_changes.change(principal("owner"), ACTOR, who.user_id, None, "member")

    suite.store.before_commit = demote
    assert (await who.own("PATCH", "", {"name": "Still admin"})).status_code == 401
    assert (await suite.users.get(ACME, who.user_id)).role == "member"


async def test_a_role_of_the_tenants_own_that_lost_scopes_hands_none_of_them_on(suite: Suite) -> None:
    who = await insider(suite, AUDITOR, "auditor")
    machine = {"name": "export", "scopes": ["usage:read"]}
    assert (await who.person.ask("POST", "/v1/service-accounts", machine)).status_code == 201
    less = {"scopes": ["users:read"]}
    assert (await who.owner.ask("PATCH", "/v1/roles/auditor", less)).status_code == 200
    assert (await who.person.ask("POST", "/v1/service-accounts", machine)).status_code == 401


async def test_a_machine_that_lost_scopes_hands_none_of_them_on(suite: Suite) -> None:
    """K8"""
    client, secret = await suite.add_machine("service_accounts:write", "usage:read", "users:read")
    door = MachineDoor(suite, await suite.machine_token(client, secret))
    machine = {"name": "export", "scopes": ["users:read"]}
    assert (await door.ask("POST", "/v1/service-accounts", machine)).status_code == 201
    await suite.do.service_account_changes.update(
        principal("owner"),
        ACTOR,
        client.partition(".")[2],
        scopes=["service_accounts:write", "usage:read"],
    )
    assert (await door.ask("POST", "/v1/service-accounts", machine)).status_code == 401


async def test_a_step_up_gives_what_the_role_stands_for_now(suite: Suite) -> None:
    """R8: a fresh token is not refused for its age, so it has nothing of the role that was taken."""
    who = await insider(suite)
    await demoted(who)
    suite.clock.move(2)
    answer = await who.person.ask("POST", "/v1/auth/step-up", {"password": PASSWORD})
    assert answer.status_code == 200
    assert set(answer.json()["scope"].split()) == {"tenant:read", "usage:read"}
    fresh = await suite.verifier.verify(answer.json()["access_token"])
    assert fresh.roles == ("member",)


async def test_an_application_gives_no_role_that_its_own_scopes_do_not_cover(suite: Suite) -> None:
    """An owner let it change users. It makes no owner of somebody, nor an admin."""
    who = await insider(suite)
    application = await applications.register(
        suite, scopes=("openid", "tenant:read", "usage:read", "users:write")
    )
    owner = next(user for user in (await suite.users.page(ACME, 10, None)).items if user.role == "owner")
    token = (await applications.given(suite, application, owner)).access_token
    for role, status in (("owner", 403), ("admin", 403), ("auditor", 403), ("member", 201)):
        answer = await who.people.client.post(
            "/v1/invitations",
            json={"email": f"new_{role}@acme.test", "role": role},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == status, role


async def test_an_admin_becomes_no_owner_by_an_application_that_an_owner_opens(suite: Suite) -> None:
    """R8: an admin has all scopes of an owner and may hand them to an application; nobody is asked there."""
    who = await insider(suite)
    application = await applications.register(suite, scopes=tuple(sorted(TENANT_SCOPES)))
    owner = next(user for user in (await suite.users.page(ACME, 10, None)).items if user.role == "owner")
    bearer = {"Authorization": f"Bearer {(await applications.given(suite, application, owner)).access_token}"}
    asks: tuple[tuple[str, str, Any], ...] = (
        ("PATCH", f"/v1/users/{who.user_id}", {"role": "owner"}),
        ("PATCH", f"/v1/users/{owner.id}", {"role": "member"}),
        ("POST", "/v1/invitations", {"email": "second@acme.test", "role": "owner"}),
        ("POST", f"/v1/users/{who.user_id}/disable", None),
        ("DELETE", f"/v1/users/{owner.id}/sessions", None),
    )
    for method, path, body in asks:
        answer = await who.people.client.request(method, path, json=body, headers=bearer)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_not_grantable"), path
    assert (await who.own("GET")).json()["role"] == "admin"


@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uris": ["https://app.example/callback", "https://elsewhere.example/callback"]},
        {"resources": ["https://elsewhere.example"]},
        {"grant_types": ["authorization_code", "refresh_token", "client_credentials"]},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_client_is_led_elsewhere_only_by_who_has_its_scopes(
    suite: Suite, change: dict[str, list[str]]
) -> None:
    """Whoever names the address that codes are sent to gets what they are worth."""
    await add_client(
        suite, scopes=("openid", "users:read", "users:write"), grant_types=("authorization_code",)
    )
    less = MachineDoor(
        suite, await suite.machine_token(*await suite.add_machine("clients:write", "users:read"))
    )
    enough = MachineDoor(
        suite,
        await suite.machine_token(*await suite.add_machine("clients:write", "users:read", "users:write")),
    )
    refused = await less.ask("PATCH", "/v1/clients/cli_web", change)
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_not_grantable")
    assert (await less.ask("PATCH", "/v1/clients/cli_web", {"name": "Reports"})).status_code == 200
    assert (await enough.ask("PATCH", "/v1/clients/cli_web", change)).status_code == 200


@pytest.mark.parametrize("kind", ["clients", "service-accounts"])
async def test_nobody_makes_a_machine_small_enough_to_be_given_a_way_in(suite: Suite, kind: str) -> None:
    """K8: given back its scopes, it would hand them to the secret or the address that was added meanwhile."""
    account, _ = await suite.add_machine("usage:read", "users:write")
    await add_client(suite, scopes=("openid", "usage:read", "users:write"))
    one = f"/v1/{kind}/{'cli_web' if kind == 'clients' else account.partition('.')[2]}"
    may_write = f"{kind.replace('-', '_')}:write"
    less = MachineDoor(suite, await suite.machine_token(*await suite.add_machine(may_write, "usage:read")))
    enough = MachineDoor(
        suite, await suite.machine_token(*await suite.add_machine(may_write, "usage:read", "users:write"))
    )
    smaller: dict[str, Any] = {"scopes": ["usage:read"]}
    led_elsewhere = {"redirect_uris": ["https://elsewhere.example/callback"]} if kind == "clients" else {}
    for change in (smaller, smaller | led_elsewhere, smaller | {"status": "active"}):
        refused = await less.ask("PATCH", one, change)
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_not_grantable"), change
    assert (await enough.ask("PATCH", one, smaller)).status_code == 200
    for change in ({"name": "Reports"}, {"status": "disabled"}):
        assert (await less.ask("PATCH", one, change)).status_code == 200


async def test_a_client_that_was_disabled_is_enabled_only_by_who_has_its_scopes(suite: Suite) -> None:
    """Whoever holds its secret would be back."""
    await add_client(suite, scopes=("openid", "users:write"), status="disabled")
    less = MachineDoor(suite, await suite.machine_token(*await suite.add_machine("clients:write")))
    enough = MachineDoor(
        suite, await suite.machine_token(*await suite.add_machine("clients:write", "users:write"))
    )
    for door, status in ((less, 403), (enough, 200)):
        answer = await door.ask("PATCH", "/v1/clients/cli_web", {"status": "active"})
        assert answer.status_code == status


async def test_a_key_is_not_prolonged_by_who_was_ended(suite: Suite) -> None:
    """K6: the key may be one that somebody copied."""
    who = await insider(suite)
    made = await suite.do.api_keys.create(principal("owner"), ACTOR, "export", ["usage:read"])
    await signed_out(who)
    answer = await who.person.ask("PATCH", f"/v1/api-keys/{made.key.id}", {"ip_ranges": ["0.0.0.0/0"]})
    assert answer.status_code == 401


async def test_nobody_keeps_off_their_own_end_by_refreshing_without_a_pause(suite: Suite) -> None:
    """R8: whoever is to be disabled moves a session on ahead of every commit that would do it."""
    who = await insider(suite)
    commit, moved = suite.store.commit, 0

    async def overtaken(*writes: Write) -> list[Version | None]:
        nonlocal moved
        if moved < 100 and any(
            isinstance(write, Replace) and write.key.id == who.user_id for write in writes
        ):
            moved += 1
            await who.person.refreshed()
        return await commit(*writes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suite.store, "commit", overtaken)
        assert (await who.owner.ask("POST", f"/v1/users/{who.user_id}/disable")).status_code == 200
    assert moved == 1
    assert not await who.person.can_refresh()


async def test_nobody_keeps_off_their_own_end_by_renaming_without_a_pause(suite: Suite) -> None:
    """Each renaming makes whoever changes the same document look again, and there are thirty looks."""
    who = await insider(suite)
    answers = [await who.person.ask("PATCH", "/v1/me/profile", {"name": f"Ada {i}"}) for i in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) <= 60
    suite.clock.move(60)
    assert (await who.person.ask("PATCH", "/v1/me/profile", {"name": "Ada"})).status_code == 200
