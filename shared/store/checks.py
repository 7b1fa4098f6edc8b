"""Checks of writes that every implementation makes before it reads anything."""

from collections.abc import Collection, Iterable

from shared.store import (
    MAX_COMPARED_BYTES,
    MAX_NAME_BYTES,
    Add,
    Body,
    Create,
    Replace,
    Update,
    Write,
)

_PLAIN = frozenset({str, bool, type(None)})


def check_body(body: Body) -> None:
    """Raises ValueError for what is no `Body`. Whether strings are valid is left to the encoder."""
    try:
        _check(body)
    except RecursionError:
        raise ValueError("a body is nested too deeply") from None
    _check_names(body)


def check_amounts(write: Add) -> None:
    """Raises ValueError for an amount that is no 64-bit integer, and for a field both added to and set."""
    for name, amount in write.amounts.items():
        if type(amount) is not int or not is_int64(amount):
            raise ValueError(f"{name!r} cannot be counted up by {amount!r}")
    if not write.amounts.keys().isdisjoint(write.fields):
        raise ValueError("one field is both added to and set")
    _check_names(write.amounts)


def check_compared(write: Write, fields: Collection[str]) -> None:
    """Raises ValueError if one of `fields`, which queries compare, holds too long a string."""
    if isinstance(write, (Create, Replace)):
        body = write.body
    elif isinstance(write, (Update, Add)):
        body = write.fields
    else:
        return
    for name in fields:
        value = body.get(name)
        if type(value) is str and _is_longer(value, MAX_COMPARED_BYTES):
            raise ValueError(
                f"{name!r} of {write.key.kind} is compared and has over {MAX_COMPARED_BYTES} bytes"
            )


def is_int64(value: int) -> bool:
    return -(2**63) <= value < 2**63


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if _is_longer(name, MAX_NAME_BYTES):
            raise ValueError(f"a name in a body has over {MAX_NAME_BYTES} bytes")


def _is_longer(text: str, limit: int) -> bool:
    """Whether the text has more than `limit` bytes in UTF-8, where a character has at most four."""
    return len(text) > limit // 4 and len(text.encode()) > limit


def _check(value: object) -> None:
    if isinstance(value, dict) and type(value) is dict:
        for name in value:
            if type(name) is not str:
                raise ValueError(f"a {type(name).__name__} as a name in a body")
        _check_all(value.values())
    elif isinstance(value, list) and type(value) is list:
        _check_all(value)
    elif type(value) is not int:
        raise ValueError(f"a {type(value).__name__} in a body")
    elif not is_int64(value):
        raise ValueError("an integer beyond 64 bits in a body")


def _check_all(values: Iterable[object]) -> None:
    for value in values:
        if type(value) not in _PLAIN:
            _check(value)
