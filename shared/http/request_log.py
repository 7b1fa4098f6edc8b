"""The access log line and the metrics of each request."""

import os
import re
import time
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from shared.http.call import HttpCall
from shared.http.router import Found
from shared.logs import CONTEXT, Access, Context
from shared.metrics import OTHER, Metrics
from shared.redaction import redact
from shared.tracing import trace_of

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_EXECUTION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_LOGGED_PATH = 512


class RequestLog:
    """Called on the hot path."""

    def __init__(self, access_log: Callable[[Access], None], metrics: Metrics) -> None:
        self._access_log = access_log
        self._metrics = metrics

    def begin(self, headers: Mapping[str, str]) -> Context:
        """Sets the context that log lines of this request carry from here on."""
        context = Context(_request_id(headers), trace_of(headers), execution_id=_execution_id(headers))
        CONTEXT.set(context)
        return context

    def end(self, call: HttpCall, found: Found | None, status: int, started: float, context: Context) -> None:
        """`started` is of `time.perf_counter`."""
        seconds = time.perf_counter() - started
        self._metrics.answered(call.method, OTHER if found is None else found[0].path, status, seconds)
        principal = call.known_principal
        self._access_log(
            Access(
                method=call.method,
                path=_loggable(call, found),
                status=status,
                seconds=seconds,
                request_id=call.request_id,
                trace=context.trace,
                tenant_id=principal.tenant_id if principal else "",
                subject=principal.subject if principal else "",
                execution_id=context.execution_id,
            )
        )


def _loggable(call: HttpCall, found: Found | None) -> str:
    """The route's template, which holds nothing that a client chose; an unknown path redacted."""
    if found is not None:
        return found[0].path
    return redact(unquote(call.path[:_MAX_LOGGED_PATH]))


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get("x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"req_{os.urandom(12).hex()}"


def _execution_id(headers: Mapping[str, str]) -> str:
    """The framework's id of the request; empty for a malformed one, which a client may have sent."""
    given = headers.get("function-execution-id", "")
    return given if _EXECUTION_ID.fullmatch(given) else ""
