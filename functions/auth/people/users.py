"""The users of a tenant, read."""

from typing import Literal

import msgspec

from functions.auth import records
from functions.auth.domain import email as email_rules
from functions.auth.domain.people import User
from functions.auth.records import Found
from shared.errors import NotFound, invalid
from shared.http.pagination import Listing
from shared.store import Query, Store


class Wanted(msgspec.Struct, frozen=True):
    """A filter; None matches all. `email` cannot be combined, since an address has one user at most."""

    status: Literal["active", "disabled"] | None = None
    role: str | None = None
    email: str | None = None


ALL = Wanted()


class Users:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(
        self, tenant_id: str, limit: int, cursor: str | None, wanted: Wanted = ALL
    ) -> Listing[User]:
        """Oldest first. Raises `BadRequest` `invalid_cursor`, `Invalid`."""
        query, equal = _query(wanted)
        return await records.listed(self._store, tenant_id, query, User, limit, cursor, equal)

    async def get(self, tenant_id: str, user_id: str) -> User:
        """Raises `NotFound` `user_not_found`, alike for unknown and for other tenants' ids."""
        return (await known(self._store, tenant_id, user_id)).value


async def known(store: Store, tenant_id: str, user_id: str) -> Found[User]:
    """Raises `NotFound` `user_not_found`."""
    found = await records.by_id(store, records.user_key, tenant_id, user_id, User)
    if found is None:
        raise not_found()
    return found


def not_found() -> NotFound:
    return NotFound("user_not_found", "There is no such user. GET /v1/users lists those there are.")


def _query(wanted: Wanted) -> tuple[Query, dict[str, str]]:
    if wanted.email is not None:
        if wanted.status is not None or wanted.role is not None:
            raise invalid("?email", "filter_alone", "Give email without another filter.")
        return records.USERS_OF_EMAIL, {"email": email_rules.canonical(wanted.email, "?email")}
    given = {"role": wanted.role, "status": wanted.status}
    equal = {name: value for name, value in given.items() if value is not None}
    by_filter = {
        (): records.USERS,
        ("role",): records.USERS_OF_ROLE,
        ("status",): records.USERS_OF_STATUS,
        ("role", "status"): records.USERS_OF_ROLE_AND_STATUS,
    }
    return by_filter[tuple(equal)], equal
