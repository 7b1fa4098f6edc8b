"""Lists in parts: `?limit=` and `?cursor=` in, `items` and `next_cursor` out."""

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
    """One part. `next_cursor` leads to the next, None: that was all."""

    items: list[T]
    next_cursor: str | None


@contextmanager
def checked(cursor: str | None) -> Iterator[None]:
    """Round a query that goes on at a caller's cursor. The store raises ValueError for one that is broken,
    of another tenant or of another list; that is a 400 `invalid_cursor`.
    """
    try:
        yield
    except ValueError:
        if cursor is None:
            raise
        detail = "The cursor is not one of this list. Use next_cursor of the part before, or none."
        raise BadRequest("invalid_cursor", detail) from None
