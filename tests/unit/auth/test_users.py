"""What some people of a tenant see of others and do to them."""

import asyncio

import pytest

from functions.auth import records
from functions.auth.domain.people import User
from functions.auth.domain.roles import ROLES
from shared.errors import Unavailable
from shared.store.bodies import from_body
from tests.unit.auth.people import People, Person, add_old_invitations
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio

ADA, BOB = "ada@acme.test", "bob@acme.test"


async def ids(person: Person, query: str) -> list[str]:
    return [user["email"] for user in (await person.get(f"/v1/users?{query}"))["items"]]


async def test_people_are_found_by_status_role_and_address(suite: Suite, people: People, ada: Person) -> None:
    for index, role in enumerate(["member", "billing", "member"]):
        suite.clock.move(1)
        await people.add(f"user{index}@acme.test", role)
    third = await suite.users.page(ACME, 20, None)
    await ada.ask("POST", f"/v1/users/{third.items[3].id}/disable")
    assert await ids(ada, "role=member") == ["user0@acme.test", "user2@acme.test"]
    assert await ids(ada, "role=member&status=active") == ["user0@acme.test"]
    assert await ids(ada, "status=disabled") == ["user2@acme.test"]
    assert await ids(ada, "email=User1@ACME.test") == ["user1@acme.test"]
    assert await ids(ada, "email=nobody@acme.test") == []
    assert await ada.code("GET", "/v1/users?email=user1@acme.test&role=member") == (422, "invalid_field")
    assert await ada.code("GET", "/v1/users?status=deleted") == (422, "invalid_field")


async def test_a_disabled_user_is_out_at_once_and_with_access_tokens_within_the_bound(
    suite: Suite, people: People, ada: Person
) -> None:
    """R8, T10"""
    bob = await people.added(BOB)
    user_id = (await bob.get("/v1/me"))["subject"]
    assert (await ada.ask("POST", f"/v1/users/{user_id}/disable")).json()["status"] == "disabled"
    assert not await bob.can_refresh()
    assert not await bob.is_let_in()
    assert await ada.is_let_in()
    denied = await people.post("/v1/auth/login", {"tenant": "acme", "email": BOB, "password": "x"})
    assert (denied.status_code, denied.json()["code"]) == (401, "invalid_credentials")
    await ada.ask("POST", f"/v1/users/{user_id}/disable")
    assert (await suite.audit()).count("user.disable") == 1
    assert (await ada.ask("POST", f"/v1/users/{user_id}/enable")).json()["status"] == "active"
    assert not await bob.can_refresh(), "an old session comes back"
    assert await (await people.signed_in(BOB)).can_refresh()


