"""The HTTP door: a route table, what a handler is given, what it returns."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from shared.audit import Actor
from shared.identity import Principal

T = TypeVar("T")

PUBLIC = "public"
"""`Route.requires`: no token is looked at."""
SIGNED_IN = "signed_in"
"""`Route.requires`: any valid access token."""
ENROLLING = "factors:enrol"
"""The scope of a token that may do nothing but enrol a second factor, which its tenant requires."""
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""The headers of an answer that holds a secret (RFC 6749 §5.1)."""


class Response(msgspec.Struct, frozen=True):
    """What a handler returns. `body` is encoded already; each of `cookies` is a `Set-Cookie` (RFC 6265)."""

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
    """Path parameters, percent-decoded; a segment that holds `/`, NUL or is not UTF-8 never matches."""
    headers: Mapping[str, str]
    """Lower-case names; a doubled header was refused before."""
    request_id: str

    @property
    def client_ip(self) -> str:
        """The address that the outermost proxy of ours saw."""

    @property
    def principal(self) -> Principal:
        """Who calls; routes that are not PUBLIC have one."""

    @property
    def actor(self) -> Actor:
        """The same for the audit log; `anonymous` on a PUBLIC route."""

    def query(self, kind: type[T]) -> T:
        """The query string as a struct of str, int, bool, None. 422 for unknown, doubled, wrong ones."""

    def pairs(self) -> list[tuple[str, str]]:
        """The query string as it is, whatever is in it. 400 `malformed_query`."""

    async def form_pairs(self) -> list[tuple[str, str]]:
        """The same of a body that is a form. 400 `malformed_form`, 413, 415."""

    async def json(self, kind: type[T]) -> T:
        """The body, strictly: `application/json`, UTF-8, no duplicate keys, unknown fields refused.

        400 where it is no JSON, 413 over the route's limit, 415, 422 with the field's path.
        """

    async def form(self) -> dict[str, str]:
        """The body as `application/x-www-form-urlencoded`; a doubled parameter is refused (RFC 6749 §3.2)."""

    async def body(self) -> bytes:
        """The raw body, up to the route's limit."""

    async def read(self, limit: int) -> bytes:
        """The raw body, up to a limit that only the handler knows. 413, 400 `body_timeout`."""


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
    """Whether a token with the scope `ENROLLING` is let in (403 `second_factor_required` elsewhere)."""
