"""What a refusal looks like, and that nothing inside of us shows."""

import logging
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from shared.errors import (
    BadRequest,
    Conflict,
    Error,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    OAuthError,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    invalid,
)
from shared.http import PUBLIC, SIGNED_IN, Call, Response, Route, json_response
from shared.secrets import SecretUnusable
from tests.door import Answer, Door


def _raising(failure: BaseException) -> Callable[[Call], Awaitable[Response]]:
    async def handler(call: Call) -> Response:
        raise failure

    return handler


def _answer(failure: BaseException) -> Answer:
    return Door(Route("GET", "/x", _raising(failure), PUBLIC)).ask("GET", "/x")


def _oauth(failure: BaseException, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Door(Route("GET", "/oauth2/x", _raising(failure), PUBLIC, oauth=True)).ask(
        "GET", "/oauth2/x", headers
    )


def test_a_problem_document_says_everything_a_client_needs() -> None:
    answer = _answer(Invalid("invalid_field", "Two wrong.", fields=(
        FieldError("/a", "required", "Give it."), FieldError("?b", "too_long", "Shorter."),
    )))  # fmt: skip
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:energent:error:invalid_field",
        "title": "A field is wrong",
        "status": 422,
        "detail": "Two wrong.",
        "code": "invalid_field",
        "request_id": answer.headers["x-request-id"],
        "errors": [
            {"path": "/a", "code": "required", "detail": "Give it."},
            {"path": "?b", "code": "too_long", "detail": "Shorter."},
        ],
    }


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadRequest("x", "X."), 400),
        (Unauthenticated("x", "X."), 401),
        (Forbidden("x", "X."), 403),
        (NotFound("x", "X."), 404),
        (Conflict("x", "X."), 409),
        (invalid("/a", "x", "X."), 422),
        (TooManyRequests("x", "X.", headers={"Retry-After": "7"}), 429),
        (Unavailable("x", "X.", retry_after_seconds=3), 503),
    ],
)
def test_the_kind_of_an_error_is_its_status(error: Error, status: int) -> None:
    """H22."""
    answer = _answer(error)
    assert answer.status == answer.json()["status"] == status
    assert answer.headers.get("retry-after") == {429: "7", 503: "3"}.get(status)
    assert ("errors" in answer.json()) is (status == 422)


def test_a_401_always_has_a_challenge() -> None:
    assert _answer(Unauthenticated("wrong_password", "X.")).headers["www-authenticate"] == "Bearer"
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    answer = _answer(Unauthenticated("invalid_token", "X.", headers=challenge))
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("hunter2"),
        KeyError("hunter2"),
        RecursionError("hunter2"),
        TimeoutError("hunter2"),
        MemoryError("hunter2"),
        msgspec.ValidationError("hunter2 - at `$.x`"),
        UnicodeEncodeError("utf-8", "hunter2", 0, 1, "hunter2"),
    ],
)
def test_a_bug_is_logged_once_and_shows_nothing(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """H19 G2."""
    answer = _answer(failure)
    assert (answer.status, answer.code) == (500, "internal")
    assert b"hunter2" not in answer.body
    assert type(failure).__name__.encode() not in answer.body
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[1] is failure


def test_an_unusable_secret_closes_the_service_and_not_the_check(caplog: pytest.LogCaptureFixture) -> None:
    """S2."""
    answer = _answer(SecretUnusable("auth-signing-key", 3, "disabled"))
    assert (answer.status, answer.code) == (503, "not_ready")
    assert b"auth-signing-key" not in answer.body
    assert len(caplog.records) == 1


def test_expected_refusals_are_not_logged_as_failures(caplog: pytest.LogCaptureFixture) -> None:
    _answer(Conflict("x", "X."))
    _answer(Unavailable("x", "X."))
    assert caplog.records == []


@pytest.mark.parametrize(
    ("failure", "status", "error"),
    [
        (OAuthError(400, "invalid_grant", "Over."), 400, "invalid_grant"),
        (OAuthError(401, "invalid_client", "No."), 401, "invalid_client"),
        (BadRequest("malformed_form", "X."), 400, "invalid_request"),
        (invalid("/a", "x", "X."), 400, "invalid_request"),
        (Unavailable("x", "X."), 503, "temporarily_unavailable"),
        (RuntimeError("hunter2"), 500, "server_error"),
    ],
)
def test_the_token_endpoint_speaks_rfc_6749(failure: Exception, status: int, error: str) -> None:
    answer = _oauth(failure)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.json()["error"] == error
    assert b"hunter2" not in answer.body


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ((), "Bearer"),
        ((("authorization", "Basic YTpi"),), 'Basic realm="token"'),
        (
            (("authorization", "Bearer gateway"), ("x-forwarded-authorization", "basic YTpi")),
            'Basic realm="token"',
        ),
    ],
)
def test_a_client_that_tried_basic_is_asked_for_basic(
    headers: tuple[tuple[str, str], ...], challenge: str
) -> None:
    """RFC 6749 §5.2."""
    answer = _oauth(OAuthError(401, "invalid_client", "No."), headers)
    assert answer.headers["www-authenticate"] == challenge


