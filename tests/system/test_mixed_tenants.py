"""T2, T4, T5, T8: whatever a request says beside its token, the token decides; what can be no id is none."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from shared.http import PUBLIC
from tests.access_matrix import OWN, ROWS, Row, content, filled, send
from tests.access_world import GLOBEX, AccessWorld, Caller, standing_world

pytestmark = pytest.mark.anyio

NO_IDS = (
    *("..", ".", "__x__", "*", "a b", "usr_1.usr_2", "ü", "' OR 1=1", "x" * 65, "x" * 1501),
    *("a/b", "../users", "a\0b", "\0"),
)
SPOOFED = {
    "X-Tenant-Id": GLOBEX,
    "X-Apigateway-Api-Userinfo": "eyJ0aWQiOiJ0bnRfZ2xvYmV4In0",
    "X-Endpoint-Api-Userinfo": "eyJ0aWQiOiJ0bnRfZ2xvYmV4In0",
}
GUARDED = tuple(row for row in ROWS if row.needs != PUBLIC)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[AccessWorld]:
    async with standing_world(tmp_path_factory.mktemp("mixed")) as world:
        yield world


async def somebody(world: AccessWorld, row: Row) -> Caller:
    """Who may."""
    return await world.resident("operator" if row.needs.startswith("platform:") else "owner")


async def test_t5_what_can_be_no_id_is_the_id_of_nothing(world: AccessWorld) -> None:
    """Never a 5xx, never another route, and the same bytes for each."""
    for row in ROWS:
        if not row.params or row.needs == PUBLIC:
            continue
        caller = await somebody(world, row)
        seen = set()
        for no_id in NO_IDS:
            target = filled(row, dict.fromkeys(row.params, quote(no_id, safe="").replace(".", "%2e")))
            answer = await world.ask(row.method, row.path, target, caller, **content(row))
            assert answer.status_code == 404, (row.route, no_id[:20], answer.text)
            seen.add(answer.json()["code"])
        assert len(seen - {"not_found"}) == 1, (row.route, seen)


async def test_t2_a_tenant_in_a_header_changes_nothing(world: AccessWorld) -> None:
    for row in GUARDED:
        if row.method != "GET" or row.params:
            continue
        caller = await somebody(world, row)
        plain = await world.ask(row.method, row.path, row.path, caller)
        spoofed = await world.ask(row.method, row.path, row.path, caller, headers=SPOOFED)
        assert (spoofed.status_code, spoofed.content) == (plain.status_code, plain.content), row.route


async def test_t2_a_tenant_in_the_body_or_the_query_is_refused_or_not_looked_at(world: AccessWorld) -> None:
    """T8: and no answer names anything of the other tenant."""
    names = {GLOBEX, "globex", *world.ids_of(GLOBEX)}
    for row in GUARDED:
        caller = await somebody(world, row)
        if row.needs.startswith("platform:"):
            continue
        if row.body is not None and not row.form:
            target = filled(row, dict.fromkeys(row.params, "x"))
            answer = await world.ask(row.method, row.path, target, caller, **content(row, tenant_id=GLOBEX))
            assert answer.status_code == 422, (row.route, answer.text)
            assert answer.json()["errors"][0]["path"] == "/tenant_id"
        if row.method == "GET" and not row.params:
            answer = await world.ask(row.method, row.path, f"{row.path}?tenant_id={GLOBEX}", caller)
            assert answer.status_code in (200, 422), (row.route, answer.text)
            assert not [name for name in names if name in answer.text], row.route


async def test_t8_no_list_of_one_tenant_has_anything_of_another(world: AccessWorld) -> None:
    names = {GLOBEX, "globex", *world.ids_of(GLOBEX)}
    for row in GUARDED:
        if row.method != "GET" or row.needs.startswith("platform:"):
            continue
        answer = await send(world, row, await somebody(world, row), OWN, may=True)
        assert answer is not None
        assert not [name for name in names if name in answer.text], row.route


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Apigateway-Api-Userinfo": "eyJzdWIiOiJ1c3JfMSJ9"},
        {"X-Endpoint-Api-Userinfo": "eyJzdWIiOiJ1c3JfMSJ9"},
        {"X-Forwarded-Authorization": "Bearer junk"},
        {"X_Forwarded_Authorization": "Bearer junk"},
        {"X-HTTP-Method-Override": "GET"},
    ],
)
async def test_t15_without_a_token_that_can_be_verified_nobody_is_anybody(
    world: AccessWorld, headers: dict[str, str]
) -> None:
    nobody = world.strangers["none"]
    for row in GUARDED:
        target = filled(row, dict.fromkeys(row.params, "x"))
        answer = await world.ask(row.method, row.path, target, nobody, headers=headers)
        underscored = any("_" in name for name in headers)
        assert answer.status_code == (400 if underscored else 401), (row.route, headers, answer.text)
