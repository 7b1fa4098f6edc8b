"""Log lines as Cloud Logging reads them: one JSON object a line on stdout, without secrets."""

import logging
import os
import re
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime

import msgspec

from shared.ids import Clock

Write = Callable[[bytes], None]

REDACTED = "[redacted]"
MAX_TEXT = 20_000

_TRACE = "logging.googleapis.com/trace"
_LABELS = "logging.googleapis.com/labels"
_OURS = ("shared.", "functions.", "sqlite3")
_MAX_CHAIN = 5

_SECRET = re.compile(
    r"-----BEGIN [^-]*-----(?s:.*?)(?:-----END [^-]*-----|\Z)"
    r"|eyJ[\w-]{8,}(?:\.[\w-]*)*"  # a JSON object in base64url: tokens
    r"|(?:rt1|inv1|whsec|(?<![A-Za-z0-9])(?:sk|rk|pk))_[\w-]{8,}"
    r"|(?<![A-Za-z0-9])(?i:bearer|basic)\s+\S+"
    r"|(?<=password=)\S+|(?<=secret=)\S+|(?<=token=)\S+"
)
_EMAIL = re.compile(r"[\w.+-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}")
_W3C = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_GOOGLE = re.compile(r"([0-9a-fA-F]{32})(?:/.*)?")


class Context(msgspec.Struct, frozen=True):
    """What each line says about the request it belongs to."""

    request_id: str
    trace: str = ""
    tenant_id: str = ""


CONTEXT: ContextVar[Context | None] = ContextVar("log_context", default=None)


class Access(msgspec.Struct, frozen=True):
    """One answered request. `path` is without its query."""

    method: str
    path: str
    status: int
    seconds: float
    request_id: str
    trace: str = ""
    tenant_id: str = ""
    subject: str = ""


class _HttpRequest(msgspec.Struct, frozen=True, rename="camel"):
    request_method: str
    request_url: str
    status: int
    latency: str


class _AccessLine(
    msgspec.Struct, frozen=True, omit_defaults=True, rename={"trace": _TRACE, "http": "httpRequest"}
):
    severity: str
    message: str
    time: datetime
    http: _HttpRequest
    request_id: str
    trace: str = ""
    tenant_id: str = ""
    subject: str = ""


class _Line(msgspec.Struct, frozen=True, omit_defaults=True, rename={"trace": _TRACE, "labels": _LABELS}):
    severity: str
    message: str
    time: datetime
    labels: dict[str, str]
    request_id: str = ""
    trace: str = ""
    tenant_id: str = ""
    stack_trace: str = ""


class AccessLog:
    """A line for each request; called on the hot path."""

    def __init__(self, clock: Clock, project: str = "", write: Write | None = None) -> None:
        self._clock = clock
        self._project = project
        self._write = write or write_line

    def __call__(self, access: Access) -> None:
        status = access.status
        line = _AccessLine(
            severity="INFO" if status < 500 else "WARNING" if status == 503 else "ERROR",
            message=f"{access.method} {access.path} {status}",
            time=self._clock(),
            http=_HttpRequest(access.method, access.path, status, f"{access.seconds:.6f}s"),
            request_id=access.request_id,
            trace=trace_name(access.trace, self._project),
            tenant_id=access.tenant_id,
            subject=access.subject,
        )
        self._write(msgspec.json.encode(line))


class Formatter(logging.Formatter):
    """A record as one line; its stack keeps frames and types, and messages of our own exceptions only."""

    def __init__(self, project: str = "") -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        context = CONTEXT.get() or Context("")
        failure = record.exc_info[1] if record.exc_info else None
        line = _Line(
            severity=record.levelname,
            message=redact(record.getMessage()),
            time=datetime.fromtimestamp(record.created, UTC),
            labels={"logger": record.name},
            request_id=context.request_id,
            trace=trace_name(context.trace, self._project),
            tenant_id=context.tenant_id,
            stack_trace=stack_of(failure) if failure else "",
        )
        return msgspec.json.encode(line).decode()


class _Stdout(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            write_line(self.format(record).encode())
        except Exception:  # noqa: BLE001 - logging never breaks what it tells of
            self.handleError(record)


def configure(project: str = "") -> None:
    """Everything that is logged becomes a line on stdout: ours from INFO, libraries' from WARNING."""
    handler = _Stdout()
    handler.setFormatter(Formatter(project))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for room in ("shared", "functions"):
        logging.getLogger(room).setLevel(logging.INFO)


def write_line(line: bytes) -> None:
    """One write for one line, so that lines of several threads and processes do not mix."""
    with suppress(OSError):  # nobody reads
        os.write(1, line + b"\n")


def trace_of(headers: Mapping[str, str]) -> str:
    """The trace id of a request: W3C `traceparent` first, then Google's header; empty without."""
    parent = headers.get("traceparent")
    if parent is not None and (found := _W3C.fullmatch(parent)):
        return found[1]
    google = headers.get("x-cloud-trace-context")
    if google is not None and (found := _GOOGLE.fullmatch(google)):
        return found[1].lower()
    return ""


def trace_name(trace: str, project: str) -> str:
    return f"projects/{project}/traces/{trace}" if trace and project else trace


def redact(text: str) -> str:
    """Tokens, keys, passwords in `name=value` and e-mail addresses taken out, by their form."""
    text = _SECRET.sub(REDACTED, text[:MAX_TEXT])
    return _EMAIL.sub(REDACTED, text) if "@" in text or "%40" in text else text


def stack_of(failure: BaseException) -> str:
    """The stack as Error Reporting takes it. A foreign exception's message may quote anything: left out."""
    parts: list[str] = []
    seen: BaseException | None = failure
    for _ in range(_MAX_CHAIN):
        if seen is None:
            break
        frames = "".join(traceback.format_list(traceback.extract_tb(seen.__traceback__)))
        parts.append(f"Traceback (most recent call last):\n{frames}{_named(seen)}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return redact("\n\n".join(reversed(parts)))


def _named(failure: BaseException) -> str:
    kind = type(failure)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    told = kind.__module__.startswith(_OURS) or (isinstance(failure, OSError) and failure.strerror)
    if not told:
        return f"{name}: {REDACTED}"
    return f"{name}: {failure.strerror if isinstance(failure, OSError) else failure}"
