"""Who may do what: one row for each route, and how the things in its path are found.

A caller without the scope that a row needs is refused before anything is read. With it, the row says what
happens to a thing of the caller's own tenant; another tenant's, an unknown and a deleted one are `other`.
"""

import random
from collections.abc import Mapping
from string import ascii_lowercase
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from shared.http import PUBLIC, SIGNED_IN
from shared.store import Body
from tests.access_world import CLIENT, GLOBEX, ID_FIELDS, PLATFORM, SUSPENDED, AccessWorld, Caller
from tests.tokens import SignerKey
from tests.unit.auth.suite import ACME, PASSWORD

OWN, FOREIGN, UNKNOWN, DELETED = "own", "foreign", "unknown", "deleted"
NESTED, MISSING = "nested", "missing"
OTHERS = (FOREIGN, UNKNOWN, DELETED, NESTED, MISSING)
"""`nested`: a part of another tenant's thing, asked for below an own one (T4); `missing`: of nobody's."""
ALIKE = ((FOREIGN, UNKNOWN, DELETED), (NESTED, MISSING))
"""What is answered with the same bytes."""
_NOBODY: dict[str, int] = {}
MACHINES = {"service_account": 403, "api_key": 403, "operator": 403}
"""What only a person can do."""


class Row(msgspec.Struct, frozen=True):
    """`but`: what some callers get instead, by kind of caller, or for one case, `operator foreign`.
    `form`: the body is one.
    """

    route: str
    needs: str
    own: int
    body: Any = None
    but: Mapping[str, int] = _NOBODY
    other: int = 404
    form: bool = False

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.route.partition(" ")[2]

    @property
    def params(self) -> tuple[str, ...]:
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    def expected(self, caller: str, which: str) -> int:
        """The status for a caller who has the scope."""
        if f"{caller} {which}" in self.but:
            return self.but[f"{caller} {which}"]
        return self.but.get(caller, self.own if which == OWN else self.other)


_SA = "/v1/service-accounts"
_LATER = {"expires_at": "2026-03-04T13:00:00Z"}
_INVITED = {"email": "new@acme.test", "role": "member"}
_ABUSE = {"reason": "abuse"}
_ANY_TENANT = {"operator foreign": 200}
_SEES_TENANTS = {**_ANY_TENANT, "service_account": 404, "api_key": 404}
"""It takes `tenant:read`, which neither machine has."""
_TENANT = {"slug": "initech", "name": "Initech", "tier": "standard", "owner_email": "owner@initech.test"}
_LONG = "a longer horse battery staple"
_CHANGE = {"current_password": PASSWORD, "new_password": _LONG}
_ADDRESS = {"email": "moved@acme.test", "password": PASSWORD}
_LOGIN = {"tenant": "nobody", "email": "eve@acme.test", "password": "wrong horse battery staple"}
_REFRESH = {"grant_type": "refresh_token", "refresh_token": "rt1_junk"}
_ACCEPT = {"token": "inv1_junk", "password": "wrong horse battery staple", "name": "Eve"}


def _new_role() -> dict[str, Any]:
    return {"name": "role_" + "".join(random.choices(ascii_lowercase, k=20)), "scopes": ["usage:read"]}


def _new_key() -> dict[str, Any]:
    return {"jwk": SignerKey().jwk}


