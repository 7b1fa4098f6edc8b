"""Answers on the wire: Stripe's headers, and the ways in which an answer can fail to arrive."""

import asyncio
import contextlib
import json
import socket
import struct
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from local.stripe.faults import Fault
from local.stripe.idempotency import Answer

TRANSPORT = "local.stripe.transport"

_ERRORS = {
    401: ("invalid_request_error", None, "Invalid API Key provided: sk_test_****"),
    402: ("card_error", "card_declined", "Your card was declined."),
    403: ("invalid_request_error", None, "The provided key does not have the required permissions."),
    404: ("invalid_request_error", "resource_missing", "No such object"),
    409: (
        "idempotency_error",
        "idempotency_key_in_use",
        "There is another in-progress request using this key.",
    ),
    429: (
        "invalid_request_error",
        "rate_limit",
        "Too many requests hit the API too quickly. We recommend an exponential backoff of your requests.",
    ),
}


class Transport(HttpToolsProtocol):
    """Lets an application have the connection itself, to break it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


def body(value: Any) -> bytes:
    """JSON as Stripe writes it."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode()


def whole(answer: Answer, version: str, key: str | None, more: dict[str, str] | None = None) -> Response:
    """The answer with the headers that go with it."""
    headers = {"request-id": answer.request_id, "stripe-version": version, **(more or {})}
    if key is not None:
        headers |= {"idempotency-key": key, "original-request": answer.original}
        if answer.original != answer.request_id:
            headers["idempotent-replayed"] = "true"
        if answer.status >= 500:
            headers.setdefault("stripe-should-retry", "false")
    return Response(answer.body, answer.status, headers, media_type="application/json")


def of_fault(fault: Fault, request_id: str) -> Answer:
    """What a `status` is answered with."""
    kind, code, message = _ERRORS.get(
        fault.status, ("api_error", None, "An unknown error occurred. Please try again later.")
    )
    error = {"type": kind, "message": message, **({} if code is None else {"code": code})}
    content = b"" if fault.status < 400 else body({"error": error})
    return Answer(fault.status, content, request_id, request_id)


def broken(fault: Fault, response: Response) -> ASGIApp:
    """The response as it arrives with this fault."""
    if fault.kind == "half_body":
        return _HalfBody(response)
    if fault.kind == "invalid_json":
        content = bytes(response.body)
        return Response(content[: len(content) // 2], response.status_code, media_type="application/json")
    return {"hang": _hang, "reset": _reset}.get(fault.kind, response)


class _HalfBody:
    """Says how long it is, sends half of it and closes the connection."""

    def __init__(self, response: Response) -> None:
        self._response = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content = bytes(self._response.body)
        head = {"type": "http.response.start", "status": self._response.status_code}
        await send({**head, "headers": self._response.raw_headers})
        half = content[: len(content) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        scope["extensions"][TRANSPORT]["transport"].close()
        await _gone(receive)


async def _hang(scope: Scope, receive: Receive, send: Send) -> None:
    await _gone(receive)


async def _reset(scope: Scope, receive: Receive, send: Send) -> None:
    transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]
    connection = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