def test_refusals_before_the_handler_speak_rfc_6749_too() -> None:
    async def handler(call: Call) -> Response:
        return json_response(await call.form())

    door = Door(Route("POST", "/oauth2/token", handler, PUBLIC, oauth=True))
    for answer, status in (
        (door.ask("GET", "/oauth2/token"), 405),
        (door.post("/oauth2/token", b"{}", "application/json"), 415),
        (door.post("/oauth2/token", b"a=1&a=2", "application/x-www-form-urlencoded"), 400),
        (door.post("/oauth2/token", b"a=" + b"x" * 65_536, "application/x-www-form-urlencoded"), 413),
        (door.ask("POST", "/oauth2/token", [("x", "a" * 9000)]), 431),
    ):
        assert (answer.status, answer.json()["error"]) == (status, "invalid_request")


async def _who(call: Call) -> Response:
    return json_response([call.principal.subject, call.actor])


GUARDED = Door(Route("GET", "/me", _who, SIGNED_IN), Route("GET", "/users", _who, "users:read"))


@pytest.mark.parametrize("headers", [[], [("authorization", "Basic YTpi")], [("cookie", "token=good")]])
def test_without_a_token_nobody_is_signed_in(headers: list[tuple[str, str]]) -> None:
    """H21 J33."""
    answer = GUARDED.ask("GET", "/me?access_token=good", headers)
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Bearer bad")],
        [("authorization", "Bearer good"), ("x-forwarded-authorization", "Bearer bad")],
        [("authorization", "Bearer  good")],
        [("x-apigateway-api-userinfo", "eyJzdWIiOiJhZG1pbiJ9"), ("authorization", "Bearer bad")],
    ],
)
def test_a_bad_token_is_refused(headers: list[tuple[str, str]]) -> None:
    """T15."""
    answer = GUARDED.ask("GET", "/me", headers)
    assert (answer.status, answer.code) == (401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_what_the_gateway_says_of_the_caller_is_not_believed() -> None:
    """T15."""
    for name in ("x-apigateway-api-userinfo", "x-endpoint-api-userinfo"):
        assert GUARDED.ask("GET", "/me", [(name, "eyJzdWIiOiJhZG1pbiJ9")]).status == 401


def test_a_caller_is_known_to_the_handler_and_to_the_audit_log() -> None:
    answer = GUARDED.ask("GET", "/me", [("authorization", "bearer good"), ("x-request-id", "req-12345")])
    actor = {
        "kind": "user",
        "id": "usr_1",
        "tenant_id": "tnt_acme",
        "request_id": "req-12345",
        "ip": "192.0.2.9",
    }
    assert answer.json() == ["usr_1", actor]


def test_a_scope_is_asked_for() -> None:
    assert GUARDED.ask("GET", "/users", [("authorization", "Bearer scope:users:read")]).status == 200
    answer = GUARDED.ask("GET", "/users", [("authorization", "Bearer scope:users:write")])
    assert (answer.status, answer.code) == (403, "insufficient_scope")


def test_a_public_route_looks_at_no_token_and_knows_nobody() -> None:
    async def handler(call: Call) -> Response:
        with pytest.raises(LookupError):
            _ = call.principal
        return json_response(call.actor)

    door = Door(Route("GET", "/x", handler, PUBLIC))
    answer = door.ask("GET", "/x", [("authorization", "Bearer bad"), ("x-request-id", "req-12345")])
    assert answer.json() == {
        "kind": "anonymous",
        "id": "192.0.2.9",
        "tenant_id": "",
        "request_id": "req-12345",
        "ip": "192.0.2.9",
    }
