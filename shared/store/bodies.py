"""Values to document bodies and back."""

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from shared.store import Body

T = TypeVar("T")

_PLAIN = frozenset({str, int, bool, type(None)})


def stamp(at: datetime) -> str:
    """An aware time as RFC 3339 in UTC, always with six decimals, so that texts sort like times."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    text: str = msgspec.to_builtins(utc)  # an eighth of the time of `isoformat`
    return text if utc.microsecond else f"{text[:-1]}.000000Z"


def to_body(value: msgspec.Struct) -> Body:
    """A struct as a body. Times at any depth become `stamp`s."""
    body: Body = _stamped(msgspec.to_builtins(value, builtin_types=(datetime,)))
    return body


def from_body(body: Body, kind: type[T]) -> T:
    """The struct that `to_body` was given. Raises `msgspec.ValidationError` for a body of another form."""
    return msgspec.convert(body, kind)


def _stamped(value: Any) -> Any:
    kind = type(value)
    if kind is datetime:
        return stamp(value)
    if kind is dict:
        return {name: item if type(item) in _PLAIN else _stamped(item) for name, item in value.items()}
    if kind is list or kind is tuple:
        return [item if type(item) in _PLAIN else _stamped(item) for item in value]
    return value
