"""Errors as responses: RFC 9457 problem documents, and RFC 6749 §5.2 on OAuth endpoints."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from shared.errors import Error, FieldError, Invalid, OAuthError
from shared.http import Response

PROBLEM = "application/problem+json"

_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`(?: - at `(\$[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*?)`(?: - at `(\$[^`]*)`)?", re.DOTALL)
_WRONG = re.compile(r"(.*?)(?: - at (?:`key` in )?`(\$[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_MAX_NAME = 64
_PATTERN = re.compile(r"Expected `str` matching regex '(?:\\\\A)?(.*?)(?:\\\\Z)?'")
_INVALID = {
    "Invalid epoch timestamp": "Give a time as in RFC 3339, like 2026-10-01T00:00:00Z.",
    "Invalid RFC3339 encoded datetime": "Give a time as in RFC 3339, like 2026-10-01T00:00:00Z.",
    "Invalid RFC3339 encoded date": "Give a day as in RFC 3339, like 2026-10-01.",
}
"""Messages of msgspec that do not help a client, and what we say instead."""

_OAUTH_ERRORS = {
    401: "invalid_client",
    403: "unauthorized_client",
    429: "slow_down",
    503: "temporarily_unavailable",
}
_BEARER_ERRORS = {
    "unauthenticated": "invalid_token",
    "invalid_token": "invalid_token",
    "insufficient_scope": "insufficient_scope",
}
"""Our codes to the errors of RFC 6750 §3.1, for OAuth endpoints that take an access token."""


class _Field(msgspec.Struct, frozen=True):
    path: str
    code: str
    detail: str


class _Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[_Field] = []


class _OAuthProblem(msgspec.Struct, frozen=True):
    error: str
    error_description: str


def problem(error: Error, request_id: str) -> Response:
    """`type` is `urn:energent:error:` and the code; `errors` names each wrong field."""
    fields = [_Field(field.path, field.code, field.detail) for field in error.fields]
    body = _Problem(
        type=f"urn:energent:error:{error.code}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        code=error.code,
        request_id=request_id,
        errors=fields,
    )
    return Response(error.status, msgspec.json.encode(body), PROBLEM, dict(error.headers))


def oauth_problem(error: Error) -> Response:
    """Any refusal in the vocabulary of RFC 6749; a wrong field is an `invalid_request`, which is 400."""
    status = 400 if isinstance(error, Invalid) else error.status
    known = error.code if isinstance(error, OAuthError) else _BEARER_ERRORS.get(error.code)
    code = known or _OAUTH_ERRORS.get(status, "invalid_request")
    if status == 500:
        code = "server_error"
    body = msgspec.json.encode(_OAuthProblem(code, error.detail))
    return Response(status, body, "application/json", dict(error.headers))


def wrong_field(wrong: msgspec.ValidationError, kind: type[Any], *, query: bool = False) -> Invalid:
    """A 422 made from msgspec's message about a value that is not a `kind`. It never repeats a value, and a
    client's name of a field only if the field is unknown.
    """
    message = str(wrong)
    field = _unknown_or_missing(message) or _mistyped(message, kind)
    if query:
        field = FieldError("?" + field.path[1:], field.code, field.detail)
    return Invalid("invalid_field", field.detail, fields=(field,))


def _unknown_or_missing(message: str) -> FieldError | None:
    if found := _UNKNOWN.fullmatch(message):
        return FieldError(
            _pointer(found[2], found[1]), "unknown_field", "There is no such field: leave it out."
        )
    if found := _MISSING.fullmatch(message):
        return FieldError(_pointer(found[2], found[1]), "required", "This field is required. Give it.")
    return None


def _mistyped(message: str, kind: type[Any]) -> FieldError:
    found = _WRONG.fullmatch(message)
    what, path = (found[1], found[2]) if found else ("", None)
    pointer = _pointer(path)
    if what.startswith("Invalid enum value"):
        allowed = ", ".join(map(str, _values(inspect.type_info(kind), path or "")))
        return FieldError(pointer, "invalid_value", f"Give one of these: {allowed}.")
    if pattern := _PATTERN.fullmatch(what):
        return FieldError(pointer, "invalid_value", f"Give a string that matches {pattern[1]}.")
    if what.startswith("Expected ") and ", got " in what:
        return FieldError(pointer, "invalid_type", f"{what}.")
    if what.startswith("Expected "):
        return FieldError(pointer, "invalid_value", f"{what}.")
    return FieldError(pointer, "invalid_value", _INVALID.get(what, "This value is not valid. Change it."))


def _values(type_: inspect.Type, path: str) -> Iterator[object]:
    """The allowed values of the `Literal` at `path`, a path in msgspec's notation (`$.a[0].b`)."""
    found = [type_]
    for name, index in _STEP.findall(path):
        found = [each for outer in found for each in _inside(outer, name, index)]
    for each in found:
        for choice in _choices(each):
            if isinstance(choice, inspect.LiteralType):
                yield from choice.values


def _inside(outer: inspect.Type, name: str, index: str) -> Iterator[inspect.Type]:
    """The types of the member `name`, of an element (`index` is a number), or of a map's values (`...`)."""
    for choice in _choices(outer):
        if isinstance(choice, inspect.StructType) and name:
            yield from (field.type for field in choice.fields if field.encode_name == name)
        elif isinstance(choice, inspect.ListType | inspect.VarTupleType) and index:
            yield choice.item_type
        elif isinstance(choice, inspect.DictType) and index == "...":
            yield choice.value_type


def _choices(type_: inspect.Type) -> tuple[inspect.Type, ...]:
    return type_.types if isinstance(type_, inspect.UnionType) else (type_,)


def _pointer(path: str | None, last: str | None = None) -> str:
    """`$.a[0].b` as `/a/0/b` (RFC 6901). A key of a map, which msgspec does not tell, becomes `*`."""
    steps = [name or ("*" if index == "..." else index) for name, index in _STEP.findall(path or "")]
    if last is not None:
        steps.append(last[:_MAX_NAME])
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
