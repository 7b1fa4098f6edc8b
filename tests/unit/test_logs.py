"""Log lines: one JSON object each, and no secret in any."""

import json
import logging
import sqlite3
from typing import Any

import pytest

from shared.errors import Conflict
from shared.logs import CONTEXT, Access, AccessLog, Context, Formatter, configure, redact, stack_of, trace_of
from tests.tokens import Time

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl"
TRACE = "0af7651916cd43dd8448eb211c80319c"
ACCESS = Access("GET", "/v1/me", 200, 0.001234, "req_1", TRACE, "tnt_1", "usr_1")


def _line(project: str = "", **changes: Any) -> dict[str, Any]:
    lines: list[bytes] = []
    fields = {name: getattr(ACCESS, name) for name in ACCESS.__struct_fields__} | changes
    AccessLog(Time(), project, lines.append)(Access(**fields))
    (line,) = lines
    assert b"\n" not in line
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def test_an_access_line_has_the_names_that_cloud_logging_reads() -> None:
    assert _line("energent") == {
        "severity": "INFO",
        "message": "GET /v1/me 200",
        "time": "2026-03-04T12:00:00Z",
        "httpRequest": {
            "requestMethod": "GET",
            "requestUrl": "/v1/me",
            "status": 200,
            "latency": "0.001234s",
        },
        "logging.googleapis.com/trace": f"projects/energent/traces/{TRACE}",
        "request_id": "req_1",
        "tenant_id": "tnt_1",
        "subject": "usr_1",
    }


@pytest.mark.parametrize(
    ("status", "severity"), [(200, "INFO"), (404, "INFO"), (500, "ERROR"), (503, "WARNING")]
)
def test_the_outcome_decides_how_severe_a_line_is(status: int, severity: str) -> None:
    assert _line(status=status)["severity"] == severity


def test_nothing_can_forge_a_line() -> None:
    """H16."""
    assert _line(path='/x\n{"severity":"CRITICAL"}', subject="\r\n\x00\u2028")["severity"] == "INFO"


@pytest.mark.parametrize(
    ("headers", "trace"),
    [
        ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
        ({"x-cloud-trace-context": f"{TRACE}/123;o=1"}, TRACE),
        ({"x-cloud-trace-context": TRACE.upper()}, TRACE),
        ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "x-cloud-trace-context": "f" * 32}, TRACE),
        ({"traceparent": "garbage", "x-cloud-trace-context": TRACE}, TRACE),
        ({"traceparent": "garbage"}, ""),
        ({"x-cloud-trace-context": 'x"\n/1'}, ""),
        ({}, ""),
    ],
)
def test_the_trace_is_the_callers(headers: dict[str, str], trace: str) -> None:
    assert trace_of(headers) == trace


@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        JWT.rpartition(".")[0],
        "rt1_AAAAbbbbCCCCdddd",
        "inv1_AAAAbbbbCCCCdddd",
        "sk_AAAAbbbbCCCCdddd",
        "sk_live_AAAAbbbbCCCCdddd",
        "owner%40acme.example",
        "whsec_AAAAbbbbCCCC",
        "Bearer opaque-token-1",
        "basic YTpiY2Q=",
        "owner+tag@acme.example.com",
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMB\n-----END PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\nMIGHAgEAMB",
    ],
)
def test_a_secret_is_taken_out_by_its_form(secret: str) -> None:
    """G1."""
    cleaned = redact(f"failed for {secret}")
    assert cleaned.startswith("failed for [redacted]")
    for part in secret.split("."):
        assert part not in cleaned


@pytest.mark.parametrize(
    "secret", ["rt1_AAAAbbbbCCCCdddd", "inv1_AAAAbbbbCCCCdddd", "sk_AAAAbbbbCCCCdddd", JWT]
)
def test_a_secret_is_found_behind_an_underscore(secret: str) -> None:
    """G1."""
    assert redact(f"/v1/users/x_{secret}") == "/v1/users/x_[redacted]"


def test_what_is_no_secret_stays() -> None:
    text = "left 3 events of tnt_abcdefghijklmnop to the sweep; inv-abcdef; task_sk; token bucket"
    assert redact(text) == text
    assert redact("password=hunter2 token=abc secret=x y") == (
        "password=[redacted] token=[redacted] secret=[redacted] y"
    )


def test_redacting_a_huge_text_is_quick_and_bounded() -> None:
    assert len(redact("a" * 1_000_000)) == 20_000


def _record(failure: BaseException | None = None, message: str = "failed") -> dict[str, Any]:
    info = (type(failure), failure, failure.__traceback__) if failure else None
    record = logging.LogRecord("shared.x", logging.ERROR, "x.py", 1, message, (), info)
    parsed: dict[str, Any] = json.loads(Formatter("energent").format(record))
    return parsed


def _raised(failure: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise failure from cause
    except BaseException as caught:  # noqa: BLE001 - whatever was raised is what the test is about
        return caught


def test_a_record_belongs_to_its_request() -> None:
    token = CONTEXT.set(Context("req_1", TRACE, "tnt_1"))
    try:
        line = _record()
    finally:
        CONTEXT.reset(token)
    assert (line["severity"], line["message"], line["request_id"]) == ("ERROR", "failed", "req_1")
    assert line["tenant_id"] == "tnt_1"
    assert line["logging.googleapis.com/trace"] == f"projects/energent/traces/{TRACE}"
    assert line["logging.googleapis.com/labels"] == {"logger": "shared.x"}


def test_a_foreign_exception_keeps_its_stack_and_loses_its_words() -> None:
    """G2 H19."""
    inner = _raised(KeyError("correct horse battery"))
    stack = _record(_raised(ValueError("hunter2 staple"), inner))["stack_trace"]
    assert "hunter2" not in stack.replace('ValueError("hunter2 staple")', "")
    assert "correct horse" not in stack.replace('KeyError("correct horse battery")', "")
    assert stack.startswith("Traceback (most recent call last):\n")
    assert "KeyError: [redacted]" in stack
    assert stack.endswith("ValueError: [redacted]")
    assert "in _raised" in stack


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (Conflict("slug_taken", "Choose another."), "shared.errors.Conflict: slug_taken: Choose another."),
        (sqlite3.OperationalError("database is locked"), "sqlite3.OperationalError: database is locked"),
        (FileNotFoundError(2, "No such file or directory", "/data/hunter2"), "No such file or directory"),
    ],
)
def test_what_is_known_to_be_harmless_is_told(failure: Exception, told: str) -> None:
    stack = stack_of(_raised(failure))
    assert stack.endswith(told)
    assert "hunter2" not in stack


def test_a_secret_in_a_message_of_ours_is_taken_out() -> None:
    assert JWT not in json.dumps(_record(_raised(Conflict("x", f"for {JWT}")), f"failed for {JWT}"))


def test_configured_logging_writes_a_line_to_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    """G4: libraries say nothing below WARNING."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    try:
        configure("energent")
        logging.getLogger("shared.test").info("told %s", JWT)
        logging.getLogger("httpx").info("GET https://example.com/?token=1")
        logging.getLogger("grpc").debug("metadata")
    finally:
        root.handlers, root.level = before
    out, err = capfd.readouterr()
    (line,) = out.splitlines()
    assert json.loads(line)["message"] == "told [redacted]"
    assert err == ""
