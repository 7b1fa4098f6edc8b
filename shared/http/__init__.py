"""The interface of HTTP handlers: the route table, the `Call` they are given, the `Response` they return."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from shared.audit import Actor
from shared.identity import Principal

T = TypeVar("T")

PUBLIC = "public"
"""`Route.requires`: no authentication; a token is ignored."""
SIGNED_IN = "signed_in"
"""`Route.requires`: any valid access token."""
ENROLLING = "factors:enrol"
"""The scope of a token with which its user can only enrol the second factor that the tenant requires."""
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""Headers for an answer that holds a secret (RFC 6749 §5.1)."""


class Response(msgspec.Struct, frozen=True):
    """What a handler returns. `body` is already encoded; each of `cookies` is a `Set-Cookie` (RFC 6265)."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    cookies: tuple[str, ...] = ()


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A struct or plain values as JSON."""
    return Response(status, msgspec.json.encode(value), headers=headers or {})


class Call(Protocol):
    """One request, as a handler sees it."""

    method: str
    path: str
    params: Mapping[str, str]
    """Path parameters, percent-decoded. A segment that is not UTF-8 or holds `/` or NUL matches no route."""
    headers: Mapping[str, str]
    """By lower-case name. A request that repeats a header which must be single never reaches a handler."""
    request_id: str

    @property
    def client_ip(self) -> str:
        """The client's address, as the outermost of our own proxies saw it."""

    @property
    def principal(self) -> Principal:
        """The verified caller. A `PUBLIC` route has none: LookupError."""

    @property
    def actor(self) -> Actor:
        """The caller in the form of the audit log; `anonymous` on a `PUBLIC` route."""

    def query(self, kind: type[T]) -> T:
        """The query string as a struct of str, int, bool, datetime, None. 422 for unknown, repeated and
        invalid parameters.
        """

    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of the query string, unchecked and in order. 400 `malformed_query`."""

    async def form_pairs(self) -> list[tuple[str, str]]:
        """The parameters of a form in the body, unchecked and in order. 400 `malformed_form`, 413, 415."""

    async def json(self, kind: type[T]) -> T:
        """The body, strictly: `application/json`, UTF-8, no duplicate keys, unknown fields refused.

        400 if it is not JSON, 413 over the route's limit, 415, 422 with the field's path.
        """

    async def form(self) -> dict[str, str]:
        """The form in the body. A repeated parameter is refused, an empty one left out (RFC 6749 §3.2)."""

    async def body(self) -> bytes:
        """The raw body, up to the route's limit."""

    async def read(self, limit: int) -> bytes:
        """The raw body, with a limit in bytes that the handler sets. 413, 400 `body_timeout`."""


Handler = Callable[[Call], Awaitable[Response]]


class Route(msgspec.Struct, frozen=True):
    """One operation. `path` as in api-spec.yaml: `/v1/invoices/{invoice_id}`."""

    method: str
    path: str
    handler: Handler
    requires: str
    """`PUBLIC`, `SIGNED_IN` or the scope a caller must have (403 `insufficient_scope` without)."""
    max_body_bytes: int = 65_536
    oauth: bool = False
    """Errors as RFC 6749 §5.2 (`error`, `error_description`) instead of problem+json."""
    enrolling: bool = False
    """Whether a token with the scope `ENROLLING` is accepted (elsewhere: 403 `second_factor_required`)."""
