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
"""The most mails to one address by invitations that have not expired, whether accepted, revoked or open."""
NAME_MAX_CHARACTERS = 200

Name = Annotated[str, Meta(min_length=1, max_length=NAME_MAX_CHARACTERS)]
"""A name in a request; `display_name` checks the rest."""
InvitationStatus = Literal["pending", "accepted", "revoked", "expired"]


class User(msgspec.Struct, frozen=True):
    """A person in one tenant. The address is verified: a link in a mail to it has been opened.

    `epoch` is raised by whatever ends all sessions: sessions of an earlier epoch are over, except for
    `kept_session`.
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
    """The password of an e-mail address. The document's id is derived from the address, which makes it unique
    within the tenant.

    `failures` counts wrong passwords from unknown devices, `device_failures` those from each known device, by
    its id. A new password, set at `password_set_at`, makes all devices unknown. `is_short`: the password is
    so short that it was only accepted because there was a second factor.
    """

    user_id: str
    password_hash: str
    password_set_at: datetime | None = None
    is_short: bool = False
    failures: Failures = NONE
    device_failures: dict[str, Failures] = {}


class Invitation(msgspec.Struct, frozen=True):
    """`user_id` is the new user's, once `status` is `accepted`. `sent` counts the mails: only the link of the
    last one works.
    """

    id: str
    email: str
    role: Role
    status: Literal["pending", "accepted", "revoked"]
    created_at: datetime
    expires_at: datetime
    user_id: str | None = None
    sent: int = 1


def login_id(email: str) -> str:
    """The login document's id for a canonical address: a digest, so no path or log line shows addresses."""
    return _digest_id("lgn", email)


def owner_invitation_id(tenant_id: str) -> str:
    """The id of a tenant's first invitation: fixed, so that redeliveries of its activation invite once."""
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
    """Raises `TooManyRequests` if the invitations `sent` to an address allow no further mail."""
    if sum(invitation.sent for invitation in sent if at < invitation.expires_at) >= MAX_MAILS:
        detail = f"This address had {MAX_MAILS} mails, the last within a week. Wait, or let it accept."
        hour = {"Retry-After": "3600"}
        raise TooManyRequests("too_many_invitations", detail, headers=hour)


def status(invitation: Invitation, at: datetime) -> InvitationStatus:
    """The status at a time, which may be `expired`."""
    if invitation.status == "pending" and at >= invitation.expires_at:
        return "expired"
    return invitation.status


def resend(invitation: Invitation, at: datetime) -> Invitation:
    """Restarts the invitation's lifetime with a new link; older links stop working. Raises `Conflict` if it
    was accepted or revoked.
    """
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
    """The user with all sessions ended, except for the one named `but`."""
    return msgspec.structs.replace(user, epoch=user.epoch + 1, kept_session=but)


def is_in_force(user: User, session: Session) -> bool:
    """Whether neither the user's status nor epoch has ended the session."""
    in_epoch = session.user_epoch == user.epoch or session.id == user.kept_session
    return user.status == "active" and in_epoch


def goes_on(user: User, session: Session) -> bool:
    """Whether it is this user's session, and neither revoked nor ended by the user. Its age and its tenant
    are not looked at.
    """
    return session.user_id == user.id and session.revoked_at is None and is_in_force(user, session)


def _require_open(invitation: Invitation) -> None:
    if invitation.status == "accepted":
        raise Conflict("invitation_used", "This invitation was accepted before. Sign in instead.")
    if invitation.status == "revoked":
        raise Conflict("invitation_revoked", "This invitation was taken back. Ask for a new one.")


def _digest_id(prefix: str, text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"{prefix}_{base64.b32encode(digest).decode()[:26].lower()}"
