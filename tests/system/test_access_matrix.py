"""T1: every route, as every kind of caller, on own, foreign, unknown and deleted things."""

from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from functions.auth.domain import people
from shared.http import PUBLIC, SIGNED_IN, Route
from tests.access_matrix import ALIKE, OTHERS, OWN, ROWS, Row, send
from tests.access_world import CALLERS, AccessWorld, holds, standing_world
from tests.deploy.test_api_spec import EVERYWHERE, operations

pytestmark = pytest.mark.anyio

CODES = {"none": "unauthenticated", "junk": "invalid_token", "revoked_session": "invalid_token"}

ENROLLING = {
    *("POST /v1/auth/logout", "POST /v1/auth/step-up/options", "POST /v1/auth/step-up"),
    *("GET /v1/me/factors", "POST /v1/me/factors/totp", "POST /v1/me/factors/totp/confirm"),
    *("DELETE /v1/me/factors/totp", "POST /v1/me/factors/passkeys/options", "POST /v1/me/factors/passkeys"),
}
"""What takes somebody to a second factor, or away."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[AccessWorld]:
    """In which an address may have as many mails as there are callers."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(people, "MAX_MAILS", 1000)
        async with standing_world(tmp_path_factory.mktemp("access")) as world:
            yield world


def without_a_row(routes: list[Route], rows: tuple[Row, ...]) -> set[str]:
    return {f"{route.method} {route.path}" for route in routes} - {row.route for row in rows}


async def test_every_route_has_one_row_and_every_row_a_route(world: AccessWorld) -> None:
    routes = world.all_routes()
    assert without_a_row(routes, ROWS) == set(), "add a row to tests/access_matrix.py"
    assert Counter(row.route for row in ROWS) == Counter(f"{route.method} {route.path}" for route in routes)
    needed = {f"{route.method} {route.path}": route.requires for route in routes}
    assert {row.route: row.needs for row in ROWS} == needed


async def test_a_route_without_a_row_is_noticed(world: AccessWorld) -> None:
    routes = world.all_routes()
    assert without_a_row(routes, ROWS[1:]) == {ROWS[0].route}
    assert without_a_row([*routes, Route("GET", "/v1/new", routes[0].handler, PUBLIC)], ROWS) == {
        "GET /v1/new"
    }


def test_every_operation_of_the_contract_has_a_row_that_needs_the_same() -> None:
    published = {
        f"{method} {path}": operation["security"]
        for (method, path), operation in operations().items()
        if (method, path) not in EVERYWHERE
    }
    assert {row.route: row.needs for row in ROWS if row.route in published} == {
        route: next(iter(security[0]["access_token"]), SIGNED_IN) if security else PUBLIC
        for route, security in published.items()
    }
    assert set(published) <= {row.route for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.route)
async def test_a_row_of_the_matrix(world: AccessWorld, row: Row) -> None:
    wrong: list[str] = []
    for kind in CALLERS:
        may = row.needs in (PUBLIC, SIGNED_IN) or holds(kind, row.needs)
        answers = {which: await asked(world, row, kind, which, may=may) for which in (OWN, *OTHERS)}
        for which, answer in answers.items():
            if answer is None:
                continue
            expected = expected_of(row, kind, which, may=may)
            if answer.status_code != expected:
                got = f"{answer.status_code} {answer.text[:160]}"
                wrong.append(f"{kind}, {which}: {expected} expected, not {got}")
            if (
                kind in CODES
                and row.needs != PUBLIC
                and answer.json().get("code", CODES[kind]) != CODES[kind]
            ):
                wrong.append(f"{kind}, {which}: {answer.text[:160]}")
        for alike in ALIKE:
            seen = {
                shown(found) for which in alike if (found := answers[which]) and is_alike(row, kind, which)
            }
            if len(seen) > 1:
                wrong.append(f"{kind}: not the same bytes for {alike}: {seen}")
    assert wrong == []


async def test_who_has_yet_to_enrol_a_factor_may_do_that_and_nothing_else(world: AccessWorld) -> None:
    """T1, for the one scope that opens routes without being asked for by them."""
    refused = set()
    for row in ROWS:
        if row.needs == PUBLIC:
            continue
        answer = await send(world, row, await world.enrolling(), OWN, may=False)
        assert answer is not None
        if answer.status_code == 403 and "step_up_refused" not in answer.text:
            refused.add(row.route)
    assert {row.route for row in ROWS if row.needs != PUBLIC} - refused == ENROLLING


async def asked(world: AccessWorld, row: Row, kind: str, which: str, *, may: bool) -> httpx.Response | None:
    """On an own thing with a new caller, whom nothing has happened to; on others as one who stays."""
    if which == OWN and may:
        caller = await world.caller(kind)
    else:
        caller = await world.resident(kind)
    return await send(world, row, caller, which, may=may and kind not in world.strangers)


def expected_of(row: Row, kind: str, which: str, *, may: bool) -> int:
    if row.needs == PUBLIC:
        return row.expected(kind, which)
    if kind in CODES:
        return 401
    if kind == "suspended_owner" or not may:
        return 403
    return row.expected(kind, which)


def is_alike(row: Row, kind: str, which: str) -> bool:
    """Whether a thing that is not the caller's is one that nobody has, as far as this caller is told."""
    return which != OWN and f"{kind} {which}" not in row.but


def shown(answer: httpx.Response) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
    return answer.status_code, answer.content, tuple(sorted(answer.headers.items()))
