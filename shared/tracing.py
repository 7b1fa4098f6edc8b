"""The trace that a request or an event belongs to: W3C Trace Context, and Google's older header."""

import os
import re
from collections.abc import Mapping

import msgspec

_W3C = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_GOOGLE = re.compile(r"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([0-9]))?.*")
_NO_ID = "0" * 32
_NO_SPAN = "0" * 16


class Trace(msgspec.Struct, frozen=True):
    """`id`, 32 hexadecimal digits, and `span_id`, the caller's part of it, 16. Empty: none was named."""

    id: str = ""
    span_id: str = ""
    sampled: bool = False

    def traceparent(self) -> str | None:
        """What hands it on (W3C Trace Context §3.2); None without a trace. A missing span gets an id."""
        if not self.id:
            return None
        return f"00-{self.id}-{self.span_id or os.urandom(8).hex()}-{'01' if self.sampled else '00'}"


NO_TRACE = Trace()


def trace_of(headers: Mapping[str, str]) -> Trace:
    """`traceparent` first, then `X-Cloud-Trace-Context`; `NO_TRACE` where neither names one."""
    parent = headers.get("traceparent")
    if parent is not None and (trace := _from_w3c(parent)) is not None:
        return trace
    google = headers.get("x-cloud-trace-context")
    return NO_TRACE if google is None else _from_google(google)


def _from_w3c(text: str) -> Trace | None:
    found = _W3C.fullmatch(text)
    if found is None:
        return None
    version, trace_id, span_id, flags = found.groups()
    if version == "ff" or trace_id == _NO_ID or span_id == _NO_SPAN or (version == "00" and len(text) > 55):
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & 1))


def _from_google(text: str) -> Trace:
    """`trace/span;o=1`: the span is a decimal number, and like `;o=` may be missing."""
    found = _GOOGLE.fullmatch(text)
    if found is None or found[1] == _NO_ID:
        return NO_TRACE
    span = int(found[2] or 0)
    return Trace(found[1].lower(), f"{span:016x}" if 0 < span < 2**64 else "", found[3] == "1")
