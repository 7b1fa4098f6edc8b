"""Log lines: one JSON object each, and no secret in any."""

import json
import logging
import sqlite3
import time
import traceback
from typing import Any

import pytest

from shared.errors import Conflict
from shared.logs import CONTEXT, Access, AccessLog, Context, Formatter, Service, configure
from shared.redaction import redact, stack_of
from shared.tracing import NO_TRACE, Trace, trace_of
from tests.tokens import Time

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl"
TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
ACCESS = Access("GET", "/v1/me", 200, 0.001234, "req_1", Trace(TRACE, SPAN, True), "tnt_1", "usr_1", "exe_1")


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
        "logging.googleapis.com/spanId": SPAN,
        "logging.googleapis.com/trace_sampled": True,
        "logging.googleapis.com/labels": {"execution_id": "exe_1"},
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
        ({"traceparent": PARENT}, Trace(TRACE, SPAN, True)),
        ({"traceparent": PARENT[:-1] + "0"}, Trace(TRACE, SPAN)),
        ({"traceparent": "01" + PARENT[2:] + "-and-more"}, Trace(TRACE, SPAN, True)),
        ({"x-cloud-trace-context": f"{TRACE}/123;o=1"}, Trace(TRACE, "000000000000007b", True)),
        ({"x-cloud-trace-context": f"{TRACE}/{2**64 - 1};o=0"}, Trace(TRACE, "f" * 16)),
        ({"x-cloud-trace-context": f"{TRACE}/{2**64}"}, Trace(TRACE)),
        ({"x-cloud-trace-context": TRACE.upper()}, Trace(TRACE)),
        ({"traceparent": PARENT, "x-cloud-trace-context": "f" * 32}, Trace(TRACE, SPAN, True)),
        ({"traceparent": "garbage", "x-cloud-trace-context": TRACE}, Trace(TRACE)),
        ({"traceparent": f"ff{PARENT[2:]}", "x-cloud-trace-context": TRACE}, Trace(TRACE)),
        ({"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, NO_TRACE),
        ({"traceparent": f"00-{TRACE}-{'0' * 16}-01"}, NO_TRACE),
        ({"traceparent": f"{PARENT}-and-more"}, NO_TRACE),
        ({"x-cloud-trace-context": f"{'0' * 32}/1;o=1"}, NO_TRACE),
        ({"x-cloud-trace-context": 'x"\n/1'}, NO_TRACE),
        ({}, NO_TRACE),
    ],
)
def test_the_trace_is_the_callers(headers: dict[str, str], trace: Trace) -> None:
    assert trace_of(headers) == trace


def test_a_trace_is_handed_on_as_it_came() -> None:
    assert trace_of({"traceparent": PARENT}).traceparent() == PARENT
    assert trace_of({"x-cloud-trace-context": f"{TRACE}/123"}).traceparent() == f"00-{TRACE}-{123:016x}-00"
    made = Trace(TRACE).traceparent()
    assert made is not None
    assert trace_of({"traceparent": made}).id == TRACE
    assert NO_TRACE.traceparent() is None


@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        JWT.rpartition(".")[0],
        "rt1_AAAAbbbbCCCCdddd",
        "inv1_AAAAbbbbCCCCdddd",
        "dev1_AAAAbbbbCCCCdddd",
        "sf1_AAAAbbbbCCCCdddd",
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


@pytest.mark.parametrize(
    ("said", "cleaned"),
    [
        ("{'Authorization': 'Bearer abc.def', 'a': 1}", "{'Authorization': '[redacted]', 'a': 1}"),
        ('{"client_secret": "abc", "b": 2}', '{"client_secret": "[redacted]", "b": 2}'),
        ("POST /x?access_token=abc&b=2 HTTP/1.1", "POST /x?access_token=[redacted]&b=2 HTTP/1.1"),
        ("Stripe-Signature: t=1,v1=abc", "Stripe-Signature: [redacted]"),
        ("api_key=abc; api-key: abc", "api_key=[redacted]; api-key: [redacted]"),
        ('{"password": "correct horse staple"}', '{"password": "[redacted]"}'),
        ("{'password': 'correct horse', 'b': 'c d'}", "{'password': '[redacted]', 'b': 'c d'}"),
        ('{"password": "it\'s; a&b}", "b": 2}', '{"password": "[redacted]", "b": 2}'),
        (r'{"password": "a \" b", "b": 2}', '{"password": "[redacted]", "b": 2}'),
        (r'{"password": "a b\\", "token": "c d"}', '{"password": "[redacted]"token": "[redacted]"}'),
        (r'"{\"password\": \"correct horse\", \"b\": 2}"', r'"{\"password\": \"[redacted]\", \"b\": 2}"'),
        ("{'password': ['correct horse']}", "{'password': ['[redacted]']}"),
        ("password=b'correct horse' b", "password=b'[redacted]' b"),
        ('{"secret": "cut off here', '{"secret": "[redacted]'),
        ('{"token": "", "b": "c"}', '{"token": "[redacted]", "b": "c"}'),
    ],
)
def test_what_stands_behind_the_name_of_a_secret_is_taken_out(said: str, cleaned: str) -> None:
    """G1, G4: as libraries print headers and parameters."""
    assert redact(said) == cleaned


