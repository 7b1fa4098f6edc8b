"""Where people are signed in, and how that ends."""

import asyncio

import pytest

from tests.unit.auth.machine_door import admin
from tests.unit.auth.people import People, Person
from tests.unit.auth.suite import Suite

pytestmark = pytest.mark.anyio

ADA, BOB = "ada@acme.test", "bob@acme.test"
MINE = "/v1/me/sessions"


async def session_id(person: Person) -> str:
    found: str = (await person.get("/v1/me"))["session_id"]
    return found


async def test_people_see_where_they_are_signed_in(suite: Suite, people: People, ada: Person) -> None:
    suite.clock.move(60)
    other = await people.signed_in(ADA)
    suite.clock.move(60)
    await other.refreshed()
    first, second = (await ada.get(MINE))["items"]
    assert (first["id"], first["current"]) == (await session_id(ada), True)
    assert (second["id"], second["current"]) == (await session_id(other), False)
    assert (second["client_id"], second["amr"]) == ("energent-app", ["pwd"])
    assert (second["created_at"], second["last_used_at"]) == ("2026-03-04T12:01:00Z", "2026-03-04T12:02:00Z")
    page = await ada.get(f"{MINE}?limit=1")
    rest = await ada.get(f"{MINE}?limit=1&cursor={page['next_cursor']}")
    assert [item["id"] for item in page["items"] + rest["items"]] == [first["id"], second["id"]]


async def test_a_machine_is_told_that_this_is_for_people(suite: Suite) -> None:
    """Not that a session of its is unknown, nor that all of them have ended."""
    door = await admin(suite)
    for method, path in (("GET", MINE), ("DELETE", MINE), ("DELETE", f"{MINE}/ses_1")):
        answer = await door.ask(method, path)
        assert (answer.status_code, answer.json()["code"]) == (403, "no_session")


async def test_what_is_over_is_not_seen(suite: Suite, people: People, ada: Person) -> None:
    other = await people.signed_in(ADA)
    assert (await other.ask("POST", "/v1/auth/logout")).status_code == 204
    assert [item["current"] for item in (await ada.get(MINE))["items"]] == [True]
    suite.clock.move(7 * 86_400)
    late = await people.signed_in(ADA)
    assert [item["id"] for item in (await late.get(MINE))["items"]] == [await session_id(late)]


async def test_one_of_ones_own_is_ended(suite: Suite, people: People, ada: Person) -> None:
    """R7"""
    other = await people.signed_in(ADA)
    path = f"{MINE}/{await session_id(other)}"
    for _ in range(2):
        assert (await ada.ask("DELETE", path)).status_code == 204
    assert not await other.can_refresh()
    assert await ada.can_refresh()
    assert not await other.is_let_in()
    assert await ada.is_let_in()
    assert (await suite.audit()).count("session.revoke") == 1


async def test_all_others_of_ones_own_are_ended(people: People, ada: Person) -> None:
    others = [await people.signed_in(ADA) for _ in range(3)]
    bob = await people.added(BOB)
    assert (await ada.ask("DELETE", MINE)).status_code == 204
    assert [await other.can_refresh() for other in others] == [False, False, False]
    assert await ada.can_refresh()
    assert await bob.can_refresh()


async def test_a_session_that_is_refreshed_while_it_is_ended_is_over(
    suite: Suite, people: People, ada: Person
) -> None:
    """R7"""
    other = await people.signed_in(ADA)
    path = f"{MINE}/{await session_id(other)}"

    async def end() -> None:
        assert (await ada.ask("DELETE", path)).status_code == 204

    suite.store.before_commit = end
    assert not await other.can_refresh()
    third = await people.signed_in(ADA)
    path = f"{MINE}/{await session_id(third)}"
    outcomes = await asyncio.gather(third.can_refresh(), ada.ask("DELETE", path), third.can_refresh())
    assert outcomes[1].status_code == 204
    assert not await third.can_refresh()


async def test_nobody_ends_anothers_as_ones_own(suite: Suite, people: People, ada: Person) -> None:
    """T3, T6"""
    bob = await people.added(BOB)
    await suite.add_tenant("tnt_globex", "globex")
    eve = await people.added("eve@globex.test", "owner", "tnt_globex")
    answers = set()
    for session in (await session_id(bob), await session_id(eve), "ses_none", "__x__"):
        answer = await ada.ask("DELETE", f"{MINE}/{session}", **{"X-Request-Id": "req_the_same"})
        answers.add((answer.status_code, answer.content))
    assert {status for status, _ in answers} == {404}
    assert len(answers) == 1
    assert await bob.can_refresh()
    assert await eve.can_refresh()


async def test_as_an_admin_one_sees_and_ends_others(suite: Suite, people: People, ada: Person) -> None:
    bob, again = await people.added(BOB), await people.signed_in(BOB)
    bob_id = (await bob.get("/v1/me"))["subject"]
    path = f"/v1/users/{bob_id}/sessions"
    listed = (await ada.get(path))["items"]
    assert {item["id"] for item in listed} == {await session_id(bob), await session_id(again)}
    assert [item["current"] for item in listed] == [False, False]
    assert (await ada.ask("DELETE", f"{path}/{await session_id(bob)}")).status_code == 204
    assert not await bob.can_refresh()
    assert await again.can_refresh()
    assert await ada.code("DELETE", f"{path}/{await session_id(ada)}") == (404, "session_not_found")
    assert (await ada.ask("DELETE", path)).status_code == 204
    assert not await again.can_refresh()
    assert await ada.can_refresh()
    for method in ("GET", "DELETE"):
        carol = await people.added(f"carol{method}@acme.test".lower())
        assert await carol.code(method, path) == (403, "insufficient_scope")


async def test_an_admin_ends_no_session_of_an_owner(people: People, ada: Person) -> None:
    """Nobody does to somebody above what they could not give."""
    bob = await people.added(BOB, "admin")
    path = f"/v1/users/{(await ada.get('/v1/me'))['subject']}/sessions"
    for one in (path, f"{path}/{await session_id(ada)}"):
        assert await bob.code("DELETE", one) == (403, "role_not_grantable")
    assert await ada.can_refresh()
