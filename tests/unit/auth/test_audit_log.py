"""A tenant reads who did what in it: newest first, filtered, and nobody else's."""

from typing import Any

import httpx
import pytest

from functions.auth.audit_log import Selection
from functions.auth.domain.one_time_link import OneTimeLink
from functions.auth.domain.people import login_id
from functions.auth.domain.roles import PLATFORM_TENANT, scopes_of
from shared import audit
from shared.audit import Actor
from tests import tokens
from tests.unit.auth.http_door import LOGIN, Door
from tests.unit.auth.people import NEW_PASSWORD, People
from tests.unit.auth.second_factor import person
from tests.unit.auth.suite import ACME, OWNER, Suite

pytestmark = pytest.mark.anyio

OTHER = "tnt_globex"
FIELDS = {"id", "at", "actor", "action", "target", "result", "request_id", "ip", "detail"}


class Reader:
    """Somebody of a tenant, with `audit:read` unless other scopes are given."""

    def __init__(
        self, suite: Suite, door: Door, tenant_id: str = ACME, scopes: tuple[str, ...] = ("audit:read",)
    ) -> None:
        self._suite = suite
        self._scopes = scopes
        self._door = door
        self._tenant_id = tenant_id

    async def ask(self, **query: Any) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {await self._token()}"}
        return await self._door.client.get("/v1/audit", params=query, headers=bearer)

    async def targets(self, **query: Any) -> list[str]:
        answer = await self.ask(**query)
        assert answer.status_code == 200, answer.text
        return [record["target"] for record in answer.json()["items"]]

    async def _token(self) -> str:
        owner = tokens.tenant(self._tenant_id)
        issued = await self._suite.do.access_tokens.issue(
            owner, "usr_reader", "energent-app", scopes=self._scopes, roles=("owner",)
        )
        return issued.access_token


@pytest.fixture
def reader(suite: Suite, door: Door) -> Reader:
    return Reader(suite, door)


async def write(suite: Suite, target: str, tenant_id: str = ACME, **changes: Any) -> None:
    """A second later than the one before."""
    suite.clock.move(1)
    actor = Actor("user", "usr_1", tenant_id, "req_1", "192.0.2.9")
    given: dict[str, Any] = {"actor": actor, "action": "user.update"}
    made = audit.record(suite.store, tenant_id, target=target, at=suite.clock(), **(given | changes))
    await suite.store.commit(made)


async def test_g9_a_record_says_who_did_what_to_which_thing_when_from_where_and_with_which_result(
    suite: Suite, reader: Reader
) -> None:
    await write(suite, "usr_2", detail={"role": "admin"}, result="refused")
    (record,) = (await reader.ask()).json()["items"]
    assert set(record) == FIELDS
    assert record.pop("id").startswith("aud_")
    assert record == {
        "at": "2026-03-04T12:00:01Z",
        "actor": {"kind": "user", "id": "usr_1"},
        "action": "user.update",
        "target": "usr_2",
        "result": "refused",
        "request_id": "req_1",
        "ip": "192.0.2.9",
        "detail": {"role": "admin"},
    }


async def test_what_nobody_asked_for_over_http_has_no_address(suite: Suite, reader: Reader) -> None:
    await write(suite, "tnt_acme", actor=Actor("system", "//cluster", request_id="evt_1"))
    (record,) = (await reader.ask()).json()["items"]
    assert (record["ip"], record["request_id"], record["result"]) == (None, "evt_1", "ok")


async def test_the_newest_come_first_and_a_cursor_goes_on(suite: Suite, reader: Reader) -> None:
    for number in range(5):
        await write(suite, f"usr_{number}")
    first = (await reader.ask(limit=2)).json()
    assert [record["target"] for record in first["items"]] == ["usr_4", "usr_3"]
    await write(suite, "usr_5")
    assert await reader.targets(limit=100, cursor=first["next_cursor"]) == ["usr_2", "usr_1", "usr_0"]


@pytest.mark.parametrize(
    ("asked", "targets"),
    [
        ({"actor": "usr_2"}, ["t4", "t2"]),
        ({"action": "user.delete"}, ["t3", "t2"]),
        ({"target": "t1"}, ["t1"]),
        ({"actor": "usr_none"}, []),
        ({"since": "2026-03-04T12:00:02Z"}, ["t4", "t3", "t2"]),
        ({"until": "2026-03-04T12:00:02Z"}, ["t1"]),
        ({"since": "2026-03-04T14:00:02+02:00", "until": "2026-03-04T12:00:04Z"}, ["t3", "t2"]),
        ({"actor": "usr_2", "until": "2026-03-04T12:00:04Z"}, ["t2"]),
    ],
)
async def test_one_filter_and_a_time_at_a_time(
    suite: Suite, reader: Reader, asked: dict[str, str], targets: list[str]
) -> None:
    for target, actor, action in [
        ("t1", "usr_1", "user.update"),
        ("t2", "usr_2", "user.delete"),
        ("t3", "usr_1", "user.delete"),
        ("t4", "usr_2", "user.update"),
    ]:
        await write(suite, target, actor=Actor("user", actor, ACME), action=action)
    assert await reader.targets(**asked) == targets


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"actor": "usr_1", "action": "user.update"}, "too_many_filters"),
        ({"action": "user.update", "target": "usr_1"}, "too_many_filters"),
        ({"actor": "a", "action": "b", "target": "c"}, "too_many_filters"),
        ({"since": "yesterday"}, "invalid_field"),
        ({"since": "9999-12-31T23:59:59-10:00"}, "invalid_field"),
        ({"actor": ""}, "invalid_field"),
        ({"actor": "x" * 257}, "invalid_field"),
        ({"limit": "101"}, "invalid_field"),
        ({"limit": "0"}, "invalid_field"),
        ({"tenant_id": "tnt_globex"}, "invalid_field"),
    ],
)
async def test_a_filter_that_is_none_is_refused(reader: Reader, asked: dict[str, str], code: str) -> None:
    answer = await reader.ask(**asked)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


