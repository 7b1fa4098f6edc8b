"""Who may hand on what."""

import pytest

from functions.auth.domain import roles
from functions.auth.domain.machines import grantable
from functions.auth.domain.roles import PLATFORM_TENANT, ROLES, SCOPES, Role, may_grant, scopes_of
from shared.errors import Forbidden, Invalid, OAuthError

TENANT = "tnt_1"


def grants(role: Role, tenant_id: str = TENANT) -> set[Role]:
    return {to for to in ROLES if may_grant(to, scopes_of([to]), tenant_id, [role], scopes_of([role]))}


def test_nobody_hands_on_more_than_they_have() -> None:
    assert grants("owner") == {"owner", "admin", "member", "billing", "read_only"}
    assert grants("admin") == {"admin", "member", "billing", "read_only"}
    assert grants("billing") == {"billing", "member"}
    assert grants("member") == {"member"}
    assert grants("operator") == set()


def test_operators_are_made_in_the_platform_tenant_only() -> None:
    assert "operator" in grants("owner", PLATFORM_TENANT)
    assert "operator" in grants("operator", PLATFORM_TENANT)
    assert "operator" not in grants("admin", PLATFORM_TENANT)
    assert not may_grant("operator", scopes_of(["operator"]), TENANT, ["operator", "owner"], SCOPES)


def test_a_machine_without_a_role_hands_on_what_its_scopes_cover() -> None:
    own = {"users:write", "tenant:read", "usage:read"}
    assert [role for role in ROLES if may_grant(role, scopes_of([role]), TENANT, [], own)] == ["member"]
    assert not may_grant("owner", scopes_of(["owner"]), TENANT, [], SCOPES)


def test_platform_scopes_belong_to_operators_alone() -> None:
    for role in ROLES:
        platform = {scope for scope in scopes_of([role]) if scope.startswith("platform:")}
        assert bool(platform) == (role == "operator")


def test_a_machine_gets_no_scope_that_its_creator_lacks() -> None:
    own = frozenset({"usage:read", "tenant:read"})
    assert grantable(["usage:read", "usage:read", "tenant:read"], own, TENANT) == (
        "tenant:read",
        "usage:read",
    )
    with pytest.raises(Forbidden):
        grantable(["invoices:read"], own, TENANT)


def test_a_machine_outside_the_platform_tenant_gets_no_platform_scope() -> None:
    with pytest.raises(Forbidden):
        grantable(["platform:tenants:read"], SCOPES, TENANT)
    assert grantable(["platform:tenants:read"], SCOPES, PLATFORM_TENANT) == ("platform:tenants:read",)


@pytest.mark.parametrize(
    ("asked", "path"),
    [([], "/scopes"), (["usage:read"] * 51, "/scopes"), (["usage:read", "root"], "/scopes/1")],
)
def test_scopes_that_do_not_exist_are_named(asked: list[str], path: str) -> None:
    with pytest.raises(Invalid) as refusal:
        grantable(asked, SCOPES, TENANT)
    assert refusal.value.fields[0].path == path


def test_a_token_has_the_scopes_asked_for_and_all_when_none_are() -> None:
    """R11"""
    granted = ("tenant:read", "usage:read")
    assert roles.narrowed(granted, None) == granted
    assert roles.narrowed(granted, "usage:read usage:read") == ("usage:read",)


@pytest.mark.parametrize("asked", ["invoices:read", "usage:read invoices:read", "", " ", "usage:read  ", "*"])
def test_a_wider_scope_than_granted_is_refused(asked: str) -> None:
    """R11"""
    with pytest.raises(OAuthError) as refusal:
        roles.narrowed(("usage:read",), asked)
    assert refusal.value.code == "invalid_scope"


@pytest.mark.parametrize("known", [SCOPES, roles.TENANT_SCOPES])
def test_an_unknown_scope_is_answered_with_those_that_a_tenant_can_have(known: frozenset[str]) -> None:
    roles.require_known(["users:read"], known)
    with pytest.raises(Invalid) as refused:
        roles.require_known(["users:read", "users:rule"], known)
    (field,) = refused.value.fields
    assert (field.path, field.code) == ("/scopes/1", "unknown_scope")
    assert field.detail == f"Give some of these: {', '.join(sorted(roles.TENANT_SCOPES))}."
