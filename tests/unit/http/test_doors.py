"""Which door is open, and what is always answered."""

from collections.abc import Mapping

import pytest

from shared.errors import Error
from shared.http import PUBLIC, Call, Response, Route, json_response
from shared.http.app import ReadBody
from tests.door import Door


async def _fine(call: Call) -> Response:
    return json_response("fine")


class _Events:
    """An event door that reads up to ten bytes."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, str], bytes]] = []

    async def handle(self, headers: Mapping[str, str], read_body: ReadBody, flaw: Error | None) -> Response:
        self.seen.append((dict(headers), await read_body(10)))
        return Response(204)


ROUTE = Route("GET", "/v1/things", _fine, PUBLIC)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("serves_http", [True, False])
def test_health_is_answered_by_every_function(method: str, serves_http: bool) -> None:
    answer = Door(serves_http=serves_http).ask(method, "/health")
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.body == (b'{"status":"ok","version":"local"}' if method == "GET" else b"")


def test_with_the_http_door_closed_there_is_nothing_but_health_and_metrics() -> None:
    door = Door(ROUTE, serves_http=False, event_door=_Events())
    assert door.ask("GET", "/metrics").status == 401
    assert door.ask("GET", "/v1/things").status == 404
    assert door.ask("GET", "/health").status == 200
    assert door.ask("POST", "/").status == 204


def test_with_the_event_door_closed_nobody_can_push() -> None:
    door = Door(ROUTE)
    answer = door.ask("POST", "/", [("ce-type", "ai.energent.tenant.created.v1")], b"{}")
    assert answer.status == 404
    assert door.ask("GET", "/v1/things").status == 200


def test_an_event_reaches_its_door_with_headers_and_body() -> None:
    events = _Events()
    answer = Door(event_door=events).ask(
        "POST", "/", [("CE-Type", "x"), ("authorization", "Bearer y")], b"12345"
    )
    assert answer.status == 204
    assert answer.body == b""
    assert "content-type" not in answer.headers
    assert "content-length" not in answer.headers
    assert events.seen == [({"ce-type": "x", "authorization": "Bearer y"}, b"12345")]


def test_the_event_door_takes_post_only() -> None:
    answer = Door(event_door=_Events()).ask("GET", "/")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_an_oversized_event_is_cut_off() -> None:
    answer = Door(event_door=_Events()).ask("POST", "/", [], b"123456", b"789012")
    assert (answer.status, answer.headers["connection"]) == (413, "close")
