"""The documents of auth: where they are, and how they become values."""

from typing import Generic, TypeVar

import msgspec

from shared.http import pagination
from shared.http.pagination import Listing
from shared.store import Check, Create, Doc, Key, Query, Replace, Store, Version
from shared.store.bodies import from_body, to_body

T = TypeVar("T", bound=msgspec.Struct)

USERS = Query("users_by_age", "users", order="created_at")
INVITATIONS = Query("invitations_by_age", "invitations", order="created_at")
SERVICE_ACCOUNTS = Query("service_accounts_by_age", "service_accounts", order="created_at")
QUERIES = (USERS, INVITATIONS, SERVICE_ACCOUNTS)


class Slug(msgspec.Struct, frozen=True):
    """`slugs/{slug}`, which the tenants function owns."""

    tenant_id: str


class MacKeyRing(msgspec.Struct, frozen=True):
    """`keyring/refresh` and `keyring/link`: the secret's versions that are accepted; the last one seals."""

    secret_versions: tuple[int, ...]


class Found(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """A document that was read, as a value."""

    key: Key
    value: T
    version: Version

    def replace(self, value: T) -> Replace:
        """Fails with `Stale` if somebody else was faster."""
        return Replace(self.key, to_body(value), self.version)

    def check(self) -> Check:
        return Check(self.key, self.version)


async def listed(
    store: Store, tenant_id: str, query: Query, kind: type[T], limit: int, cursor: str | None
) -> Listing[T]:
    """Raises `BadRequest` `invalid_cursor` for one of another list, another tenant, or none of ours."""
    with pagination.checked(cursor):
        page = await store.tenant(tenant_id).query(query, limit=limit, cursor=cursor)
    return Listing([from_body(doc.body, kind) for doc in page.docs], page.cursor)


def found(doc: Doc | None, kind: type[T]) -> Found[T] | None:
    return None if doc is None else Found(doc.key, from_body(doc.body, kind), doc.version)


def create(key: Key, value: msgspec.Struct) -> Create:
    return Create(key, to_body(value))


def slug_key(store: Store, slug: str) -> Key:
    return store.platform().key("slugs", slug)


def ring_key(store: Store, name: str) -> Key:
    return store.platform().key("keyring", name)


def user_key(store: Store, tenant_id: str, user_id: str) -> Key:
    return store.tenant(tenant_id).key("users", user_id)


def login_key(store: Store, tenant_id: str, login_id: str) -> Key:
    return store.tenant(tenant_id).key("logins", login_id)


def invitation_key(store: Store, tenant_id: str, invitation_id: str) -> Key:
    return store.tenant(tenant_id).key("invitations", invitation_id)


def session_key(store: Store, tenant_id: str, session_id: str) -> Key:
    return store.tenant(tenant_id).key("sessions", session_id)


def service_account_key(store: Store, tenant_id: str, account_id: str) -> Key:
    return store.tenant(tenant_id).key("service_accounts", account_id)
