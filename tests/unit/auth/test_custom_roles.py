"""Roles that a tenant makes for itself."""

import asyncio
from typing import Any

import pytest

from tests.unit.auth.people import People, Person
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio

AUDITOR = {"name": "auditor", "description": " Reads. ", "scopes": ["invoices:read", "audit:read"]}


async def made(person: Person, **changes: Any) -> Any:
    answer = await person.ask("POST", "/v1/roles", AUDITOR | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_role_is_made_given_and_stands_for_its_scopes(
    suite: Suite, people: People, ada: Person
) -> None:
    role = await made(ada)
    assert (role["name"], role["description"]) == ("auditor", "Reads.")
    assert role["scopes"] == ["audit:read", "invoices:read"]
    assert await ada.get("/v1/roles/auditor") == role
    assert (await ada.get("/v1/roles"))["items"] == [role]
    bob = await people.added("bob@acme.test", "auditor")
    assert set((await bob.get("/v1/me"))["scopes"]) == {"audit:read", "invoices:read"}
    assert await bob.refreshed() == {"audit:read", "invoices:read"}
    assert (await suite.audit()).count("role.create") == 1
    assert len(suite.bus.events("role.created")) == 1


async def test_somebody_is_invited_to_a_role_of_the_tenants_own(
    suite: Suite, people: People, ada: Person
) -> None:
    await made(ada)
    token = await suite.invite("bob@acme.test", "auditor")
    accept = {"token": token, "password": "correct horse battery staple", "name": "Bob"}
    accepted = await people.post("/v1/auth/invitations/accept", accept)
    assert accepted.json()["role"] == "auditor"
    bob = await people.signed_in("bob@acme.test")
    assert set((await bob.get("/v1/me"))["scopes"]) == {"audit:read", "invoices:read"}


async def test_a_refresh_looks_the_role_up_once(suite: Suite, people: People, ada: Person) -> None:
    """What the token says is what was looked up when it was decided."""
    await made(ada)
    bob = await people.added("bob@acme.test", "auditor")
    await bob.refreshed()
    suite.store.reads.clear()
    assert await bob.refreshed() == {"audit:read", "invoices:read"}
    assert len([keys for keys in suite.store.reads if keys[0].endswith("/roles/auditor")]) == 1


async def test_other_scopes_of_a_role_are_its_peoples_with_the_next_token(
    suite: Suite, people: People, ada: Person
) -> None:
    """R8: the tokens of before end with the commit, and those that were made meanwhile by the event."""
    await made(ada)
    bob = await people.added("bob@acme.test", "auditor")
    meanwhile = await people.signed_in("bob@acme.test")
    changed = await ada.ask("PATCH", "/v1/roles/auditor", {"scopes": ["usage:read"]})
    assert (changed.json()["scopes"], changed.json()["description"]) == (["usage:read"], "Reads.")
    assert not await bob.is_let_in()
    assert await bob.refreshed() == {"usage:read"}
    assert await bob.is_let_in()
    meanwhile.tokens = await suite.refresh(meanwhile.tokens.refresh_token)
    for _ in range(2):
        await suite.deliver_published("role.updated")
    assert not await bob.is_let_in()
    assert not await meanwhile.is_let_in()
    assert await bob.refreshed() == {"usage:read"}
    assert await ada.is_let_in()


async def test_however_many_have_a_role_its_change_is_one_record(
    suite: Suite, people: People, ada: Person
) -> None:
    await made(ada)
    for number in range(120):
        await people.add(f"user{number}@acme.test", "auditor")
    suite.store.commits.clear()
    await ada.ask("PATCH", "/v1/roles/auditor", {"scopes": ["usage:read"]})
    await suite.deliver_published("role.updated")
    written = [write.key.path for commit in suite.store.commits for write in commit]
    assert len([path for path in written if "/revocations/" in path]) == 2


async def test_a_role_gets_and_loses_no_scope_that_its_maker_lacks(people: People, ada: Person) -> None:
    await made(ada, name="role_maker", scopes=["roles:write", "users:write", "usage:read"])
    await made(ada)
    maker = await people.added("bob@acme.test", "role_maker")
    refused = (403, "scope_not_grantable")
    assert await maker.code("POST", "/v1/roles", AUDITOR | {"name": "other"}) == refused
    assert await maker.code("PATCH", "/v1/roles/auditor", {"scopes": ["usage:read"]}) == refused
    assert await maker.code("DELETE", "/v1/roles/auditor") == refused
    assert await maker.code("PATCH", "/v1/roles/role_maker", {"scopes": ["audit:read"]}) == refused
    invitation = {"email": "x@acme.test", "role": "auditor"}
    assert await maker.code("POST", "/v1/invitations", invitation) == (403, "role_not_grantable")
    assert await maker.code("POST", "/v1/roles", AUDITOR | {"name": "other", "scopes": ["usage:read"]}) == (
        201,
        "",
    )


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"name": "owner"}, 409, "role_exists"),
        ({"name": "operator"}, 409, "role_exists"),
        ({"name": "Auditor"}, 422, "invalid_field"),
        ({"name": "_"}, 422, "invalid_field"),
        ({"name": "a_"}, 422, "invalid_field"),
        ({"name": "a" * 33}, 422, "invalid_field"),
        ({"scopes": []}, 422, "invalid_field"),
        ({"scopes": ["root"]}, 422, "invalid_field"),
        ({"scopes": ["platform:tenants:write"]}, 422, "invalid_field"),
        ({"scopes": ["openid"]}, 422, "invalid_field"),
        ({"description": "a\nb"}, 422, "invalid_field"),
        ({"tenant_id": "tnt_globex"}, 422, "invalid_field"),
    ],
)
async def test_what_is_no_role_is_refused(
    ada: Person, changes: dict[str, Any], status: int, code: str
) -> None:
    """L19"""
    assert await ada.code("POST", "/v1/roles", AUDITOR | changes) == (status, code)


