"""Users of a tenant, how they sign in, and the invitations that make them."""

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from functions.auth.domain.guessing import NONE, Failures
from functions.auth.domain.roles import Role
from shared.errors import Conflict, invalid

INVITATION_LIFETIME = timedelta(days=7)
NAME_MAX_CHARACTERS = 200


class User(msgspec.Struct, frozen=True):
    id: str
    email: str
    name: str
    role: Role
    status: Literal["active", "disabled"]
    created_at: datetime


class Login(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a sign-in by e-mail finds; its document's id makes the address unique within the tenant.

    `failures` are of passwords from devices that nobody knows; `device_failures` of each known one, by its
    id. Devices that were known when the password was set, at `password_set_at`, are known no longer.
    """

    user_id: str
    password_hash: str
    password_set_at: datetime | None = None
    failures: Failures = NONE
    device_failures: dict[str, Failures] = {}


class Invitation(msgspec.Struct, frozen=True):
    """`user_id` is who it became, once `status` is `accepted`."""

    id: str
    email: str
    role: Role
    status: Literal["pending", "accepted"]
    invited_by: str
    created_at: datetime
    expires_at: datetime
    user_id: str | None = None


def login_id(email: str) -> str:
    """The login document's id for a canonical address: no address stands in a path or a log line."""
    return _digest_id("lgn", email)


def owner_invitation_id(tenant_id: str) -> str:
    """The same for every delivery of a tenant's activation, so that its owner is invited once."""
    return _digest_id("inv", f"owner:{tenant_id}")


def invite(invitation_id: str, email: str, role: Role, invited_by: str, at: datetime) -> Invitation:
    """`email` is canonical."""
    return Invitation(
        id=invitation_id,
        email=email,
        role=role,
        status="pending",
        invited_by=invited_by,
        created_at=at,
        expires_at=at + INVITATION_LIFETIME,
    )


def status(invitation: Invitation, at: datetime) -> Literal["pending", "accepted", "expired"]:
    if invitation.status == "pending" and at >= invitation.expires_at:
        return "expired"
    return invitation.status


def accept(invitation: Invitation, user_id: str, name: str, at: datetime) -> tuple[Invitation, User]:
    """Raises `Conflict` `invitation_used` or `invitation_expired`."""
    if invitation.status != "pending":
        raise Conflict("invitation_used", "This invitation was accepted before. Sign in instead.")
    if at >= invitation.expires_at:
        raise Conflict("invitation_expired", "This invitation has expired. Ask for a new one.")
    user = User(
        id=user_id,
        email=invitation.email,
        name=name,
        role=invitation.role,
        status="active",
        created_at=at,
    )
    return msgspec.structs.replace(invitation, status="accepted", user_id=user_id), user


def display_name(text: str, path: str = "/name") -> str:
    """A name as a person or a machine is shown by: trimmed, printable, 1 to 200 characters."""
    name = text.strip()
    if not 1 <= len(name) <= NAME_MAX_CHARACTERS or not name.isprintable():
        raise invalid(path, "invalid_name", f"A name has 1 to {NAME_MAX_CHARACTERS} printable characters.")
    return name


def _digest_id(prefix: str, text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"{prefix}_{base64.b32encode(digest).decode()[:26].lower()}"