# fmt: off
ROWS = (
    Row("GET /.well-known/jwks.json", PUBLIC, 200),
    Row("GET /.well-known/openid-configuration", PUBLIC, 200),
    Row("GET /.well-known/oauth-authorization-server", PUBLIC, 200),
    Row("POST /oauth2/token", PUBLIC, 400, _REFRESH, form=True),
    Row("POST /oauth2/introspect", PUBLIC, 401, {"token": "junk"}, form=True),
    Row("POST /oauth2/revoke", PUBLIC, 200, {"token": "junk"}, form=True),
    Row("GET /oauth2/userinfo", "openid", 200),
    Row("POST /oauth2/userinfo", "openid", 200, {}, form=True),
    Row("GET /oauth2/authorize", PUBLIC, 400),
    Row("POST /oauth2/authorize", PUBLIC, 303, {}, form=True),
    Row("POST /oauth2/sign-in", PUBLIC, 400, {}, form=True),
    Row("POST /oauth2/second-factor", PUBLIC, 400, {}, form=True),
    Row("GET /forgot-password", PUBLIC, 200),
    Row("POST /forgot-password", PUBLIC, 400, {}, form=True),
    Row("GET /oauth2/logout", PUBLIC, 200),
    Row("POST /oauth2/logout", PUBLIC, 303, {}, form=True),
    Row("POST /oauth2/device_authorization", PUBLIC, 400, {}, form=True),
    Row("GET /device", PUBLIC, 200),
    Row("POST /device", PUBLIC, 400, {}, form=True),
    Row("POST /device/decision", PUBLIC, 400, {}, form=True),
    Row("GET /invitation", PUBLIC, 200),
    Row("POST /invitation", PUBLIC, 422, {}, form=True),
    Row("GET /reset-password", PUBLIC, 200),
    Row("POST /reset-password", PUBLIC, 422, {}, form=True),
    Row("GET /verify-email", PUBLIC, 200),
    Row("POST /verify-email", PUBLIC, 422, {}, form=True),
    Row("POST /v1/auth/login", PUBLIC, 401, _LOGIN),
    Row("POST /v1/auth/login/second-factor", PUBLIC, 401, {"challenge": "junk", "totp": "123456"}),
    Row("POST /v1/auth/passkeys/login/options", PUBLIC, 200, {"tenant": "nobody"}),
    Row("POST /v1/auth/passkeys/login", PUBLIC, 422, {"tenant": "nobody"}),
    Row("POST /v1/auth/invitations/accept", PUBLIC, 422, _ACCEPT),
    Row("POST /v1/auth/api-keys/token", PUBLIC, 401, {"api_key": "junk"}),
    Row("POST /v1/webhooks/stripe", PUBLIC, 400, {}),
    Row("POST /v1/auth/logout", SIGNED_IN, 204, but=MACHINES),
    Row("POST /v1/auth/email/verify", PUBLIC, 422, {"token": "junk"}),
    Row("POST /v1/auth/password/forgot", PUBLIC, 202, {"tenant": "nobody", "email": "eve@acme.test"}),
    Row("POST /v1/auth/password/reset", PUBLIC, 422, {"token": "junk", "password": _LONG}),
    Row("POST /v1/auth/password/change", SIGNED_IN, 204, _CHANGE, but=MACHINES),
    Row("GET /v1/me", SIGNED_IN, 200),
    Row("GET /v1/me/profile", SIGNED_IN, 200, but=MACHINES),
    Row("PATCH /v1/me/profile", SIGNED_IN, 200, {"name": "y"}, but=MACHINES),
    Row("POST /v1/me/email", SIGNED_IN, 202, _ADDRESS, but=MACHINES),
    Row("GET /v1/me/sessions", SIGNED_IN, 200, but=MACHINES),
    Row("DELETE /v1/me/sessions", SIGNED_IN, 204, but=MACHINES),
    Row("DELETE /v1/me/sessions/{session_id}", SIGNED_IN, 204, but=MACHINES),
    Row("POST /v1/auth/step-up/options", SIGNED_IN, 200, but=MACHINES),
    Row("POST /v1/auth/step-up", SIGNED_IN, 403, {"totp": "123456"}),
    Row("GET /v1/me/factors", SIGNED_IN, 200, but=MACHINES),
    Row("POST /v1/me/factors/totp", SIGNED_IN, 200, but=MACHINES),
    Row("POST /v1/me/factors/totp/confirm", SIGNED_IN, 409, {"code": "123456"}, but=MACHINES),
    Row("DELETE /v1/me/factors/totp", SIGNED_IN, 404, but=MACHINES),
    Row("POST /v1/me/factors/recovery-codes", SIGNED_IN, 409, but=MACHINES),
    Row("POST /v1/me/factors/passkeys/options", SIGNED_IN, 200, but=MACHINES),
    Row("POST /v1/me/factors/passkeys", SIGNED_IN, 422, {"name": "Key"}),
    Row("PATCH /v1/me/factors/passkeys/{passkey_id}", SIGNED_IN, 200, {"name": "y"}, but=MACHINES),
    Row("DELETE /v1/me/factors/passkeys/{passkey_id}", SIGNED_IN, 204, but=MACHINES),
    Row("GET /v1/users", "users:read", 200),
    Row("GET /v1/users/{user_id}", "users:read", 200),
    Row("PATCH /v1/users/{user_id}", "users:write", 200, {"name": "y"}),
    Row("DELETE /v1/users/{user_id}", "users:write", 204),
    Row("POST /v1/users/{user_id}/disable", "users:write", 200),
    Row("POST /v1/users/{user_id}/enable", "users:write", 200),
    Row("GET /v1/users/{user_id}/sessions", "sessions:read", 200),
    Row("DELETE /v1/users/{user_id}/sessions", "sessions:write", 204),
    Row("DELETE /v1/users/{user_id}/sessions/{session_id}", "sessions:write", 204),
    Row("DELETE /v1/users/{user_id}/factors", "users:write", 204),
    Row("POST /v1/invitations", "users:write", 201, _INVITED),
    Row("GET /v1/invitations", "users:read", 200),
    Row("GET /v1/invitations/{invitation_id}", "users:read", 200),
    Row("DELETE /v1/invitations/{invitation_id}", "users:write", 204),
    Row("POST /v1/invitations/{invitation_id}/resend", "users:write", 200),
    Row("POST /v1/roles", "roles:write", 201, _new_role),
    Row("GET /v1/roles", "roles:read", 200),
    Row("GET /v1/roles/{role}", "roles:read", 200),
    Row("PATCH /v1/roles/{role}", "roles:write", 200, {"description": "y"}),
    Row("DELETE /v1/roles/{role}", "roles:write", 204),
    Row("GET /v1/security-policy", "security:read", 200),
    Row("PUT /v1/security-policy", "security:write", 200, {"second_factor": "optional", "methods": ["totp"]}),
    Row(f"POST {_SA}", "service_accounts:write", 201, {"name": "x", "scopes": ["users:read"]}),
    Row(f"GET {_SA}", "service_accounts:read", 200),
    Row(f"GET {_SA}/{{service_account_id}}", "service_accounts:read", 200),
    Row(f"PATCH {_SA}/{{service_account_id}}", "service_accounts:write", 200, {"name": "y"}),
    Row(f"DELETE {_SA}/{{service_account_id}}", "service_accounts:write", 204),
    Row(f"POST {_SA}/{{service_account_id}}/secrets", "service_accounts:write", 201, {}),
    Row(f"PATCH {_SA}/{{service_account_id}}/secrets/{{secret_id}}", "service_accounts:write", 200, _LATER),
    Row(f"DELETE {_SA}/{{service_account_id}}/secrets/{{secret_id}}", "service_accounts:write", 204),
    Row(f"POST {_SA}/{{service_account_id}}/keys", "service_accounts:write", 201, _new_key),
    Row(f"PATCH {_SA}/{{service_account_id}}/keys/{{kid}}", "service_accounts:write", 200, _LATER),
    Row(f"DELETE {_SA}/{{service_account_id}}/keys/{{kid}}", "service_accounts:write", 204),
    Row("POST /v1/api-keys", "api_keys:write", 201, {"name": "x", "scopes": ["usage:read"]}),
    Row("GET /v1/api-keys", "api_keys:read", 200),
    Row("GET /v1/api-keys/{api_key_id}", "api_keys:read", 200),
    Row("PATCH /v1/api-keys/{api_key_id}", "api_keys:write", 200, {"name": "y"}),
    Row("DELETE /v1/api-keys/{api_key_id}", "api_keys:write", 204),
    Row("POST /v1/clients", "clients:write", 201, CLIENT),
    Row("GET /v1/clients", "clients:read", 200),
    Row("GET /v1/clients/{client_id}", "clients:read", 200),
    Row("PATCH /v1/clients/{client_id}", "clients:write", 200, {"name": "y"}),
    Row("DELETE /v1/clients/{client_id}", "clients:write", 204),
    Row("POST /v1/clients/{client_id}/secrets", "clients:write", 201, {}),
    Row("DELETE /v1/clients/{client_id}/secrets/{secret_id}", "clients:write", 204),
    Row("POST /v1/clients/{client_id}/keys", "clients:write", 201, _new_key),
    Row("DELETE /v1/clients/{client_id}/keys/{kid}", "clients:write", 204),
    Row("GET /v1/audit", "audit:read", 200),
    Row("GET /v1/keys", "platform:keys:read", 200),
    Row("POST /v1/keys/{ring}/rotations", "platform:keys:write", 201, {}),
    Row("DELETE /v1/keys/{ring}/keys/{kid}", "platform:keys:write", 200),
    Row("GET /v1/usage", "usage:read", 200),
    Row("GET /v1/invoices", "invoices:read", 200),
    Row("GET /v1/invoices/{invoice_id}", "invoices:read", 200),
    Row("GET /v1/tenants", "platform:tenants:read", 200),
    Row("POST /v1/tenants", "platform:tenants:write", 201, _TENANT),
    Row("GET /v1/tenants/{tenant_id}", SIGNED_IN, 200, but=_SEES_TENANTS),
    Row("POST /v1/tenants/{tenant_id}/suspend", "platform:tenants:write", 200, _ABUSE, but=_ANY_TENANT),
    Row("POST /v1/tenants/{tenant_id}/resume", "platform:tenants:write", 200, but=_ANY_TENANT),
    Row("GET /v1/quarantine", "platform:quarantine:read", 200),
    Row("POST /v1/quarantine/replay", "platform:quarantine:write", 200, {"all": True}),
    Row("GET /v1/quarantine/{quarantine_id}", "platform:quarantine:read", 200),
    Row("DELETE /v1/quarantine/{quarantine_id}", "platform:quarantine:write", 204),
    Row("POST /v1/quarantine/{quarantine_id}/replay", "platform:quarantine:write", 204),
)
# fmt: on

