"""The queries of the suite's own routes: whatever is written in one, it is an answer or a refusal."""

from urllib.parse import quote

import msgspec
import pytest

from shared.http import PUBLIC, Call, Response, Route, json_response
from tests.door import Door
from tests.unit.http.route_kinds import kinds

TEXTS = (
    *("", " ", "x", "null", "true", "\0", "é", "\U0010ffff", "%", "{}", "[]", '"', "auth", "x" * 5000),
    *(
        "0",
        "-0",
        "1",
        "+1",
        "07",
        "1_0",
        "0x1",
        "１",
        "٣",
        "1.0",
        "1e1",
        "1e400",
        "-1e400",
        "nan",
        "inf",
        "-inf",
    ),
    *(
        "253402300799",
        "253402300800",
        "253402300800.5",
        "1e12",
        "-62135596800",
        "-62135596801",
        "-1",
        "1e308",
    ),
    *(str(2**63), str(2**64), str(-(2**63) - 1), "9" * 400, "9" * 5000, "0." + "9" * 400),
    *("2026-10-01", "2026-10-01T00:00:00Z", "2026-10-01 00:00:00Z", "2026-10-01T00:00:00+0200"),
    *("0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
    *("9999-12-31T23:59:59.9999999Z", "2016-12-31T23:59:60Z", "10000-01-01T00:00:00Z", "P1D", "2026-W01-1"),
)


def _door(kind: type[msgspec.Struct]) -> Door:
    async def asked(call: Call) -> Response:
        return json_response(call.query(kind))

    return Door(Route("GET", "/", asked, PUBLIC))


@pytest.mark.parametrize("kind", kinds("query"))
def test_no_text_in_a_query_is_a_failure(kind: type[msgspec.Struct]) -> None:
    """J33"""
    door = _door(kind)
    for name in kind.__struct_encode_fields__:
        answers = {text: door.ask("GET", f"/?{name}={quote(text)}") for text in TEXTS}
        assert {answer.status for answer in answers.values()} <= {200, 422}
        for text, answer in answers.items():
            if answer.status == 422:
                assert [error["path"] for error in answer.json()["errors"]] == [f"?{name}"]
            else:
                assert answer.json()[name] is not None, f"{text!r} was taken for nothing"
