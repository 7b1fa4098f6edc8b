"""One request as a handler sees it. The body is read only when the handler asks for it."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from starlette.types import Receive, Scope

from shared import strict_json
from shared.audit import Actor
from shared.errors import BadRequest, Invalid, TooLarge, UnsupportedMediaType, invalid
from shared.http import Route
from shared.http.headers import client_ip
from shared.http.limits import Limits
from shared.http.problem import wrong_field
from shared.http.slots import Slots
from shared.http.urlencoded import pairs_of
from shared.identity import Principal

T = TypeVar("T")

_UTF8 = re.compile(r';\s*charset="?utf-8"?\s*', re.IGNORECASE)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
"""RFC 3339, `date-time`."""
_CLOSE = {"Connection": "close"}


class Disconnected(Exception):
    """The client disconnected before its body had arrived."""


class HttpCall:
    """Implements `shared.http.Call`."""

    __slots__ = (
        "_body", "_ended", "_limits", "_max_body_bytes", "_peer", "_query_string", "_receive", "_slots",
        "_trusted_principal", "headers", "method", "params", "path", "request_id",
    )  # fmt: skip

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        headers: Mapping[str, str],
        request_id: str,
        limits: Limits,
        slots: Slots,
    ) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["raw_path"].decode("latin-1")
        self.params: Mapping[str, str] = {}
        self.headers = headers
        self.request_id = request_id
        self._peer = scope.get("client")
        self._query_string: bytes = scope["query_string"]
        self._receive = receive
        self._limits = limits
        self._slots = slots
        self._max_body_bytes = 0
        self._body: bytes | None = None
        self._ended = False
        self._trusted_principal: Principal | None = None

    def enter(self, route: Route, params: Mapping[str, str]) -> None:
        """Sets the route."""
        self.params = params
        self._max_body_bytes = route.max_body_bytes

    def admit(self, principal: Principal) -> None:
        """Sets the verified caller."""
        self._trusted_principal = principal

    @property
    def client_ip(self) -> str:
        return client_ip(self.headers, self._peer, self._limits.trusted_hops)

    @property
    def target_bytes(self) -> int:
        return len(self.path) + len(self._query_string)

    @property
    def known_principal(self) -> Principal | None:
        return self._trusted_principal

    @property
    def principal(self) -> Principal:
        if self._trusted_principal is None:
            raise LookupError("a PUBLIC route has no principal")
        return self._trusted_principal

    @property
    def actor(self) -> Actor:
        caller = self._trusted_principal
        if caller is None:
            return Actor("anonymous", self.client_ip, "", self.request_id, self.client_ip)
        machine = "api_key" if caller.subject.startswith("key_") else "service_account"
        kind = "user" if caller.session_id else machine
        return Actor(kind, caller.subject, caller.tenant_id, self.request_id, self.client_ip)

    def query(self, kind: type[T]) -> T:
        known: tuple[str, ...] = getattr(kind, "__struct_encode_fields__", ())
        fields: dict[str, str] = {}
        for name, value in pairs_of(self._query_string, "malformed_query"):
            if name not in known:
                raise invalid(f"?{name[:64]}", "unknown_parameter", "There is none like this: leave it out.")
            if name in fields:
                raise invalid(f"?{name}", "repeated_parameter", "Give this parameter once.")
            fields[name] = value
        try:
            asked = msgspec.convert(fields, kind, strict=False)
        except msgspec.ValidationError as wrong:
            raise wrong_field(wrong, kind, query=True) from None
        except ValueError:
            raise _no_time(_beyond_all_times(kind, fields)) from None
        if fields:
            _require_plain(asked, known, fields)
        return asked

    async def json(self, kind: type[T]) -> T:
        self._require_type("application/json")
        raw = await self.body()
        try:
            return strict_json.decode(raw, kind)
        except strict_json.Malformed as malformed:
            raise BadRequest("malformed_json", malformed.detail) from None
        except msgspec.ValidationError as wrong:
            raise wrong_field(wrong, kind) from None

    def pairs(self) -> list[tuple[str, str]]:
        return pairs_of(self._query_string, "malformed_query")

    async def form_pairs(self) -> list[tuple[str, str]]:
        self._require_type("application/x-www-form-urlencoded")
        return pairs_of(await self.body(), "malformed_form")

    async def form(self) -> dict[str, str]:
        pairs = await self.form_pairs()
        if len(dict(pairs)) != len(pairs):
            raise BadRequest("malformed_form", "A parameter comes twice. Give each once.")
        # RFC 6749 §3.2: a parameter without a value counts as omitted.
        return {name: value for name, value in pairs if value}

    async def body(self) -> bytes:
        return await self.read(self._max_body_bytes)

    async def read(self, limit: int) -> bytes:
        """The body, if it has at most `limit` bytes and arrives in time."""
        if self._body is None:
            if self._declared() > limit:
                raise _too_large(limit)
            try:
                self._body = await self._slots.receive(self, self._received(limit))
            except TimeoutError:
                detail = "The body did not arrive in time. Send it again."
                raise BadRequest("body_timeout", detail, headers=_CLOSE) from None
        if len(self._body) > limit:
            raise _too_large(limit)
        return self._body

    @property
    def leaves_much_unread(self) -> bool:
        """Whether the unread body is too large to be drained to keep the connection open."""
        if self._body is not None:
            return False
        return "transfer-encoding" in self.headers or self._declared() > self._limits.unread_bytes

    @property
    def is_unfinished(self) -> bool:
        """Whether more of the body may arrive. A client that waits for `100 Continue` sends none."""
        announced = "transfer-encoding" in self.headers or self._declared() > 0
        return announced and self._body is None and not self._ended and "expect" not in self.headers

    async def _received(self, limit: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise Disconnected
            chunk: bytes = message.get("body", b"")
            self._ended = not message.get("more_body", False)
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
            if self._ended:
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _declared(self) -> int:
        length = self.headers.get("content-length", "")
        return int(length) if length.isascii() and length.isdigit() and len(length) < 19 else 0

    def _require_type(self, expected: str) -> None:
        given = self.headers.get("content-type", "")
        essence, separator, parameters = given.partition(";")
        good = essence.strip().lower() == expected and (not separator or _UTF8.fullmatch(";" + parameters))
        if not good or self.headers.get("content-encoding", "identity").lower() != "identity":
            detail = f"Send the body as {expected} in UTF-8, not compressed."
            raise UnsupportedMediaType("unsupported_media_type", detail)


def _require_plain(asked: Any, names: tuple[str, ...], fields: Mapping[str, str]) -> None:
    """Refuses what lax msgspec accepts: `1e1`, `1.0` as integers, numbers for times, `null` as None."""
    for attribute, name in zip(asked.__struct_fields__, names, strict=True):
        if name not in fields:
            continue
        value = getattr(asked, attribute)
        if type(value) is int and fields[name] != str(value):
            raise invalid(f"?{name}", "invalid_type", "Give a whole number in digits.")
        if isinstance(value, datetime) and not _TIME.fullmatch(fields[name]):
            raise _no_time(name)
        if value is None:
            raise invalid(f"?{name}", "invalid_value", "Give a value, or leave this parameter out.")


def _beyond_all_times(kind: type[Any], fields: Mapping[str, str]) -> str:
    """The parameter for a time that is a number after the year 9999: msgspec raises a ValueError for that
    alone, without a name.
    """
    for name in fields:
        try:
            msgspec.convert({name: fields[name]}, kind, strict=False)
        except msgspec.ValidationError:
            continue
        except ValueError:
            break
    return name


def _no_time(name: str) -> Invalid:
    return invalid(f"?{name}", "invalid_value", "Give a time as in RFC 3339, like 2026-10-01T00:00:00Z.")


def _too_large(limit: int) -> TooLarge:
    return TooLarge("body_too_large", f"The body has more than {limit} bytes. Send less.", headers=_CLOSE)
