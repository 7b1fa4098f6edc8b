"""A cursor is the client's to change: whatever it makes of one, it is a page of its own tenant or a 400."""

import base64
import json
from collections.abc import AsyncIterator
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
ORDERS: tuple[Any, ...] = ("", "9999", "0", "\0", "\U0010ffff", "\ud800", "x" * 1400, "x" * 1600, 0, -(2**63),
                           2**63 - 1, 2**63, 10**30, 1.5, True, None, [], {})  # fmt: skip
IDS: tuple[Any, ...] = ("", "..", "a/b", "a%2Fb", "%", "%00", "\0", "__x__", "x" * 1500, "x" * 1501, "é",
                        "\ud800", "users", 7, None, [], f"../../{OTHER}/users/usr_1")  # fmt: skip


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


def forgeries(cursor: str) -> list[str]:
    """With the name of the query as it was, and positions that no page ever ended at."""
    query, (order, last) = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    positions: list[Any] = [[each, last] for each in ORDERS] + [[order, each] for each in IDS]
    positions += [[], [order], [order, last, order], None, {"order": order, "id": last}]
    made: list[Any] = [[query, position] for position in positions]
    made += [["", [order, last]], [None, [order, last]], [query], [query, [order, last], 1], {}, 1, None]
    return [base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in made]


@pytest.mark.parametrize("path", LISTS)
async def test_t3_a_forged_cursor_is_a_page_of_the_own_tenant_or_a_400(ada: Person, path: str) -> None:
    joined = f"{path}{'&' if '?' in path else '?'}limit=1&cursor="
    first = await ada.get(joined.removesuffix("&cursor="))
    answers = set()
    for cursor in (*forgeries(first["next_cursor"]), "x", "=", "A" * 2048, first["next_cursor"] + "A"):
        answer = await ada.ask("GET", joined + cursor)
        answers.add((answer.status_code, answer.json().get("code", "")))
        assert "foreign" not in answer.text
        assert OTHER not in answer.text
    assert answers == {(200, ""), (400, "invalid_cursor"), (422, "invalid_field")}, "422: it is too long"


def test_every_list_of_auth_is_among_them() -> None:
    spec = yaml.load((ROOT / "api-spec.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    listed = {
        path
        for path, operations in spec["paths"].items()
        if {"$ref": "#/components/parameters/cursor"} in operations.get("get", {}).get("parameters", ())
        and operations["get"]["x-google-backend"] == "auth"
    }
    assert listed - {"/v1/users/{user_id}/sessions"} == {path.partition("?")[0] for path in LISTS}
