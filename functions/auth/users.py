"""The people of a tenant, as others of it see them."""

from functions.auth import records
from functions.auth.domain.people import User
from shared.errors import NotFound
from shared.http.pagination import Listing
from shared.ids import is_id
from shared.store import Store


class Users:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, tenant_id: str, limit: int, cursor: str | None) -> Listing[User]:
        """Oldest first. Raises `BadRequest` `invalid_cursor`."""
        return await records.listed(self._store, tenant_id, records.USERS, User, limit, cursor)

    async def get(self, tenant_id: str, user_id: str) -> User:
        """Raises `NotFound` `user_not_found`, for another tenant's as for nobody's."""
        key = records.user_key(self._store, tenant_id, user_id) if is_id(user_id) else None
        found = records.found((await self._store.read(key))[0], User) if key else None
        if found is None:
            raise NotFound("user_not_found", "There is no such user.")
        return found.value