async def test_a_refresh_that_a_disabling_overtakes_gives_nothing(
    suite: Suite, people: People, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R8: also before anything but the user's own document says so."""
    bob = await people.added(BOB)
    user_id = (await bob.get("/v1/me"))["subject"]

    async def nothing(*_: object) -> None:
        pass

    async def disable() -> None:
        await ada.ask("POST", f"/v1/users/{user_id}/disable")

    monkeypatch.setattr(suite.do.session_end, "end_all", nothing)
    suite.store.before_commit = disable
    assert not await bob.can_refresh()


async def test_another_role_takes_effect_without_signing_anybody_out(
    suite: Suite, people: People, ada: Person
) -> None:
    """R8"""
    bob = await people.added(BOB, "member")
    user_id = (await bob.get("/v1/me"))["subject"]
    before = bob.tokens.access_token
    changed = await ada.ask("PATCH", f"/v1/users/{user_id}", {"role": "read_only", "name": " Bobby "})
    assert (changed.json()["role"], changed.json()["name"]) == ("read_only", "Bobby")
    assert not await bob.is_let_in(), "tokens with the scopes of before"
    assert "users:read" in await bob.refreshed()
    assert bob.tokens.access_token != before
    assert (await bob.get("/v1/me"))["roles"] == ["read_only"]
    await ada.ask("PATCH", f"/v1/users/{user_id}", {"role": "member"})
    assert await bob.refreshed() == {"tenant:read", "usage:read"}
    assert (await suite.audit()).count("user.change_role") == 2
    assert len(suite.bus.events("user.role_changed")) == 2


async def test_the_last_owner_stays(suite: Suite, people: People, ada: Person) -> None:
    own_id = (await ada.get("/v1/me"))["subject"]
    one = f"/v1/users/{own_id}"
    refused = (409, "last_owner")
    assert await ada.code("PATCH", one, {"role": "admin"}) == refused
    assert await ada.code("POST", f"{one}/disable") == refused
    assert await ada.code("DELETE", one) == refused
    second = await people.add(BOB, "owner")
    await ada.ask("POST", f"/v1/users/{second.id}/disable")
    assert await ada.code("PATCH", one, {"role": "admin"}) == refused, "a disabled owner is none"
    await ada.ask("POST", f"/v1/users/{second.id}/enable")
    assert (await ada.ask("PATCH", one, {"role": "admin"})).status_code == 200


async def test_two_owners_who_let_each_other_go_at_once_leave_one(
    suite: Suite, people: People, ada: Person
) -> None:
    bob = await people.added(BOB, "owner")
    ada_id, bob_id = (await ada.get("/v1/me"))["subject"], (await bob.get("/v1/me"))["subject"]

    async def meanwhile() -> None:
        change = bob.ask("PATCH", f"/v1/users/{ada_id}", {"role": "member"})
        assert (await asyncio.create_task(change)).status_code == 200

    suite.store.before_commit = meanwhile
    assert await ada.code("POST", f"/v1/users/{bob_id}/disable") == (409, "last_owner")
    owners = [user for user in (await suite.users.page(ACME, 20, None)).items if user.role == "owner"]
    assert len(owners) == 1


async def test_nobody_touches_somebody_above(people: People, ada: Person) -> None:
    admin = await people.added(BOB, "admin")
    ada_id = (await ada.get("/v1/me"))["subject"]
    bob_id = (await admin.get("/v1/me"))["subject"]
    refused = (403, "role_not_grantable")
    for method, path, body in [
        ("PATCH", f"/v1/users/{ada_id}", {"name": "Nobody"}),
        ("PATCH", f"/v1/users/{ada_id}", {"role": "member"}),
        ("PATCH", f"/v1/users/{bob_id}", {"role": "owner"}),
        ("POST", f"/v1/users/{ada_id}/disable", None),
        ("POST", f"/v1/users/{ada_id}/enable", None),
        ("DELETE", f"/v1/users/{ada_id}", None),
        ("DELETE", f"/v1/users/{ada_id}/sessions", None),
    ]:
        assert await admin.code(method, path, body) == refused, (method, path)


async def test_a_deleted_user_leaves_ids_only_and_a_free_address(
    suite: Suite, people: People, ada: Person
) -> None:
    await suite.invite(BOB)
    open_invitation = await suite.invite(BOB)
    bob = await people.added(BOB)
    user_id = (await bob.get("/v1/me"))["subject"]
    assert (await ada.ask("DELETE", f"/v1/users/{user_id}")).status_code == 204
    assert not await bob.can_refresh()
    assert not await bob.is_let_in()
    assert await ada.code("GET", f"/v1/users/{user_id}") == (404, "user_not_found")
    assert await ada.code("DELETE", f"/v1/users/{user_id}") == (404, "user_not_found")
    accept = {"token": open_invitation, "password": "correct horse battery staple", "name": "Bob"}
    assert (await people.post("/v1/auth/invitations/accept", accept)).status_code == 422
    for kind in ("users", "logins", "invitations", "links", "audit"):
        assert BOB not in await documents(suite, kind), kind
    assert (await people.added(BOB)).tokens.access_token
    assert [event.data for event in suite.bus.events("user.deleted")]


async def test_hundreds_of_old_invitations_go_with_the_user_or_stay_with_the_user(
    suite: Suite, people: People, ada: Person
) -> None:
    bob = await people.added(BOB)
    await add_old_invitations(suite, BOB, 250)
    user_id = (await bob.get("/v1/me"))["subject"]

    async def down() -> None:
        raise Unavailable("store_unavailable", "The store did not answer.")

    suite.store.before_commit = down
    assert await ada.code("DELETE", f"/v1/users/{user_id}") == (503, "store_unavailable")
    assert (await documents(suite, "invitations")).count(BOB) >= 250
    assert (await ada.ask("DELETE", f"/v1/users/{user_id}")).status_code == 204
    assert BOB not in await documents(suite, "invitations")


async def documents(suite: Suite, kind: str) -> str:
    """All documents of a kind, as their text."""
    import sqlite3

    with sqlite3.connect(suite.folder / "store.db") as connection:
        rows = connection.execute("select * from docs").fetchall()
    return "\n".join(str(row) for row in rows if f"/{kind}" in str(row))


async def test_anothers_and_nobodys_user_are_the_same_404(suite: Suite, people: People, ada: Person) -> None:
    """T3, T5, T6"""
    await suite.add_tenant("tnt_globex", "globex")
    foreign = await people.add("eve@globex.test", "member", "tnt_globex")
    for method, path, body in [
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/disable", None),
        ("POST", "/enable", None),
        ("GET", "/sessions", None),
        ("DELETE", "/sessions", None),
        ("DELETE", "/sessions/ses_none", None),
    ]:
        answers = set()
        for user_id in (foreign.id, "usr_none", "__x__"):
            headers = {"X-Request-Id": "req_the_same"}
            answer = await ada.ask(method, f"/v1/users/{user_id}{path}", body, **headers)
            answers.add((answer.status_code, answer.content))
        assert {status for status, _ in answers} == {404}, (method, path)
        assert len(answers) == 1, (method, path)
    key = records.user_key(suite.store, "tnt_globex", foreign.id)
    doc = (await suite.store.inner.read(key))[0]
    assert doc is not None
    assert from_body(doc.body, User) == foreign


@pytest.mark.parametrize("field", ["tenant_id", "status", "email", "id", "epoch", "kept_session"])
@pytest.mark.parametrize("path", ["/v1/users/{id}", "/v1/me/profile"])
async def test_nothing_but_what_is_meant_can_be_set(
    people: People, ada: Person, path: str, field: str
) -> None:
    """L19"""
    own_id = (await ada.get("/v1/me"))["subject"]
    answer = await ada.ask("PATCH", path.replace("{id}", own_id), {"name": "Ada", field: "active"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unknown_field")


@pytest.mark.parametrize("role", ["nonsense", "Owner", "", "a" * 33, None, 7, ["owner"], "operator"])
async def test_a_role_that_is_none_is_refused(people: People, ada: Person, role: object) -> None:
    """L19"""
    bob = await people.add(BOB)
    answer = await ada.ask("PATCH", f"/v1/users/{bob.id}", {"role": role})
    assert answer.status_code == (403 if role == "operator" else 422)
    invited = await ada.ask("POST", "/v1/invitations", {"email": "x@acme.test", "role": role})
    assert invited.status_code == answer.status_code
    if role == "nonsense":
        assert all(known in invited.json()["detail"] for known in (*ROLES, "GET /v1/roles"))