def test_redacting_a_huge_text_is_quick_and_bounded() -> None:
    assert len(redact("a" * 1_000_000)) == 20_000
    for part in ('password="', "password=\\", 'password\\"', "secret : ", '"token": "a\\'):
        start = time.process_time()
        redact(part * 100_000)
        assert time.process_time() - start < 0.5


def _record(
    failure: BaseException | None = None, message: str = "failed", level: int = logging.ERROR
) -> dict[str, Any]:
    info = (type(failure), failure, failure.__traceback__) if failure else None
    record = logging.LogRecord("shared.x", level, "/app/x.py", 7, message, (), info, "work")
    service = Service("energent-auth-dev", "r-7")
    parsed: dict[str, Any] = json.loads(Formatter("energent", service).format(record))
    return parsed


def _raised(failure: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise failure from cause
    except BaseException as caught:  # noqa: BLE001 - whatever was raised is what the test is about
        return caught


def test_a_record_belongs_to_its_request() -> None:
    token = CONTEXT.set(Context("req_1", Trace(TRACE, SPAN, True), "tnt_1", "exe_1"))
    try:
        line = _record()
    finally:
        CONTEXT.reset(token)
    assert (line["severity"], line["message"], line["request_id"]) == ("ERROR", "failed", "req_1")
    assert line["tenant_id"] == "tnt_1"
    assert line["logging.googleapis.com/trace"] == f"projects/energent/traces/{TRACE}"
    assert line["logging.googleapis.com/spanId"] == SPAN
    assert line["logging.googleapis.com/trace_sampled"] is True
    assert line["logging.googleapis.com/labels"] == {"logger": "shared.x", "execution_id": "exe_1"}


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


REPORTED = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"


def test_an_error_with_its_stack_is_one_that_error_reporting_groups() -> None:
    line = _record(_raised(Conflict("x", "Y.")))
    assert (line["@type"], line["severity"]) == (REPORTED, "ERROR")
    assert line["serviceContext"] == {"service": "energent-auth-dev", "version": "r-7"}
    assert "context" not in line


def test_an_error_without_a_stack_names_the_place_that_logged_it() -> None:
    line = _record()
    assert line["@type"] == REPORTED
    place = {"filePath": "/app/x.py", "lineNumber": 7, "functionName": "work"}
    assert line["context"] == {"reportLocation": place}
    assert "stack_trace" not in line


def test_what_is_no_error_is_not_reported() -> None:
    line = _record(_raised(Conflict("x", "Y.")), level=logging.WARNING)
    assert "stack_trace" in line
    assert not {"@type", "serviceContext", "context"} & line.keys()


def test_a_level_that_cloud_logging_does_not_know_is_its_default() -> None:
    assert [_record(level=level)["severity"] for level in (10, 20, 30, 40, 50, 25)] == [
        *("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        "DEFAULT",
    ]


def _chained(*, on_purpose: bool) -> BaseException:
    try:
        try:
            raise Conflict("inner", "First.")
        except Conflict as first:
            if on_purpose:
                raise Conflict("outer", "Then.") from first
            raise Conflict("outer", "Then.")  # noqa: B904 - what happens by itself is under test
    except Conflict as caught:
        return caught


@pytest.mark.parametrize(
    "failure",
    [
        _raised(Conflict("x", "Y.")),
        _raised(sqlite3.Error()),
        _chained(on_purpose=True),
        _chained(on_purpose=False),
        _raised(Conflict("outer", "Then."), _chained(on_purpose=False)),
    ],
)
def test_a_stack_is_to_the_letter_what_python_prints(failure: BaseException) -> None:
    """Error Reporting takes it in no other form."""
    assert stack_of(failure) == "".join(traceback.format_exception(failure)).rstrip("\n")


def test_a_stack_without_end_is_cut_at_its_outer_end() -> None:
    def ping(left: int) -> None:
        if not left:
            raise Conflict("x", "Y.")
        pong(left)

    def pong(left: int) -> None:
        ping(left - 1)

    try:
        ping(300)
    except Conflict as caught:
        stack = stack_of(caught)
    assert stack.startswith("Traceback (most recent call last):\n")
    assert stack.endswith("Conflict: x: Y.")
    assert len(stack) < 20_000


def test_a_line_that_cannot_be_made_says_so_and_repeats_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """G2: Python's own way out prints the arguments."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    try:
        configure("energent")
        logging.getLogger("shared.test").error("%d", "hunter2")
    finally:
        root.handlers, root.level = before
    out, err = capfd.readouterr()
    (line,) = out.splitlines()
    assert json.loads(line)["message"] == "TypeError in the line that shared.test logged"
    assert "hunter2" not in out
    assert err == ""


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