async def test_a_name_is_there_once_and_a_repeated_request_is_answered_again(ada: Person) -> None:
    first = await ada.ask("POST", "/v1/roles", AUDITOR, **{"Idempotency-Key": "k1"})
    again = await ada.ask("POST", "/v1/roles", AUDITOR, **{"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert await ada.code("POST", "/v1/roles", AUDITOR) == (409, "role_exists")


async def test_a_role_is_deleted_once_nobody_has_it_or_is_invited_to_it(
    suite: Suite, people: People, ada: Person
) -> None:
    await made(ada)
    await suite.invite("bob@acme.test", "auditor")
    in_use = (409, "role_in_use")
    assert await ada.code("DELETE", "/v1/roles/auditor") == in_use
    suite.clock.move(7 * 86_400)
    ada = await people.signed_in("ada@acme.test")
    carol = await people.add("carol@acme.test", "auditor")
    assert await ada.code("DELETE", "/v1/roles/auditor") == in_use
    await ada.ask("PATCH", f"/v1/users/{carol.id}", {"role": "member"})
    assert (await ada.ask("DELETE", "/v1/roles/auditor")).status_code == 204
    assert await ada.code("GET", "/v1/roles/auditor") == (404, "role_not_found")
    (expired,) = (await suite.invitations.page(ACME, 20, None)).items
    resend = f"/v1/invitations/{expired.id}/resend"
    assert await ada.code("POST", resend) == (422, "invalid_field"), "to a role that is gone"


async def test_a_role_that_is_given_meanwhile_is_not_deleted(
    suite: Suite, people: People, ada: Person
) -> None:
    await made(ada)
    bob = await people.add("bob@acme.test")

    async def give() -> None:
        given = ada.ask("PATCH", f"/v1/users/{bob.id}", {"role": "auditor"})
        assert (await asyncio.create_task(given)).status_code == 200

    suite.store.before_commit = give
    assert await ada.code("DELETE", "/v1/roles/auditor") == (409, "role_in_use")


async def test_whoever_has_a_role_that_is_gone_may_do_nothing(people: People, ada: Person) -> None:
    ghost = await people.added("bob@acme.test", "ghost")
    assert (await ghost.get("/v1/me"))["scopes"] == []
    assert await ghost.code("GET", "/v1/users") == (403, "insufficient_scope")


async def test_roles_are_their_tenants_own(suite: Suite, people: People, ada: Person) -> None:
    """T3, T6"""
    await made(ada)
    await suite.add_tenant("tnt_globex", "globex")
    eve = await people.added("eve@globex.test", "owner", "tnt_globex")
    assert (await eve.get("/v1/roles"))["items"] == []
    answers = set()
    for name in ("auditor", "nobody", "__x__", "Auditor"):
        for method, body in (("GET", None), ("PATCH", {"description": "x"}), ("DELETE", None)):
            answer = await eve.ask(method, f"/v1/roles/{name}", body, **{"X-Request-Id": "req_the_same"})
            answers.add((answer.status_code, answer.content))
    assert len(answers) == 1
    invitation = {"email": "x@globex.test", "role": "auditor"}
    assert await eve.code("POST", "/v1/invitations", invitation) == (422, "invalid_field")
