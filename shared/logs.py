"""Log lines as Cloud Logging and Error Reporting read them: one JSON object a line on stdout, no secrets."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime

import msgspec

from shared.ids import Clock
from shared.redaction import redact, stack_of
from shared.tracing import NO_TRACE, Trace

Write = Callable[[bytes], None]

_SEVERITIES = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})
_REPORTED = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"
_SPECIAL = {
    "labels": "logging.googleapis.com/labels",
    "trace": "logging.googleapis.com/trace",
    "span_id": "logging.googleapis.com/spanId",
    "sampled": "logging.googleapis.com/trace_sampled",
}


class Context(msgspec.Struct, frozen=True):
    """What each line says about the request it belongs to. `execution_id`: Cloud Functions' own id of it."""

    request_id: str
    trace: Trace = NO_TRACE
    tenant_id: str = ""
    execution_id: str = ""


CONTEXT: ContextVar[Context | None] = ContextVar("log_context", default=None)


class Access(msgspec.Struct, frozen=True):
    """One answered request. `path` is without its query."""

    method: str
    path: str
    status: int
    seconds: float
    request_id: str
    trace: Trace = NO_TRACE
    tenant_id: str = ""
    subject: str = ""
    execution_id: str = ""


class Service(msgspec.Struct, frozen=True):
    """Whose errors they are: Error Reporting groups by these."""

    service: str
    version: str


class _HttpRequest(msgspec.Struct, frozen=True, rename="camel"):
    """What the client chose, its address and agent, is in the platform's own request log."""

    request_method: str
    request_url: str
    status: int
    latency: str


class _AccessLine(
    msgspec.Struct, frozen=True, omit_defaults=True, rename={**_SPECIAL, "http": "httpRequest"}
):
    severity: str
    message: str
    time: datetime
    http: _HttpRequest
    request_id: str
    labels: dict[str, str] = {}
    trace: str = ""
    span_id: str = ""
    sampled: bool = False
    tenant_id: str = ""
    subject: str = ""


class _Place(msgspec.Struct, frozen=True, rename="camel"):
    file_path: str
    line_number: int
    function_name: str


class _ErrorContext(msgspec.Struct, frozen=True, rename="camel"):
    report_location: _Place


class _Line(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={**_SPECIAL, "kind": "@type", "service": "serviceContext"},
):
    severity: str
    message: str
    time: datetime
    labels: dict[str, str]
    request_id: str = ""
    trace: str = ""
    span_id: str = ""
    sampled: bool = False
    tenant_id: str = ""
    stack_trace: str = ""
    kind: str = ""
    service: Service | None = None
    context: _ErrorContext | None = None


class AccessLog:
    """A line for each request; called on the hot path."""

    def __init__(self, clock: Clock, project: str = "", write: Write | None = None) -> None:
        self._clock = clock
        self._project = project
        self._write = write or write_line

    def __call__(self, access: Access) -> None:
        status = access.status
        trace = access.trace
        line = _AccessLine(
            severity="INFO" if status < 500 else "WARNING" if status == 503 else "ERROR",
            message=f"{access.method} {access.path} {status}",
            time=self._clock(),
            http=_HttpRequest(access.method, access.path, status, f"{access.seconds:.6f}s"),
            request_id=access.request_id,
            labels={"execution_id": access.execution_id} if access.execution_id else {},
            trace=_trace_name(trace, self._project),
            span_id=trace.span_id,
            sampled=trace.sampled,
            tenant_id=access.tenant_id,
            subject=access.subject,
        )
        self._write(msgspec.json.encode(line))


class Formatter(logging.Formatter):
    """A record as one line; its stack keeps frames and types, and messages of our own exceptions only.

    From ERROR on it is an event for Error Reporting, at its stack or at the place that logged it.
    """

    def __init__(self, project: str = "", service: Service | None = None) -> None:
        super().__init__()
        self._project = project
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        context = CONTEXT.get() or Context("")
        failure = record.exc_info[1] if record.exc_info else None
        stack = stack_of(failure) if failure else ""
        is_error = record.levelno >= logging.ERROR
        line = _Line(
            severity=record.levelname if record.levelname in _SEVERITIES else "DEFAULT",
            message=redact(record.getMessage()),
            time=datetime.fromtimestamp(record.created, UTC),
            labels=_labels(record, context),
            request_id=context.request_id,
            trace=_trace_name(context.trace, self._project),
            span_id=context.trace.span_id,
            sampled=context.trace.sampled,
            tenant_id=context.tenant_id,
            stack_trace=stack,
            kind=_REPORTED if is_error else "",
            service=self._service if is_error else None,
            context=_place(record) if is_error and not stack else None,
        )
        return msgspec.json.encode(line).decode()


class _Stdout(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as failure:  # noqa: BLE001 - logging never breaks what it tells of
            # `handleError` would print the arguments as they are.
            unreadable = f"{type(failure).__name__} in the line that {record.name} logged"
            line = self.format(
                logging.LogRecord(
                    __name__, logging.ERROR, record.pathname, record.lineno, unreadable, (), None
                )
            )
        write_line(line.encode())


def configure(project: str = "", service: str = "", version: str = "") -> None:
    """Everything that is logged becomes a line on stdout: ours from INFO, libraries' from WARNING."""
    handler = _Stdout()
    handler.setFormatter(Formatter(project, Service(service, version) if service else None))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for room in ("shared", "functions"):
        logging.getLogger(room).setLevel(logging.INFO)


def log_under(tenant_id: str, trace: Trace = NO_TRACE) -> None:
    """From here on the lines of this request carry its tenant, and the trace of whoever began it."""
    context = CONTEXT.get()
    if context is not None:
        kept = trace if trace.id else context.trace
        CONTEXT.set(Context(context.request_id, kept, tenant_id, context.execution_id))


def write_line(line: bytes) -> None:
    """One write for one line, so that lines of several threads and processes do not mix."""
    with suppress(OSError):  # nobody reads
        os.write(1, line + b"\n")


def _labels(record: logging.LogRecord, context: Context) -> dict[str, str]:
    labels = {"logger": record.name}
    return labels | {"execution_id": context.execution_id} if context.execution_id else labels


def _place(record: logging.LogRecord) -> _ErrorContext:
    return _ErrorContext(_Place(record.pathname, record.lineno, record.funcName))


def _trace_name(trace: Trace, project: str) -> str:
    return f"projects/{project}/traces/{trace.id}" if trace.id and project else trace.id
