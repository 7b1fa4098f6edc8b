"""Which request reaches which handler."""

import pytest

from shared.http import PUBLIC, Call, Response, Route, json_response
from shared.http.router import Router
from tests.door import Door


async def _seen(call: Call) -> Response:
    return json_response({"method": call.method, "path": call.path, "params": call.params})


def _route(method: str, path: str) -> Route:
    return Route(method, path, _seen, PUBLIC)


DOOR = Door(
    _route("GET", "/v1/things"),
    _route("POST", "/v1/things"),
    _route("GET", "/v1/things/{thing_id}"),
    _route("GET", "/v1/things/special"),
    _route("POST", "/v1/things/{thing_id}/parts/{part_id}"),
    _route("OPTIONS", "/v1/open"),
)


def test_path_parameters_are_decoded_once() -> None:
    assert DOOR.ask("GET", "/v1/things/a%20b%25C3").json()["params"] == {"thing_id": "a b%C3"}
    assert DOOR.ask("GET", "/v1/things/%C3%A9").json()["params"] == {"thing_id": "é"}
    found = DOOR.ask("POST", "/v1/things/t1/parts/p1").json()
    assert found["params"] == {"thing_id": "t1", "part_id": "p1"}


def test_a_literal_path_wins_over_a_parameter() -> None:
    assert DOOR.ask("GET", "/v1/things/special").json()["params"] == {}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/unknown",
        "/v1/things/",
        "//v1/things",
        "/v1//things",
        "/v1/things//",
        "/V1/things",
        "/v1/Things",
        "/v1/%74hings",
        "/v1/things/../things",
        "/v1/./things",
        "/v1/%2e%2e%2fadmin",
        "/../../etc/passwd",
        "/v1/things/..",
        "/v1/things/.",
        "/v1/things/%2e%2e",
        "/v1/things/%2e",
        "/v1/things/a%2fb",
        "/v1/things/a%2Fb",
        "/v1/things/a%5cb",
        "/v1/things/%00",
        "/v1/things/a%00b",
        "/v1/things/a%0ab",
        "/v1/things/a%7f",
        "/v1/things/%ff",
        "/v1/things/%c3%28",
        "/v1/things/%ed%a0%80",
        "/v1/things/%zz",
        "/v1/things/%2",
        "/v1/things/%",
        "/v1/things/a/parts/",
        "/v1/things/a/parts/b/c",
        "/v1/things;x=1",
        "/health/",
        "/Health",
        "*",
        "",
    ],
)
def test_only_the_exact_path_is_found(path: str) -> None:
    """H3."""
    answer = DOOR.ask("GET", path)
    assert (answer.status, answer.code) == (404, "not_found")


def test_raw_bytes_in_a_path_are_no_crash() -> None:
    """H3."""
    assert DOOR.ask("GET", b"/v1/things/\xff\xfe").status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "FOO", "OPTIONS", "get"])
def test_another_method_is_told_which_there_are(method: str) -> None:
    """H1."""
    answer = DOOR.ask(method, "/v1/things")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_options_is_served_where_it_is_declared() -> None:
    assert DOOR.ask("OPTIONS", "/v1/open").status == 200


@pytest.mark.parametrize(
    "header",
    ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url"],
)
def test_headers_change_neither_method_nor_path(header: str) -> None:
    """H2."""
    answer = DOOR.ask("GET", "/v1/things", [(header, "DELETE" if "Method" in header else "/v1/open")])
    assert answer.json() == {"method": "GET", "path": "/v1/things", "params": {}}


def test_head_answers_like_get_without_a_body() -> None:
    get, head = DOOR.ask("GET", "/v1/things"), DOOR.ask("HEAD", "/v1/things")
    assert head.status == 200
    assert head.body == b""
    assert int(head.headers["content-length"]) == len(get.body) + len("HEAD") - len("GET")
    assert DOOR.ask("HEAD", "/v1/open").status == 405


@pytest.mark.parametrize(
    "routes",
    [
        (_route("GET", "/a"), _route("GET", "/a")),
        (_route("GET", "/a/{x}"), _route("GET", "/a/{x}")),
        (_route("GET", "/a/{x}"), _route("POST", "/a/{y}")),
        (_route("GET", "/a/{x}/{x}"),),
        (_route("GET", "/a/x-{y}"),),
        (_route("GET", "/a/"),),
        (_route("GET", "a/b"),),
        (_route("GET", "/a//b"),),
    ],
)
def test_a_table_that_could_mean_two_things_is_refused(routes: tuple[Route, ...]) -> None:
    with pytest.raises(ValueError, match=r"/"):
        Router(routes)


def test_the_more_literal_of_two_templates_wins() -> None:
    router = Router([_route("GET", "/{a}/x"), _route("GET", "/y/{b}")])
    found = router.find(b"/y/x")
    assert found is not None
    assert found[0].names == ("b",)
