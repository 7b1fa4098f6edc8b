"""Stripe's errors: what a refused request is answered with."""

from typing import Any

DOCUMENTATION = "https://stripe.com/docs/error-codes"


class ApiError(Exception):
    """An answer that is not the object asked for.

    `executed`: the endpoint had begun its work, so the answer is kept under the request's idempotency key.
    What is refused before (a bad key, bad parameters, a limit) is not, and the key stays free.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = True,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.executed = executed
        error = {"code": code, "message": message, "param": param, "type": kind, **details}
        self._error = {name: value for name, value in error.items() if value is not None}
        if code is not None:
            self._error["doc_url"] = f"{DOCUMENTATION}/{code.replace('_', '-')}"

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {"error": self._error}


class CardDeclined(ApiError):
    """402: the card's bank has refused. What the attempt has changed is kept."""

    def __init__(self, code: str, decline_code: str, message: str, **details: Any) -> None:
        super().__init__(402, message, kind="card_error", code=code, decline_code=decline_code, **details)


def bad_parameter(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """A request that no endpoint has begun to work on."""
    return ApiError(400, message, code=code, param=param, executed=False)


def no_such(kind: str, object_id: str, param: str, *, status: int = 400) -> ApiError:
    """404 where the path names the object, 400 where a parameter does."""
    return ApiError(status, f"No such {kind}: '{object_id}'", code="resource_missing", param=param)


def not_possible(message: str, code: str | None = None, param: str | None = None) -> ApiError:
    """The object's state forbids it."""
    return ApiError(400, message, code=code, param=param)
