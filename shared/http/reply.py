"""Sends a handler's `Response` over ASGI, with the headers that every answer has."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from shared.http import Response
from shared.http.limits import Limits

Header = tuple[bytes, bytes]

_NOSNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")
_HTML = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    _NO_STORE,
)
_OTHER = (_NO_STORE,)
_WITHOUT_BODY = (204, 304)


class Reply:
    """An ASGI application that sends one response. `lingers`, if given, limits how much of an unread body is
    discarded before the connection is closed.
    """

    def __init__(
        self, response: Response, request_id: str, *, head: bool, close: bool, lingers: Limits | None = None
    ) -> None:
        body = response.body
        headers = [_NOSNIFF, (b"x-request-id", request_id.encode())]
        if response.status not in _WITHOUT_BODY:
            headers.append((b"content-type", _content_type(response.content_type)))
            headers.append((b"content-length", b"%d" % len(body)))
        defaults = _HTML if response.content_type.startswith("text/html") else _OTHER
        if response.headers:
            _extend(headers, response.headers, defaults)
        else:
            headers.extend(defaults)
        headers.extend((b"set-cookie", _one_line(cookie)) for cookie in response.cookies)
        if close and "Connection" not in response.headers:
            headers.append((b"connection", b"close"))
        self._status = response.status
        self.headers = headers
        self._body = b"" if head or response.status in _WITHOUT_BODY else body
        self._lingers = lingers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self._status, "headers": self.headers})
        if self._lingers is None:
            await send({"type": "http.response.body", "body": self._body})
            return
        await send({"type": "http.response.body", "body": self._body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(self._lingers.linger_seconds):
                await _discard(receive, self._lingers.linger_bytes)
        await send({"type": "http.response.body", "body": b""})


async def _discard(receive: Receive, most: int) -> None:
    """Reads until the body ends, the client disconnects, or `most` bytes have come."""
    while most > 0:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
        most -= len(message.get("body", b""))


def _extend(headers: list[Header], more: Mapping[str, str], defaults: Iterable[Header]) -> None:
    """Appends `more`, and those of `defaults` that are not in it."""
    names = set()
    for name, value in more.items():
        lower = name.lower().encode("latin-1")
        names.add(lower)
        headers.append((lower, _one_line(value)))
    headers.extend(default for default in defaults if default[0] not in names)


def _content_type(content_type: str) -> bytes:
    if content_type.startswith("text/") and "charset" not in content_type:
        content_type += "; charset=utf-8"
    return _one_line(content_type)


def _one_line(value: str) -> bytes:
    """A header's value without any character that could begin another header or the body."""
    if not (value.isascii() and value.isprintable()):
        value = "".join(character for character in value if character.isascii() and character.isprintable())
    return value.encode()
