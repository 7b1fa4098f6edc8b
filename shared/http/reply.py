"""A handler's `Response` as Starlette sends it, with the headers that every answer has."""

from collections.abc import Iterable, Mapping

from starlette.responses import Response as StarletteResponse

from shared.http import Response

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


class Reply(StarletteResponse):
    """Made on the hot path: its headers are put together once, as bytes."""

    def __init__(self, response: Response, request_id: str, *, head: bool, close: bool) -> None:
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
        self.status_code = response.status
        self.raw_headers = headers
        self.body = b"" if head or response.status in _WITHOUT_BODY else body
        self.background = None


def _extend(headers: list[Header], more: Mapping[str, str], defaults: Iterable[Header]) -> None:
    """`more`, and those defaults that it does not name itself."""
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
    """A header's value can never begin another header or a body, whoever chose it."""
    if not (value.isascii() and value.isprintable()):
        value = "".join(character for character in value if character.isascii() and character.isprintable())
    return value.encode()
