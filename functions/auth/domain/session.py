"""Sessions: one document each, a generation that only grows, and what presenting a token of one means."""

from datetime import datetime, timedelta

import msgspec

from functions.auth.domain import client_id
from functions.auth.domain.roles import Role, most_of
from functions.auth.domain.security_policy import ENROL_SCOPE

ABSOLUTE_LIFETIME = timedelta(days=30)
IDLE_LIFETIME = timedelta(days=7)
GRACE = timedelta(seconds=30)
"""For this long after its exchange a token is answered again, even if its successor has been used."""


class Session(msgspec.Struct, frozen=True):
    """`generation` is that of the newest refresh token; roles and scopes are those of the sign-in.

    `amr` (RFC 8176) and `authenticated_at` say how and when the user last proved who they are. `used_at` is
    when the newest generation was made, `before_used_at` when the one before it was made. `user_epoch` is
    `User.epoch` at the start of the session. `device` is a name for the program that a person recognises.
    `resource` is the one API that the client was given access to (RFC 8707); None: this API, or any API that
    the client is registered for.
    """

    id: str
    user_id: str
    client_id: str
    roles: tuple[Role, ...]
    scopes: tuple[str, ...]
    created_at: datetime
    used_at: datetime
    authenticated_at: datetime
    amr: tuple[str, ...]
    generation: int = 1
    revoked_at: datetime | None = None
    revoked_because: str = ""
    before_used_at: datetime | None = None
    user_epoch: int = 0
    device: str = ""
    resource: str | None = None


class Rotated(msgspec.Struct, frozen=True):
    """The newest token was presented: the session moves on, and the successor is issued."""

    session: Session


class Repeated(msgspec.Struct, frozen=True):
    """A lost reply or a race: the successor of what was presented, `generation`, is issued once more."""

    session: Session
    generation: int


class Reused(msgspec.Struct, frozen=True):
    """An older token was presented, so somebody has a copy: `session` is revoked."""

    session: Session


class Refused(msgspec.Struct, frozen=True):
    """Nothing changes. `why`: `revoked`, `ended_by_tenant`, `expired`, `unknown_generation`,
    `tenant_not_active`.
    """

    why: str


Outcome = Rotated | Repeated | Reused | Refused


def present(session: Session, generation: int, at: datetime, valid_after: datetime | None) -> Outcome:
    """What it means that the token of `generation` is presented at `at`. `valid_after` is the tenant's
    `tokens_valid_after`.

    The newest token moves the session on. The one before it is always answered with the newest. The one
    before that is answered with its successor within `GRACE` of its exchange. Anything older is reuse.
    """
    why = _why_over(session, at, valid_after)
    if why is not None:
        return Refused(why)
    if not 1 <= generation <= session.generation:
        return Refused("unknown_generation")
    if generation == session.generation:
        return Rotated(
            msgspec.structs.replace(
                session, generation=generation + 1, used_at=at, before_used_at=session.used_at
            )
        )
    if generation == session.generation - 1 or _just_exchanged(session, generation, at):
        return Repeated(session, generation + 1)
    return Reused(revoke(session, at, "refresh_token_reused"))


def is_alive(session: Session, at: datetime, valid_after: datetime | None) -> bool:
    """Whether neither its age, its own revocation nor its tenant has ended it."""
    return _why_over(session, at, valid_after) is None


def of_user(session: Session, role: Role) -> Session:
    """The session with the role that its user has now.

    The scopes of a client's session stay what the client was granted. The first-party app has all scopes that
    the role can have, unless the user must first enrol a second factor.
    """
    has_all = session.client_id == client_id.APP and ENROL_SCOPE not in session.scopes
    scopes = tuple(sorted(most_of(role))) if has_all else session.scopes
    return msgspec.structs.replace(session, roles=(role,), scopes=scopes)


def expires_at(session: Session) -> datetime:
    """When it expires unless it is refreshed before."""
    return min(session.created_at + ABSOLUTE_LIFETIME, session.used_at + IDLE_LIFETIME)


def revoke(session: Session, at: datetime, because: str) -> Session:
    """A session that is revoked already stays as it is."""
    if session.revoked_at is not None:
        return session
    return msgspec.structs.replace(session, revoked_at=at, revoked_because=because)


def _why_over(session: Session, at: datetime, valid_after: datetime | None) -> str | None:
    """The reason why the session is over; None if it goes on."""
    if session.revoked_at is not None:
        return "revoked"
    if valid_after is not None and session.created_at <= valid_after:
        return "ended_by_tenant"
    if at >= expires_at(session):
        return "expired"
    return None


def _just_exchanged(session: Session, generation: int, at: datetime) -> bool:
    """Whether the token is two behind the newest and was exchanged less than `GRACE` ago."""
    exchanged_at = session.before_used_at
    if generation != session.generation - 2 or exchanged_at is None:
        return False
    return at < exchanged_at + GRACE
