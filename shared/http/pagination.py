"""Pagination: `?limit=` and `?cursor=` in a request, `items` and `next_cursor` in the answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from shared.errors import BadRequest

T = TypeVar("T")


class Paging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of a list. A list with filters inherits from it."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """One part of a list. `next_cursor` leads to the next part; None: this was the last."""

    items: list[T]
    next_cursor: str | None


@contextmanager
def checked(cursor: str | None) -> Iterator[None]:
    """A context for a query with a caller's cursor. Turns the store's ValueError for a cursor that is
    malformed or belongs to another tenant or list into a 400 `invalid_cursor`.
    """
    try:
        yield
    except ValueError:
        if cursor is None:
            raise
        detail = "The cursor is not one of this list. Use next_cursor of the part before, or none."
        raise BadRequest("invalid_cursor", detail) from None