COLLECTIONS = {
    "user_id": "users",
    "service_account_id": "service_accounts",
    "client_id": "clients",
    "api_key_id": "api_keys",
    "invitation_id": "invitations",
    "session_id": "sessions",
    "role": "roles",
    "invoice_id": "invoices",
    "tenant_id": "tenants",
}
_NOBODYS = {"quarantine_id", "ring"}
"""The platform's, so that no tenant has a foreign one."""
PARTS = {"secret_id": ("secrets", "id"), "kid": ("keys", "kid")}
"""Things inside of the one that comes before them in the path."""


async def send(
    world: AccessWorld, row: Row, caller: Caller, which: str, *, may: bool
) -> httpx.Response | None:
    """None where there is no such case. For whom `may` not, nothing is made that could be changed."""
    ids = await _ids(world, row, caller, which, may=may)
    if ids is None:
        return None
    return await world.ask(row.method, row.path, filled(row, ids), caller, **content(row))


def filled(row: Row, ids: Mapping[str, str]) -> str:
    """The row's path with ids in it."""
    path = row.path
    for name, thing_id in ids.items():
        path = path.replace("{" + name + "}", thing_id)
    return path


def content(row: Row, **more: Any) -> dict[str, Any]:
    """The row's body, and `more` members of it, as arguments of a request."""
    body = row.body() if callable(row.body) else row.body
    if body is None:
        return {}
    if not row.form:
        return {"json": {**body, **more}}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return {"content": urlencode({**body, **more}), "headers": form}


