"""The documents of auth: their keys, the declared queries, and their conversion to values."""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import msgspec

from shared.http import pagination
from shared.http.pagination import Listing
from shared.ids import is_id
from shared.store import AlreadyExists, Check, Create, Doc, Key, Query, Replace, Stale, Store, Version, Write
from shared.store.bodies import from_body, to_body

T = TypeVar("T", bound=msgspec.Struct)

KeyOf = Callable[[Store, str, str], Key]
"""Gives the key of a document from the tenant's id and its own id."""

USERS = Query("users_by_age", "users", order="created_at")
USERS_OF_STATUS = Query("users_of_status", "users", equal=("status",), order="created_at")
USERS_OF_ROLE = Query("users_of_role", "users", equal=("role",), order="created_at")
USERS_OF_ROLE_AND_STATUS = Query(
    "users_of_role_and_status", "users", equal=("role", "status"), order="created_at"
)
USERS_OF_EMAIL = Query("users_of_email", "users", equal=("email",))
INVITATIONS = Query("invitations_by_age", "invitations", order="created_at")
INVITATIONS_OF_ROLE = Query("invitations_of_role", "invitations", equal=("role",))
INVITATIONS_OF_EMAIL = Query(
    "invitations_of_email", "invitations", equal=("email",), order="created_at", descending=True
)
ROLES = Query("roles_by_age", "roles", order="created_at")
SERVICE_ACCOUNTS = Query("service_accounts_by_age", "service_accounts", order="created_at")
API_KEYS = Query("api_keys_by_age", "api_keys", order="created_at")
CLIENTS = Query("clients_by_age", "clients", order="created_at")
SESSIONS_OF_USER = Query("sessions_of_user", "sessions", equal=("user_id",), order="created_at")
AUDIT = Query("audit_newest", "audit", order="at", descending=True)
AUDIT_OF = {
    field: Query(f"audit_newest_of_{field}", "audit", equal=(field,), order="at", descending=True)
    for field in ("actor_id", "action", "target")
}
"""By field."""
_PEOPLE = (USERS, USERS_OF_STATUS, USERS_OF_ROLE, USERS_OF_ROLE_AND_STATUS, USERS_OF_EMAIL, ROLES)
_INVITED = (INVITATIONS, INVITATIONS_OF_ROLE, INVITATIONS_OF_EMAIL)
QUERIES = (
    *_PEOPLE,
    *_INVITED,
    SERVICE_ACCOUNTS,
    API_KEYS,
    CLIENTS,
    SESSIONS_OF_USER,
    AUDIT,
    *(AUDIT_OF[field] for field in AUDIT_OF),
)


NOBODY = "nobody"
"""The id that is read where no real one is known, so that unknown names cost as many reads as known ones."""


class Slug(msgspec.Struct, frozen=True):
    """`slugs/{slug}`, which the tenants function owns."""

    tenant_id: str


class Found(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """The value of a document, with the key and version that it was read at."""

    key: Key
    value: T
    version: Version

    def replace(self, value: T) -> Replace:
        """The write that fails with `Stale` if the document has changed since it was read."""
        return Replace(self.key, to_body(value), self.version)

    def check(self) -> Check:
        return Check(self.key, self.version)


async def listed(
    store: Store,
    tenant_id: str,
    query: Query,
    kind: type[T],
    limit: int,
    cursor: str | None,
    equal: Mapping[str, str] | None = None,
) -> Listing[T]:
    """One page of a declared query as values. Raises `BadRequest` `invalid_cursor` for a cursor of another
    list or another tenant, or a forged one.
    """
    with pagination.checked(cursor):
        page = await store.tenant(tenant_id).query(query, equal=equal, limit=limit, cursor=cursor)
    return Listing([from_body(doc.body, kind) for doc in page.docs], page.cursor)


async def read(store: Store, key: Key, kind: type[T]) -> Found[T] | None:
    """None where there is no such document."""
    return found((await store.read(key))[0], kind)


async def by_id(store: Store, key_of: KeyOf, tenant_id: str, own_id: str, kind: type[T]) -> Found[T] | None:
    """The document that a caller names by id. None for an unknown id, for one of another tenant, and for a
    text that cannot be an id.
    """
    return await read(store, key_of(store, tenant_id, own_id), kind) if is_id(own_id) else None


async def tenant_of_slug(store: Store, slug: str) -> str:
    """The id of the tenant with this slug, or `NOBODY`. Known and unknown slugs cost the same reads, so that
    the answer's time tells nothing.
    """
    found = await read(store, slug_key(store, slug if is_id(slug) else NOBODY), Slug)
    return found.value.tenant_id if found else NOBODY


def found(doc: Doc | None, kind: type[T]) -> Found[T] | None:
    return None if doc is None else Found(doc.key, from_body(doc.body, kind), doc.version)


async def commit(store: Store, *writes: Write) -> None:
    """A commit that raises `Stale` in place of `AlreadyExists`: whoever loses a race to create a document
    reads again.
    """
    try:
        await store.commit(*writes)
    except AlreadyExists as there:
        raise Stale from there


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


def role_key(store: Store, tenant_id: str, name: str) -> Key:
    return store.tenant(tenant_id).key("roles", name)


def link_key(store: Store, tenant_id: str, link_id: str) -> Key:
    """`link_id` is the login's id for a `PasswordReset`, the user's id for an `EmailChange`."""
    return store.tenant(tenant_id).key("links", link_id)


def session_key(store: Store, tenant_id: str, session_id: str) -> Key:
    return store.tenant(tenant_id).key("sessions", session_id)


def client_key(store: Store, tenant_id: str, client_id: str) -> Key:
    """`client_id` is the part without the tenant, `cli_…`."""
    return store.tenant(tenant_id).key("clients", client_id)


def assertion_key(store: Store, tenant_id: str, assertion_id: str) -> Key:
    return store.tenant(tenant_id).key("assertions", assertion_id)


def authorization_code_key(store: Store, tenant_id: str, code_id: str) -> Key:
    return store.tenant(tenant_id).key("authorization_codes", code_id)


def device_code_key(store: Store, tenant_id: str, grant_id: str) -> Key:
    return store.tenant(tenant_id).key("device_codes", grant_id)


def service_account_key(store: Store, tenant_id: str, account_id: str) -> Key:
    return store.tenant(tenant_id).key("service_accounts", account_id)


def api_key_key(store: Store, tenant_id: str, key_id: str) -> Key:
    return store.tenant(tenant_id).key("api_keys", key_id)
