"""What several doors of auth take and give over HTTP, as api-spec.yaml has it."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from msgspec import Meta

from functions.auth.domain import email, password, sealed
from shared.http.pagination import Listing

T = TypeVar("T")
V = TypeVar("V")

Slug = Annotated[str, Meta(min_length=1, max_length=64)]
Email = Annotated[str, Meta(min_length=3, max_length=email.MAX_BYTES)]
RoleName = Annotated[str, Meta(pattern=r"\A[a-z_]{1,32}\Z")]
Password = Annotated[str, Meta(min_length=1, max_length=password.MAX_BYTES)]
SealedText = Annotated[str, Meta(min_length=1, max_length=sealed.MAX_CHARACTERS)]
"""What `Seal` makes: links, challenges, what makes a device known."""


def page(listing: Listing[T], view: Callable[[T], V]) -> Listing[V]:
    return Listing([view(item) for item in listing.items], listing.next_cursor)