async def _ids(
    world: AccessWorld, row: Row, caller: Caller, which: str, *, may: bool
) -> dict[str, str] | None:
    names = row.params
    if not names:
        return {} if which == OWN else None
    if which == UNKNOWN or (not may and which == DELETED):
        return {name: _unknown(name) for name in names}
    home = ACME if caller.tenant_id in (PLATFORM, SUSPENDED) else caller.tenant_id
    other = GLOBEX if home == ACME else ACME
    if names == ("passkey_id",):
        return await _passkey(world, caller, which, home, other) if may else {"passkey_id": _unknown("x")}
    if names == ("session_id",) and which == OWN and may:
        return {"session_id": caller.session_id or _unknown("x")}
    fresh = may and (which in (OWN, DELETED) or names[0] == "tenant_id")
    things = _things if fresh else _seeds
    if which in (NESTED, MISSING):
        if len(names) < 2 or names[0] in _NOBODYS:
            return None
        own, foreign = await things(world, names, home), await things(world, names, other)
        return own | {names[-1]: foreign[names[-1]] if which == NESTED else _unknown(names[-1])}
    if row.route == "GET /v1/tenants/{tenant_id}" and which == OWN:
        return {"tenant_id": caller.tenant_id}
    if (names[0] in _NOBODYS and which == FOREIGN) or (names[0] == "ring" and which == DELETED):
        return None
    ids = await things(world, names, other if which == FOREIGN else home)
    if which == DELETED:
        await _delete(world, home, names[0], ids[names[0]])
    return ids


