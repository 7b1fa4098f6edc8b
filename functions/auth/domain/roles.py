"""Roles of people, the scopes they stand for, and who may hand on what."""

from collections.abc import Collection, Iterable, Sequence

from shared.errors import OAuthError, invalid

Role = str
"""The name of a role: one of `ROLES`, or one that the tenant has made."""
ROLES = ("owner", "admin", "member", "billing", "read_only", "operator")
"""The roles that every tenant has."""

PLATFORM_TENANT = "platform"
"""The tenant whose people and machines operate the platform; platform scopes exist only in it."""

_PLATFORM_SCOPES = frozenset(
    {
        "platform:tenants:read",
        "platform:tenants:write",
        "platform:billing:write",
        "platform:quarantine:read",
        "platform:quarantine:write",
        "platform:metrics:read",
        "platform:keys:read",
        "platform:keys:write",
    }
)
TENANT_SCOPES = frozenset(
    {
        "tenant:read",
        "users:read",
        "users:write",
        "sessions:read",
        "sessions:write",
        "roles:read",
        "roles:write",
        "security:read",
        "security:write",
        "service_accounts:read",
        "service_accounts:write",
        "api_keys:read",
        "api_keys:write",
        "clients:read",
        "clients:write",
        "audit:read",
        "usage:read",
        "invoices:read",
    }
)
SCOPES = TENANT_SCOPES | _PLATFORM_SCOPES

SCOPES_OF: dict[str, frozenset[str]] = {
    "owner": TENANT_SCOPES,
    "admin": TENANT_SCOPES,
    "member": frozenset({"tenant:read", "usage:read"}),
    "billing": frozenset({"tenant:read", "usage:read", "invoices:read"}),
    "read_only": frozenset({"tenant:read", "usage:read", "invoices:read", "users:read"}),
    "operator": _PLATFORM_SCOPES | {"audit:read"},
}

_GRANTERS: dict[str, frozenset[str]] = {
    "owner": frozenset({"owner"}),
    "admin": frozenset({"owner", "admin"}),
    "operator": frozenset({"owner", "operator"}),
}
"""Roles that can only be given by somebody with one of these roles; having their scopes is not enough."""


def scopes_of(roles: Iterable[Role]) -> frozenset[str]:
    """The scopes of built-in roles. Custom roles give nothing here: their scopes are in their documents."""
    return frozenset().union(*(SCOPES_OF.get(role, frozenset()) for role in roles))


def most_of(role: Role) -> frozenset[str]:
    """All scopes that somebody with `role` can ever have: for a custom role, all tenant scopes."""
    return SCOPES_OF.get(role, TENANT_SCOPES)


def may_grant(
    role: Role, stands_for: Collection[str], tenant_id: str, roles: Collection[str], scopes: Collection[str]
) -> bool:
    """Whether someone with `roles` and `scopes` may give or take `role`: never more than they have.

    `roles` are the person's own; an application that acts for that person has none, and fewer `scopes`.
    """
    if role == "operator" and tenant_id != PLATFORM_TENANT:
        return False
    if role in _GRANTERS:
        return any(own in _GRANTERS[role] and SCOPES_OF[own].issubset(scopes) for own in roles)
    return set(scopes).issuperset(stands_for)


def require_known(asked: Sequence[str], known: Collection[str]) -> None:
    """Raises `Invalid` `unknown_scope` for one that is not, with those that tenants can have."""
    for index, scope in enumerate(asked):
        if scope not in known:
            allowed = ", ".join(sorted(set(known) - _PLATFORM_SCOPES))
            raise invalid(f"/scopes/{index}", "unknown_scope", f"Give some of these: {allowed}.")


def held(scopes: Iterable[str], stands_for: Collection[str]) -> tuple[str, ...]:
    """Those of once granted `scopes` that the role `stands_for` now, or that no role gives (`openid`)."""
    return tuple(scope for scope in scopes if scope in stands_for or scope not in SCOPES)


def exist_in(tenant_id: str, scopes: Collection[str]) -> bool:
    """Whether these scopes exist in this tenant: platform scopes exist only in the platform's own."""
    return tenant_id == PLATFORM_TENANT or _PLATFORM_SCOPES.isdisjoint(scopes)


def narrowed(granted: Sequence[str], asked: str | None) -> tuple[str, ...]:
    """The scopes of a token: those asked for, or all `granted` ones if none are named (RFC 6749 §3.3).

    Raises `OAuthError` `invalid_scope` for a scope that is not granted.
    """
    if asked is None:
        return tuple(granted)
    wanted = set(asked.split(" "))
    if not wanted <= set(granted):
        raise OAuthError(
            400, "invalid_scope", "A scope is unknown or was not granted. Ask for fewer, or for none by name."
        )
    return tuple(sorted(wanted))
