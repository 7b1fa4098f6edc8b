"""Users of a tenant, how they sign in, and the invitations that make them."""

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from functions.auth.domain.guessing import NONE, Failures
from functions.auth.domain.roles import Role
from functions.auth.domain.session import Session
from shared.errors import Conflict, TooManyRequests, invalid

INVITATION_LIFETIME = timedelta(days=7)
MAX_MAILS = 10
"""So many go to one address by invitations that have not expired, whatever became of them."""
NAME_MAX_CHARACTERS = 200

Name = Annotated[str, Meta(min_length=1, max_length=NAME_MAX_CHARACTERS)]
"""As it comes in; `display_name` looks at the rest."""
InvitationStatus = Literal["pending", "accepted", "revoked", "expired"]


class User(msgspec.Struct, frozen=True):
    """A person in one tenant. The address is verified: it is one that a link was opened from.

    `epoch` counts what ended all sessions: those of an earlier one are over, but for `kept_session`.
    """

    id: str
    email: str
    name: str
    role: Role
    status: Literal["active", "disabled"]
    created_at: datetime
    epoch: int = 0
    kept_session: str = ""


class Login(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a sign-in by e-mail finds; its document's id makes the address unique within the tenant.

    `failures` are of passwords from devices that nobody knows; `device_failures` of each known one, by its
    id. Devices that were known when the password was set, at `password_set_at`, are known no longer.
    `is_short`: the password was taken beside a second factor, and does not stand alone.
    """

    user_id: str
    password_hash: str
    password_set_at: datetime | None = None
    is_short: bool = False
    failures: Failures = NONE
    device_failures: dict[str, Failures] = {}


class Invitation(msgspec.Struct, frozen=True):
    """`user_id` is who it became, once `status` is `accepted`. Of the mails `sent`, the last works."""

    id: str
    email: str
    role: Role
    status: Literal["pending", "accepted", "revoked"]
    created_at: datetime
    expires_at: datetime
    user_id: str | None = None
    sent: int = 1


def login_id(email: str) -> str:
    """The login document's id for a canonical address: no address stands in a path or a log line."""
    return _digest_id("lgn", email)


def owner_invitation_id(tenant_id: str) -> str:
    """The same for every delivery of a tenant's activation, so that its owner is invited once."""
    return _digest_id("inv", f"owner:{tenant_id}")


def invite(invitation_id: str, email: str, role: Role, at: datetime) -> Invitation:
    """`email` is canonical."""
    return Invitation(
        id=invitation_id,
        email=email,
        role=role,
        status="pending",
        created_at=at,
        expires_at=at + INVITATION_LIFETIME,
    )


def require_room(sent: Iterable[Invitation], at: datetime) -> None:
    """For one more mail beside those that were `sent` to an address. Raises `TooManyRequests`."""
    if sum(invitation.sent for invitation in sent if at < invitation.expires_at) >= MAX_MAILS:
        detail = f"This address had {MAX_MAILS} mails, the last within a week. Wait, or let it accept."
        hour = {"Retry-After": "3600"}
        raise TooManyRequests("too_many_invitations", detail, headers=hour)


def status(invitation: Invitation, at: datetime) -> InvitationStatus:
    """What it is now."""
    if invitation.status == "pending" and at >= invitation.expires_at:
        return "expired"
    return invitation.status


def resend(invitation: Invitation, at: datetime) -> Invitation:
    """Open for its full time again; only the newest link works. Raises `Conflict` where it is over."""
    _require_open(invitation)
    return msgspec.structs.replace(invitation, sent=invitation.sent + 1, expires_at=at + INVITATION_LIFETIME)


def revoke(invitation: Invitation) -> Invitation:
    """Revoking twice is the same as once. Raises `Conflict` `invitation_used` where somebody accepted."""
    if invitation.status == "accepted":
        _require_open(invitation)
    if invitation.status == "revoked":
        return invitation
    return msgspec.structs.replace(invitation, status="revoked")


def accept(invitation: Invitation, user_id: str, name: str, at: datetime) -> tuple[Invitation, User]:
    """Raises `Conflict` `invitation_used`, `invitation_revoked` or `invitation_expired`."""
    _require_open(invitation)
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


def display_name(text: str) -> str:
    """A name as a person or a machine is shown by: trimmed, printable, 1 to 200 characters."""
    name = text.strip()
    if not 1 <= len(name) <= NAME_MAX_CHARACTERS or not name.isprintable():
        raise invalid("/name", "invalid_name", f"A name has 1 to {NAME_MAX_CHARACTERS} printable characters.")
    return name


def renamed(user: User, name: str) -> User:
    """Raises `Invalid`."""
    return msgspec.structs.replace(user, name=display_name(name))


def with_email(user: User, email: str) -> User:
    """`email` is canonical, and a link was opened from it."""
    return msgspec.structs.replace(user, email=email)


def signed_out(user: User, but: str = "") -> User:
    """All sessions of the user are over, but for the one that is named."""
    return msgspec.structs.replace(user, epoch=user.epoch + 1, kept_session=but)


def is_in_force(user: User, session: Session) -> bool:
    """Whether the session goes on, as far as its user is concerned."""
    in_epoch = session.user_epoch == user.epoch or session.id == user.kept_session
    return user.status == "active" and in_epoch


def goes_on(user: User, session: Session) -> bool:
    """Whether it is this user's session, and nothing has ended it but its age, perhaps, or its tenant."""
    return session.user_id == user.id and session.revoked_at is None and is_in_force(user, session)


def _require_open(invitation: Invitation) -> None:
    if invitation.status == "accepted":
        raise Conflict("invitation_used", "This invitation was accepted before. Sign in instead.")
    if invitation.status == "revoked":
        raise Conflict("invitation_revoked", "This invitation was taken back. Ask for a new one.")


def _digest_id(prefix: str, text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"{prefix}_{base64.b32encode(digest).decode()[:26].lower()}"
