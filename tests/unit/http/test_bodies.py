"""Bodies, forms and queries as handlers get them."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest

from shared.http import PUBLIC, Call, Response, Route, json_response
from shared.http.limits import Limits
from shared.http.reply import Reply
from tests.door import GONE, NEVER, Door


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: Annotated[int, msgspec.Meta(ge=1, le=9)]


class More(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kinds: tuple[Literal["a", "b"], ...] = ()


class Thing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    name: Annotated[str, msgspec.Meta(max_length=5)]
    kind: Literal["a", "b"] = "a"
    more: list[More] | None = None
    at: datetime | None = None
    parts: list[Part] = []
    labels: dict[str, int] = {}
    since: date | None = None


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limit: int = 20
    all: bool = False
    cursor: str | None = None
    since: date | None = msgspec.field(name="from", default=None)
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


async def _thing(call: Call) -> Response:
    return json_response(await call.json(Thing))


async def _form(call: Call) -> Response:
    return json_response(await call.form())


async def _query(call: Call) -> Response:
    return json_response(call.query(Asked))


async def _raw(call: Call) -> Response:
    return json_response([len(await call.body()), len(await call.body())])


async def _unread(call: Call) -> Response:
    return Response(204)


DOOR = Door(
    Route("POST", "/thing", _thing, PUBLIC, max_body_bytes=1000),
    Route("POST", "/deep", _thing, PUBLIC, max_body_bytes=1_000_000),
    Route("POST", "/form", _form, PUBLIC),
    Route("GET", "/query", _query, PUBLIC),
    Route("POST", "/raw", _raw, PUBLIC, max_body_bytes=100),
    Route("POST", "/unread", _unread, PUBLIC),
    limits=Limits(body_seconds=0.01),
)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/json ",
    ],
)
def test_json_in_utf_8_is_taken(content_type: str) -> None:
    answer = DOOR.post("/thing", b'{"name":"x"}', content_type)
    assert answer.json() == {"name": "x"}


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/html",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/json; charset=utf-8; x=y",
        "application/jsonp",
        "application/problem+json",
        "*/*",
    ],
)
def test_another_type_is_refused(content_type: str | None) -> None:
    """H4."""
    answer = DOOR.post("/thing", b'{"name":"x"}', content_type)
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_a_compressed_body_is_refused() -> None:
    headers = [("content-type", "application/json"), ("content-encoding", "gzip")]
    assert DOOR.ask("POST", "/thing", headers, b"\x1f\x8b").status == 415


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name":"x"} x',
        b'{"name":"x","name":"y"}',
        b'{"name":"x","labels":{"a":1,"a":2}}',
        b'{"name":NaN}',
        b'{"name":"x","labels":{"a":1e999}}',
        b'{"name":"\xff"}',
        b'\xef\xbb\xbf{"name":"x"}',
        '{"name":"x"}'.encode("utf-16"),
        b'{"name":"\\ud800"}',
        b'{"name":"\\u0000"}',
        b"{'name':'x'}",
    ],
)
def test_what_is_no_strict_json_is_400(body: bytes) -> None:
    """H5 H7 H8 H9."""
    answer = DOOR.post("/thing", body)
    assert (answer.status, answer.code) == (400, "malformed_json")


def test_a_hundred_thousand_levels_are_400() -> None:
    """H6."""
    answer = DOOR.post("/deep", b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert (answer.status, answer.code) == (400, "malformed_json")


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        (b"{}", "/name", "required"),
        (b'{"name":1}', "/name", "invalid_type"),
        (b'{"name":null}', "/name", "invalid_type"),
        (b'{"name":"123456"}', "/name", "invalid_value"),
        (b'{"name":"x","kind":"hunter2"}', "/kind", "invalid_value"),
        (b'{"name":"x","is_admin":true}', "/is_admin", "unknown_field"),
        (b'{"name":"x","a/b~c":1}', "/a~1b~0c", "unknown_field"),
        (b'{"name":"x","parts":[{"size":1},{"size":"2"}]}', "/parts/1/size", "invalid_type"),
        (b'{"name":"x","parts":[{"size":10}]}', "/parts/0/size", "invalid_value"),
        (b'{"name":"x","parts":[{}]}', "/parts/0/size", "required"),
        (b'{"name":"x","parts":[{"size":1,"y":2}]}', "/parts/0/y", "unknown_field"),
        (b'{"name":"x","labels":{"a":"b"}}', "/labels/*", "invalid_type"),
        (b'{"name":"x","since":"2025-02-30"}', "/since", "invalid_value"),
        (b'{"name":"x","since":5}', "/since", "invalid_type"),
        (b"[]", "", "invalid_type"),
        (b'"x"', "", "invalid_type"),
        (b'{"name":"x","` - at `$.kind":1}', "/kind/", "unknown_field"),
    ],
)
def test_a_wrong_field_is_422_with_its_path(body: bytes, path: str, code: str) -> None:
    answer = DOOR.post("/thing", body)
    assert (answer.status, answer.code) == (422, "invalid_field")
    (error,) = answer.json()["errors"]
    assert (error["path"], error["code"]) == (path, code)
    assert b"hunter2" not in answer.body


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"name":"x","kind":"c"}', "Give one of these: a, b."),
        (b'{"name":"x","more":[{"kinds":["a","c"]}]}', "Give one of these: a, b."),
        (b'{"name":"x","since":"today"}', "Give a day as in RFC 3339, like 2026-10-01."),
        (b'{"name":"x","at":"noon"}', "Give a time as in RFC 3339, like 2026-10-01T00:00:00Z."),
        (b"", "The body is empty. Send JSON."),
        (b'{"name":"\\ud83d"}', "Input ends early, or in half of a surrogate pair. Correct the JSON."),
    ],
)
def test_a_refusal_says_what_to_do(body: bytes, detail: str) -> None:
    assert DOOR.post("/thing", body).json()["detail"] == detail


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        ([b"a" * 100], 200),
        ([b"a" * 101], 413),
        ([b"a" * 50, b"b" * 50], 200),
        ([b"a" * 50, b"b" * 51], 413),
        ([b"a"] * 100, 200),
        ([b"a"] * 101, 413),
        ([b"a" * 101, NEVER], 413),
        ([b""], 200),
    ],
)
def test_a_body_is_read_up_to_its_limit_whatever_was_announced(chunks: Sequence[bytes], status: int) -> None:
    """H10: no Content-Length at all, as with chunks."""
    answer = DOOR.ask("POST", "/raw", [("transfer-encoding", "chunked")], *chunks)
    assert answer.status == status
    if status == 413:
        assert answer.code == "body_too_large"
        assert answer.headers["connection"] == "close"
    else:
        assert answer.json() == [sum(map(len, chunks))] * 2
        assert "connection" not in answer.headers


@pytest.mark.parametrize(
    ("limits", "taken"),
    [(Limits(), 5), (Limits(linger_bytes=150), 2), (Limits(linger_seconds=0), 0)],
)
def test_after_the_answer_so_much_more_is_taken(limits: Limits, taken: int) -> None:
    """H10: the answer first, then bytes, then time, are bounded."""
    reply = Reply(Response(413, b"{}"), "req_1", head=False, close=True, lingers=limits)
    left = [b"a" * 100] * 5
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(0)
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
        assert sent[1]["body"] == b"{}"
        return {"type": "http.request", "body": left.pop(), "more_body": bool(left)}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(reply({"type": "http"}, receive, send))
    assert len(left) == 5 - taken
    assert not sent[2].get("more_body")


def test_an_announced_body_over_the_limit_is_refused_unread() -> None:
    """H10."""
    answer = DOOR.ask("POST", "/raw", [("content-length", "101")], NEVER)
    assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize("length", ["-1", "+1", "1e3", "٣", "9" * 30, " 5", ""])
def test_a_strange_length_is_no_crash(length: str) -> None:
    """H10 H14."""
    headers = [("content-length", length.encode())]
    assert DOOR.ask("POST", "/raw", headers, b"12345").status == 200


def test_a_body_that_does_not_come_is_given_up() -> None:
    """H11."""
    answer = DOOR.ask("POST", "/raw", [("content-length", "10")], b"12345", NEVER)
    assert (answer.status, answer.code) == (400, "body_timeout")
    assert answer.headers["connection"] == "close"


def test_a_client_that_goes_away_is_no_crash(caplog: pytest.LogCaptureFixture) -> None:
    assert DOOR.ask("POST", "/raw", [("content-length", "10")], b"12345", GONE).status == 499
    assert caplog.records == []


@pytest.mark.parametrize(
    ("headers", "closed"),
    [
        ([], False),
        ([("content-length", "65536")], False),
        ([("content-length", "65537")], True),
        ([("transfer-encoding", "chunked")], True),
    ],
)
@pytest.mark.parametrize("path", ["/unread", "/nothing"])
def test_a_connection_is_closed_rather_than_drained(
    headers: list[tuple[str, str]], closed: bool, path: str
) -> None:
    """H10: also where the body was never asked for."""
    assert ("connection" in DOOR.ask("POST", path, headers, NEVER).headers) is closed


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (
            b"grant_type=refresh_token&refresh_token=a%2Bb+c",
            {"grant_type": "refresh_token", "refresh_token": "a+b c"},
        ),
        (b"a=&b=1", {"b": "1"}),
        (b"a", {}),
        (b"", {}),
        (b"a=%C3%A9", {"a": "é"}),
        (b"a=b;c=d", {"a": "b;c=d"}),
    ],
)
def test_a_form_is_read(body: bytes, fields: dict[str, str]) -> None:
    assert DOOR.post("/form", body, "application/x-www-form-urlencoded").json() == fields


@pytest.mark.parametrize(
    "body", [b"a=1&a=1", b"a=&a=1", b"a=%ff", b"a=\xff", b"&".join(b"a%d=1" % n for n in range(101))]
)
def test_a_form_that_two_could_read_differently_is_refused(body: bytes) -> None:
    """RFC 6749 §3.2."""
    answer = DOOR.post("/form", body, "application/x-www-form-urlencoded")
    assert (answer.status, answer.code) == (400, "malformed_form")
    assert DOOR.post("/form", b"a=1", "application/json").status == 415


def test_a_query_is_a_struct() -> None:
    answer = DOOR.ask("GET", "/query?limit=7&all=true&cursor=a%2Fb+c&from=2025-01-31")
    assert answer.json() == {"limit": 7, "all": True, "cursor": "a/b c", "from": "2025-01-31", "at": None}
    assert DOOR.ask("GET", "/query").json()["limit"] == 20


@pytest.mark.parametrize(
    ("query", "path", "code"),
    [
        ("limit=x", "?limit", "invalid_type"),
        ("limit=", "?limit", "invalid_type"),
        ("limit=1e1", "?limit", "invalid_type"),
        ("limit=1.0", "?limit", "invalid_type"),
        ("limit=-0", "?limit", "invalid_type"),
        ("limit=1&limit=1", "?limit", "repeated_parameter"),
        ("tenant_id=tnt_b", "?tenant_id", "unknown_parameter"),
        ("since=2025-01-01", "?since", "unknown_parameter"),
        ("from=yesterday", "?from", "invalid_value"),
        ("all=maybe", "?all", "invalid_type"),
        ("access_token=secret", "?access_token", "unknown_parameter"),
    ],
)
def test_a_wrong_parameter_is_422_with_its_name(query: str, path: str, code: str) -> None:
    """J33 T2."""
    answer = DOOR.ask("GET", f"/query?{query}")
    assert answer.status == 422
    (error,) = answer.json()["errors"]
    assert (error["path"], error["code"]) == (path, code)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-10-01T12:30:00Z", "2026-10-01T12:30:00Z"),
        ("2026-10-01t12:30:00z", "2026-10-01T12:30:00Z"),
        ("2026-10-01T12:30:00.125%2B02:00", "2026-10-01T12:30:00.125000+02:00"),
        ("2026-10-01T12:30:00-00:00", "2026-10-01T12:30:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_written_as_rfc_3339_has_it(text: str, time: str) -> None:
    assert DOOR.ask("GET", f"/query?at={text}").json()["at"] == time


@pytest.mark.parametrize(
    "text",
    ["253402300800", "-1", "1e10", "0", "1.5", "nan", "inf", "9" * 400, "null", "", "2026-10-01",
     "2026-10-01%2012:30:00Z", "2026-10-01T12:30:00+02:00", "2026-10-01T12:30:00%2B0200",
     "2026-10-01T12:30:00", "2026-02-30T12:30:00Z", "9999-12-31T23:59:59.9999999Z", "2026-10-01T12:30:00Z%0A",
     "%D9%A2026-10-01T12:30:00Z", "2026-10-01T12:30:00%2B24:00"],
)  # fmt: skip
def test_what_is_no_time_is_422(text: str) -> None:
    """J33: a number is no time, however large (and the year 10000 is none at all)."""
    answer = DOOR.ask("GET", f"/query?at={text}")
    assert (answer.status, answer.json()["errors"][0]["path"]) == (422, "?at")


@pytest.mark.parametrize("query", [b"cursor=%ff", b"cursor=\xff", b"&".join(b"a%d" % n for n in range(101))])
def test_a_query_that_cannot_be_read_is_400(query: bytes) -> None:
    answer = DOOR.ask("GET", b"/query?" + query)
    assert (answer.status, answer.code) == (400, "malformed_query")


def test_a_body_is_not_touched_before_it_is_asked_for() -> None:
    async def story() -> None:
        answer = await asyncio.wait_for(DOOR.send("POST", "/unread", [], NEVER), 1)
        assert answer.status == 204

    asyncio.run(story())