async def test_t3_g10_a_tenant_sees_its_own_records_and_no_cursor_of_another_helps(
    suite: Suite, door: Door, reader: Reader
) -> None:
    await suite.add_tenant(OTHER, "globex")
    for number in range(3):
        await write(suite, f"own_{number}")
        await write(suite, f"foreign_{number}", OTHER)
    eve = Reader(suite, door, OTHER)
    foreign = (await eve.ask(limit=1)).json()["next_cursor"]
    own = (await reader.ask(limit=1)).json()["next_cursor"]
    filtered = (await reader.ask(limit=1, actor="usr_1")).json()["next_cursor"]
    for query in (
        {"cursor": foreign},
        {"cursor": own, "actor": "usr_1"},
        {"cursor": filtered},
        {"cursor": filtered, "actor": "usr_2"},
        {"cursor": filtered, "action": "usr_1"},
        {"cursor": "x"},
        {"cursor": "\u00e9"},
    ):
        answer = await reader.ask(**query)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), query
    assert await reader.targets(cursor=own) == ["own_1", "own_0"]
    assert await reader.targets(cursor=filtered, actor="usr_1") == ["own_1", "own_0"]


async def test_operators_read_the_platforms_log_by_the_same_route(suite: Suite, door: Door) -> None:
    await suite.add_tenant(PLATFORM_TENANT, PLATFORM_TENANT)
    await write(suite, "own")
    await write(suite, "platforms", PLATFORM_TENANT)
    operator = Reader(suite, door, PLATFORM_TENANT, tuple(sorted(scopes_of(["operator"]))))
    assert await operator.targets() == ["platforms"]


async def test_it_takes_the_scope(suite: Suite, door: Door) -> None:
    answer = await Reader(suite, door, scopes=("users:read",)).ask()
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


async def test_what_comes_in_over_http_is_recorded_with_its_address(suite: Suite, door: Door) -> None:
    await suite.add_user()
    bearer = await door.bearer()
    suite.clock.move(1)
    asked = {"email": "bob@acme.test", "role": "member"}
    headers = bearer | {"X-Forwarded-For": "203.0.113.7", "X-Request-Id": "req_from_outside"}
    assert (await door.client.post("/v1/invitations", json=asked, headers=headers)).status_code == 201
    found = await door.client.get("/v1/audit", params={"action": "user.invite"}, headers=bearer)
    newest = found.json()["items"][0]
    assert (newest["ip"], newest["request_id"]) == ("203.0.113.7", "req_from_outside")


async def test_an_actor_that_is_too_long_to_be_compared_is_recorded_all_the_same(
    suite: Suite, reader: Reader
) -> None:
    await write(suite, "tnt_acme", actor=Actor("system", "//" + "x" * 5000))
    assert await reader.targets(actor="//" + "x" * 254) == ["tnt_acme"]
    assert len((await reader.ask()).json()["items"][0]["actor"]["id"]) == 5002


async def test_whoever_gets_in_is_on_record_with_where_from(suite: Suite) -> None:
    """G9: an invitation, a sign-in with one factor and with two, a new password."""
    people, eve = People(suite), {"X-Forwarded-For": "203.0.113.66"}
    await suite.add_user()
    invited, ada = await suite.invite("bob@acme.test"), await person(suite, "ada@acme.test")
    accepted = {"token": invited, "password": NEW_PASSWORD, "name": "Bob"}
    await people.client.post("/v1/auth/invitations/accept", json=accepted, headers=eve)
    await people.client.post("/v1/auth/login", json=LOGIN, headers=eve)
    await suite.deliver("mail.requested", {"template": "password_reset", "document_id": login_id(OWNER)})
    link = suite.links.text(OneTimeLink("password_reset", ACME, login_id(OWNER), "evt_1"))
    await people.client.post("/reset-password", data=twice(link), headers=eve)
    await ada.enrol_totp()
    suite.clock.move(30)
    asked = await people.client.post("/v1/auth/login", json=LOGIN | {"email": ada.email}, headers=eve)
    answer = {"challenge": asked.json()["second_factor"]["challenge"], "totp": ada.code()}
    await people.client.post("/v1/auth/login/second-factor", json=answer, headers=eve)
    records = (await suite.do.audit_log.page(ACME, Selection(limit=100))).items
    from_there = sorted(record.action for record in records if record.actor.ip == "203.0.113.66")
    assert from_there == [
        "invitation.accept", "password.reset", "session.create", "session.create", "session.revoke",
        "sign_in.first_factor",
    ]  # fmt: skip


def twice(token: str) -> dict[str, str]:
    return {"token": token, "password": NEW_PASSWORD, "password_again": NEW_PASSWORD}
