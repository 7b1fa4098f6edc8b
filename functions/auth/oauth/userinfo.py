"""Userinfo (OpenID Connect Core §5.3): what an access token's scopes allow to tell about its person."""

import msgspec

from functions.auth import records
from functions.auth.domain.people import User
from shared.identity import Principal, invalid_token
from shared.store import Store


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """`email` and `email_verified` come with the scope `email`; `name`, `roles` and `tier` with `profile`."""

    sub: str
    tid: str
    email: str | None = None
    email_verified: bool | None = None
    name: str | None = None
    roles: tuple[str, ...] = ()
    tier: str | None = None


class Userinfo:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, principal: Principal) -> Claims:
        """`principal` has the scope `openid`. Raises `Unauthenticated` if the user is gone or disabled."""
        key = records.user_key(self._store, principal.tenant_id, principal.subject)
        found = await records.read(self._store, key, User)
        if found is None or found.value.status != "active":
            raise invalid_token()
        user = found.value
        told = Claims(user.id, principal.tenant_id)
        if "email" in principal.scopes:
            told = msgspec.structs.replace(told, email=user.email, email_verified=True)
        if "profile" in principal.scopes:
            told = msgspec.structs.replace(told, name=user.name, roles=(user.role,), tier=principal.tier)
        return told
