"""The enumerations of the suite's own bodies and queries: a wrong value is answered with the right ones."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from shared.http import PUBLIC, Call, Response, Route, json_response
from tests.door import Door
from tests.unit.http.route_kinds import kinds

WRONG = "no-such-value"

Choice = tuple[Any, str, tuple[Any, ...]]
"""What holds `WRONG` instead of a choice, where, and what may be chosen."""


def choices(type_: inspect.Type) -> Iterator[Choice]:
    if isinstance(type_, inspect.UnionType):
        for each in type_.types:
            yield from choices(each)
    elif isinstance(type_, inspect.LiteralType):
        yield WRONG, "", type_.values
    elif isinstance(type_, inspect.ListType | inspect.VarTupleType):
        yield from (([held], f"/0{path}", values) for held, path, values in choices(type_.item_type))
    elif isinstance(type_, inspect.StructType):
        for field in type_.fields:
            name = field.encode_name
            yield from (
                ({name: held}, f"/{name}{path}", values) for held, path, values in choices(field.type)
            )


def every(kind: type[msgspec.Struct]) -> list[Choice]:
    return list(choices(inspect.type_info(kind)))


BODIES = [(kind, *choice) for kind in kinds("json") for choice in every(kind)]
QUERIES = [(kind, *choice) for kind in kinds("query") for choice in every(kind)]


def test_there_are_enumerations_to_try() -> None:
    where = {f"{kind.__name__}{path}" for kind, _, path, _ in (*BODIES, *QUERIES)}
    assert {"PolicyRequest/methods/0", "TenantRequest/tier", "UsersQuery/status", "Wanted/kind"} <= where


@pytest.mark.parametrize(
    ("kind", "body", "path", "values"), BODIES, ids=[f"{case[0].__name__}{case[2]}" for case in BODIES]
)
def test_a_wrong_value_in_a_body_is_answered_with_the_right_ones(
    kind: type[msgspec.Struct], body: Any, path: str, values: tuple[Any, ...]
) -> None:
    async def asked(call: Call) -> Response:
        return json_response(await call.json(kind))

    answer = Door(Route("POST", "/", asked, PUBLIC)).post("/", msgspec.json.encode(body))
    assert_told(answer.json(), path, values)


@pytest.mark.parametrize(
    ("kind", "query", "path", "values"), QUERIES, ids=[f"{case[0].__name__}{case[2]}" for case in QUERIES]
)
def test_a_wrong_value_in_a_query_is_answered_with_the_right_ones(
    kind: type[msgspec.Struct], query: dict[str, str], path: str, values: tuple[Any, ...]
) -> None:
    async def asked(call: Call) -> Response:
        return json_response(call.query(kind))

    ((name, value),) = query.items()
    answer = Door(Route("GET", "/", asked, PUBLIC)).ask("GET", f"/?{name}={value}")
    assert_told(answer.json(), f"?{name}", values)


def assert_told(problem: dict[str, Any], path: str, values: tuple[Any, ...]) -> None:
    assert problem["status"] == 422
    (error,) = problem["errors"]
    assert (error["path"], error["code"]) == (path, "invalid_value")
    told = error["detail"].removeprefix("Give one of these: ").removesuffix(".").split(", ")
    assert sorted(told) == sorted(map(str, values))
    assert WRONG not in error["detail"]
