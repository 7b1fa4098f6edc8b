"""All refusals of the suite. The class fixes the HTTP status; each has a stable code.

Any other exception is a bug or an outage, and is reported as one.
"""

from collections.abc import Mapping


class FieldError(Exception):
    """One wrong field. `path` is a JSON Pointer into the body (RFC 6901), e.g. `/owner_email`."""

    def __init__(self, path: str, code: str, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.path = path
        self.code = code
        self.detail = detail


class Error(Exception):
    """The base class. `detail` tells a person what to do next, and never holds a secret."""

    status: int
    title: str

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        fields: tuple[FieldError, ...] = (),
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.fields = fields


class BadRequest(Error):
    status = 400
    title = "The request cannot be parsed"


class Unauthenticated(Error):
    status = 401
    title = "Sign in first"


class Forbidden(Error):
    status = 403
    title = "Not allowed"


class NotFound(Error):
    status = 404
    title = "Not found"


class MethodNotAllowed(Error):
    status = 405
    title = "Method not allowed"


class Conflict(Error):
    status = 409
    title = "Conflict"


class TooLarge(Error):
    status = 413
    title = "Too large"


class UriTooLong(Error):
    status = 414
    title = "The address is too long"


class UnsupportedMediaType(Error):
    status = 415
    title = "Unsupported media type"


class Invalid(Error):
    """A field is wrong; `fields` names each one."""

    status = 422
    title = "A field is wrong"


class TooManyRequests(Error):
    status = 429
    title = "Too many requests"


class HeadersTooLarge(Error):
    status = 431
    title = "Headers too large"


class Unavailable(Error):
    """Shedding or an outage: the same request may succeed later."""

    status = 503
    title = "Try again later"

    def __init__(self, code: str, detail: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(code, detail, headers={"Retry-After": str(retry_after_seconds)})


class Misconfigured(Unavailable):
    """Google has no such `resource`, or forbids it: a retry does not help, but a new setting may.

    Clients learn only that the service is not ready. `str` names the resource; whoever raises this logs it.
    """

    def __init__(self, resource: str, refusal: str) -> None:
        super().__init__("not_ready", "The service is not ready. Try again later.", retry_after_seconds=5)
        self.args = (f"misconfigured: {resource}: {refusal}",)


class OAuthError(Error):
    """What `/oauth2/*` answers itself (RFC 6749 §5.2). `error`: `invalid_client`, `invalid_grant` …"""

    title = "The token request was refused"

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(error, description)
        self.status = status


def invalid(path: str, code: str, detail: str) -> Invalid:
    """A 422 about one field. `path` is a JSON Pointer into the body or `?name` for a query parameter."""
    return Invalid("invalid_field", detail, fields=(FieldError(path, code, detail),))