async def _things(world: AccessWorld, names: tuple[str, ...], tenant_id: str) -> dict[str, str]:
    """A new thing of a tenant, with its part where the path asks for one."""
    if names[0] == "quarantine_id":
        return {"quarantine_id": await world.set_aside()}
    if names[0] == "ring":
        return await world.key_of_ring() if "kid" in names else {"ring": "link"}
    if names[0] == "user_id":
        somebody = await world.caller("member", tenant_id)
        both = {"user_id": somebody.user_id, "session_id": somebody.session_id}
        return {name: both[name] for name in names}
    return _named(names, await world.copy(tenant_id, COLLECTIONS[names[0]]))


async def _seeds(world: AccessWorld, names: tuple[str, ...], tenant_id: str) -> dict[str, str]:
    """What the copies are made of, for those who can do nothing to it."""
    if names[0] in _NOBODYS:
        return dict.fromkeys(names, "x")
    if names[-1] == "session_id":
        return {name: str(world.seed(tenant_id, COLLECTIONS[name])["id"]) for name in names}
    return _named(names, world.seed(tenant_id, COLLECTIONS[names[0]]))


async def _passkey(
    world: AccessWorld, caller: Caller, which: str, home: str, other: str
) -> dict[str, str] | None:
    """The caller's, that of somebody in another tenant, or (`deleted`) of somebody else in the same one."""
    if which not in (OWN, FOREIGN, DELETED):
        return None
    user_id = caller.user_id if which == OWN and caller.user_id else f"usr_{world.number()}"
    return {"passkey_id": await world.passkey(other if which == FOREIGN else home, user_id)}


def _unknown(name: str) -> str:
    return f"{name[:3]}_00000000000000000000000000000000"


def _named(names: tuple[str, ...], body: Body) -> dict[str, str]:
    ids = {names[0]: str(body[ID_FIELDS.get(COLLECTIONS[names[0]], "id")])}
    for name in names[1:]:
        parts, field = PARTS[name]
        ids[name] = body[parts][0][field]
    return ids


async def _delete(world: AccessWorld, tenant_id: str, name: str, thing_id: str) -> None:
    if name == "quarantine_id":
        await world.dismiss(thing_id)
    elif name in COLLECTIONS:
        await world.remove(tenant_id, COLLECTIONS[name], thing_id)
