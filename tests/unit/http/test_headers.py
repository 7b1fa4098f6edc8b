"""Headers: how many, how long, how often, and what comes back."""

import logging

import pytest

from shared.http import PUBLIC, Call, Response, Route, json_response
from shared.http.limits import Limits
from tests.door import Door, Headers


async def _echo(call: Call) -> Response:
    return json_response({"headers": call.headers, "ip": call.client_ip, "request_id": call.request_id})


async def _poisoned(call: Call) -> Response:
    value = call.headers["x-value"]
    return Response(
        200, b"<p>hi</p>", "text/html", {"Location": value, "X-Value": value + "\r\nSet-Cookie: a=b"}
    )


async def _cacheable(call: Call) -> Response:
    return Response(200, b"{}", headers={"Cache-Control": "public, max-age=300"})


DOOR = Door(
    Route("GET", "/echo", _echo, PUBLIC),
    Route("GET", "/poisoned", _poisoned, PUBLIC),
    Route("GET", "/cacheable", _cacheable, PUBLIC),
)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(f"x-{n}", "1") for n in range(100)], 200),
        ([(f"x-{n}", "1") for n in range(101)], 431),
        ([("x-long", "a" * (8192 - 6))], 200),
        ([("x-long", "a" * (8193 - 6))], 431),
        ([("a" * 9000, "x")], 431),
        ([(f"x-{n}", "a" * 8000) for n in range(4)], 200),
        ([(f"x-{n}", "a" * 8000) for n in range(5)], 431),
        ([("authorization", "Bearer " + "a" * 200_000)], 431),
    ],
)
def test_headers_are_capped_in_number_and_size(headers: Headers, status: int) -> None:
    """H13."""
    answer = DOOR.ask("GET", "/echo", headers)
    assert answer.status == status
    if status == 431:
        assert answer.code == "headers_too_large"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("authorization", 401),
        ("x-forwarded-authorization", 401),
        ("content-type", 400),
        ("content-length", 400),
        ("transfer-encoding", 400),
        ("host", 400),
        ("x-apigateway-api-userinfo", 400),
        ("x-endpoint-api-userinfo", 400),
        ("idempotency-key", 400),
        ("x-request-id", 400),
        ("cookie", 400),
        ("ce-id", 400),
        ("ce-type", 400),
    ],
)
def test_a_doubled_header_that_decides_something_is_refused(name: str, status: int) -> None:
    """J33 T15: two credentials are none."""
    answer = DOOR.ask("GET", "/echo", [(name, "same"), ("accept", "*/*"), (name.upper(), "same")])
    assert answer.status == status
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_other_doubled_headers_are_one_list() -> None:
    answer = DOOR.ask("GET", "/echo", [("accept", "text/html"), ("accept", "text/plain")])
    assert answer.json()["headers"]["accept"] == "text/html, text/plain"


@pytest.mark.parametrize("name", ["x_forwarded_authorization", "content_length", "x-a_b", "_"])
def test_a_header_name_with_an_underscore_is_refused(name: str) -> None:
    """T15."""
    answer = DOOR.ask("GET", "/echo", [(name, "1")])
    assert (answer.status, answer.code) == (400, "bad_header")


def test_a_target_that_is_too_long_is_refused() -> None:
    """H12."""
    assert DOOR.ask("GET", "/echo?" + "a" * 8_187).status == 200
    answer = DOOR.ask("GET", "/echo?" + "a" * 8_188)
    assert (answer.status, answer.code) == (414, "uri_too_long")
    assert DOOR.ask("GET", "/" + "a" * 1_000_000).status == 414


def test_every_answer_has_the_protecting_headers() -> None:
    """H18."""
    for answer in (DOOR.ask("GET", "/echo"), DOOR.ask("GET", "/nothing"), DOOR.ask("PUT", "/echo")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] in ("application/json", "application/problem+json")
        assert int(answer.headers["content-length"]) == len(answer.body)
        assert "access-control-allow-origin" not in answer.headers


def test_a_route_may_say_how_long_it_can_be_cached() -> None:
    assert DOOR.ask("GET", "/cacheable").headers["cache-control"] == "public, max-age=300"


def test_no_origin_is_allowed() -> None:
    """H20."""
    for origin in ("null", "https://evil.test"):
        answer = DOOR.ask("GET", "/echo", [("origin", origin)])
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_html_has_a_charset_and_a_policy() -> None:
    """H18."""
    answer = DOOR.ask("GET", "/poisoned", [("x-value", "fine")])
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"


def test_a_page_may_have_a_policy_of_its_own() -> None:
    async def page(call: Call) -> Response:
        headers = {"Content-Security-Policy": "sandbox", "Cache-Control": "private"}
        return Response(200, b"<p>hi</p>", "text/html", headers)

    answer = Door(Route("GET", "/page", page, PUBLIC)).ask("GET", "/page")
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["cache-control"] == "private"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_an_echoed_value_cannot_begin_another_header() -> None:
    """H15."""
    answer = DOOR.ask("GET", "/poisoned", [("x-value", "/a\r\nSet-Cookie: a=b\x00é")])
    assert answer.headers["location"] == "/aSet-Cookie: a=b"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("given", ["abcdefgh", "A-b_9" * 12, "0" * 64])
def test_a_callers_request_id_is_kept(given: str) -> None:
    answer = DOOR.ask("GET", "/echo", [("x-request-id", given)])
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == given


@pytest.mark.parametrize(
    "given", ["short", "a" * 65, "a b c d e f", "abcdefgh\r\nx: y", 'abcdefg"', "é" * 10, ""]
)
def test_anything_else_is_replaced_by_one_of_ours(given: str) -> None:
    """H15 H16."""
    answers = [DOOR.ask("GET", "/echo", [("x-request-id", given)]) for _ in range(2)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 2
    assert all(made.startswith("req_") and made.isascii() for made in ids)


@pytest.mark.parametrize(
    ("hops", "forwarded", "ip"),
    [
        (1, None, "192.0.2.9"),
        (1, "203.0.113.1", "203.0.113.1"),
        (1, "10.0.0.1, 203.0.113.1", "203.0.113.1"),
        (1, "10.0.0.1,2001:db8::1", "2001:db8::1"),
        (2, "10.0.0.1, 203.0.113.1, 192.0.2.1", "203.0.113.1"),
        (2, "203.0.113.1", "192.0.2.9"),
        (0, "203.0.113.1", "192.0.2.9"),
        (1, "203.0.113.1, <script>", "192.0.2.9"),
        (1, "", "192.0.2.9"),
    ],
)
def test_the_clients_address_is_what_our_proxy_saw(hops: int, forwarded: str | None, ip: str) -> None:
    door = Door(Route("GET", "/echo", _echo, PUBLIC), limits=Limits(trusted_hops=hops))
    headers = [] if forwarded is None else [("x-forwarded-for", forwarded)]
    assert door.ask("GET", "/echo", headers).json()["ip"] == ip


def test_a_refused_header_is_no_crash_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        DOOR.ask("GET", "/echo", [("a_b", "1")])
    assert caplog.records == []
