"""A cursor is the client's to change: whatever it makes of one, it is a page of its own tenant or a 400."""

import base64
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.audit import Actor
from tests.unit.auth import applications
from tests.unit.auth.people import People, Person
from tests.unit.auth.suite import ACME, Suite, principal

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
OTHER = "tnt_globex"
LISTS = (
    "/v1/audit",
    "/v1/users",
    "/v1/users?role=member",
    "/v1/invitations",
    "/v1/roles",
    "/v1/service-accounts",
    "/v1/api-keys",
    "/v1/clients",
    "/v1/me/sessions",
)
ORDERS: tuple[Any, ...] = ("", "9999", "0", "\0", "\U0010ffff", "x" * 1400, 0, -(2**63), 2**63 - 1)
IDS: tuple[Any, ...] = ("x", "users", "x" * 1400, "é", "a%2Fb", "%00")
"""Such as a page might have ended at."""
NO_ORDERS: tuple[Any, ...] = ("\ud800", "x" * 1600, 2**63, 10**30, 1.5, True, None, [], {})
NO_IDS: tuple[Any, ...] = ("", "..", "a/b", "%", "\0", "__x__", "x" * 1501, "\ud800", 7, None, [],
                           f"../../{OTHER}/users/usr_1")  # fmt: skip


@pytest.fixture
async def ada(suite: Suite) -> AsyncIterator[Person]:
    """Two of everything that is listed, in each of two tenants."""
    people = People(suite)
    await suite.add_tenant(OTHER, "globex")
    ada = await people.added("ada@acme.test", "owner")
    for tenant_id in (ACME, OTHER):
        await filled(suite, people, tenant_id)
    await people.signed_in("ada@acme.test")
    yield ada
    await people.client.aclose()


async def filled(suite: Suite, people: People, tenant_id: str) -> None:
    caller, actor = principal("owner", tenant_id), Actor("user", "usr_test", tenant_id)
    for number in range(2):
        name = f"{'own' if tenant_id == ACME else 'foreign'}_{'ab'[number]}"
        await people.add(f"{name}@acme.test", "member", tenant_id)
        await suite.invitations.invite(caller, actor, f"invited_{name}@acme.test", "member")
        await suite.do.roles.create(caller, actor, name, "", ["usage:read"])
        await suite.service_accounts.create(caller, actor, name, ["usage:read"])
        await suite.do.api_keys.create(caller, actor, name, ["usage:read"])
        await applications.register(suite, tenant_id=tenant_id, name=name)


def position_of(cursor: str) -> tuple[str, Any, str]:
    """The name of its query, and the order and the id of the document that the page ended at."""
    query, (order, last) = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return query, order, last


def forged(*cursors: Any) -> list[str]:
    return [base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in cursors]


async def answers(ada: Person, path: str, cursors: Iterable[str]) -> set[tuple[int, str]]:
    found = set()
    for cursor in cursors:
        answer = await ada.ask("GET", f"{path}{'&' if '?' in path else '?'}limit=1&cursor={cursor}")
        found.add((answer.status_code, answer.json().get("code", "")))
        assert "foreign" not in answer.text
        assert OTHER not in answer.text
    return found


async def next_cursor(ada: Person, path: str) -> str:
    found: str = (await ada.get(f"{path}{'&' if '?' in path else '?'}limit=1"))["next_cursor"]
    return found


@pytest.mark.parametrize("path", LISTS)
async def test_t3_a_place_that_no_page_ended_at_is_a_page_of_the_own_tenant_or_a_400(
    ada: Person, path: str
) -> None:
    query, order, last = position_of(await next_cursor(ada, path))
    orders = forged(*([query, [each, last]] for each in ORDERS))
    ids = forged(*([query, [order, each]] for each in IDS))
    assert await answers(ada, path, orders) <= {(200, ""), (400, "invalid_cursor")}
    assert await answers(ada, path, ids) == {(200, "")}


@pytest.mark.parametrize("path", LISTS)
async def test_t3_what_can_be_no_cursor_of_the_list_is_refused(ada: Person, path: str) -> None:
    """422: it is too long to be looked at."""
    cursor = await next_cursor(ada, path)
    query, order, last = position_of(cursor)
    position = [order, last]
    positions: list[Any] = [[each, last] for each in NO_ORDERS] + [[order, each] for each in NO_IDS]
    positions += [[], [order], [*position, order], None, {"order": order, "id": last}]
    made = forged(*([query, each] for each in positions))
    made += forged(
        ["", position], [query[::-1], position], [None, position], [query], [query, position, 1], {}, 1
    )
    made += ["x", "=", "A" * 2048, "A" * 2049, cursor[:-1], cursor + "A", cursor + "%00"]
    assert await answers(ada, path, made) == {(400, "invalid_cursor"), (422, "invalid_field")}


def test_every_list_of_auth_is_among_them() -> None:
    spec = yaml.load((ROOT / "api-spec.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    listed = {
        path
        for path, operations in spec["paths"].items()
        if {"$ref": "#/components/parameters/cursor"} in operations.get("get", {}).get("parameters", ())
        and operations["get"]["x-google-backend"] == "auth"
    }
    assert listed - {"/v1/users/{user_id}/sessions"} == {path.partition("?")[0] for path in LISTS}
