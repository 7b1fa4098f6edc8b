"""Sessions: one document each, a generation that only grows, and what presenting a token of one means."""

from datetime import datetime, timedelta

import msgspec

from functions.auth.domain import client_id
from functions.auth.domain.roles import Role, most_of
from functions.auth.domain.security_policy import ENROL_SCOPE

ABSOLUTE_LIFETIME = timedelta(days=30)
IDLE_LIFETIME = timedelta(days=7)
GRACE = timedelta(seconds=30)
"""So long a token that was exchanged is answered again, even if its successor was used meanwhile."""


class Session(msgspec.Struct, frozen=True):
    """`generation` is the newest refresh token issued; roles and scopes are those of the sign-in.

    `amr` (RFC 8176) and `authenticated_at` say how and when the user last proved who they are. `used_at` is
    when the newest generation was made, `before_used_at` when the one before it was. `user_epoch` is that of
    the user when it began, `device` what its person would call the program. `resource` is the one API that
    its client was given access to (RFC 8707); None: this one, or whichever it asks for.
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
    """The newest token was presented: the session moves on, its successor is handed out."""

    session: Session


class Repeated(msgspec.Struct, frozen=True):
    """A lost reply or a race: `generation`, the successor of what was presented, is handed out once more."""

    session: Session
    generation: int


class Reused(msgspec.Struct, frozen=True):
    """An older token was presented: somebody has a copy. The session is over."""

    session: Session


class Refused(msgspec.Struct, frozen=True):
    """Nothing changes. `why`: `revoked`, `ended_by_tenant`, `expired`, `unknown_generation`."""

    why: str


Outcome = Rotated | Repeated | Reused | Refused


def present(session: Session, generation: int, at: datetime, valid_after: datetime | None) -> Outcome:
    """What it means that `generation` is presented now. `valid_after`: the tenant's `tokens_valid_after`.

    The predecessor is answered while its successor is unused, or was made less than `GRACE` ago: a token is
    the predecessor of a used one where it is two behind the newest.
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
    """Whether it can go on, as far as it and its tenant are concerned."""
    return _why_over(session, at, valid_after) is None


def of_user(session: Session, role: Role) -> Session:
    """What the session may is what its user's `role` stands for now, and no more than its client was granted.

    The first-party app was granted all of it, but for whoever has yet to enrol a second factor.
    """
    has_all = session.client_id == client_id.APP and ENROL_SCOPE not in session.scopes
    scopes = tuple(sorted(most_of(role))) if has_all else session.scopes
    return msgspec.structs.replace(session, roles=(role,), scopes=scopes)


def expires_at(session: Session) -> datetime:
    """When it is over, if nothing happens until then."""
    return min(session.created_at + ABSOLUTE_LIFETIME, session.used_at + IDLE_LIFETIME)


def revoke(session: Session, at: datetime, because: str) -> Session:
    """The first revocation stands; a second one changes nothing."""
    if session.revoked_at is not None:
        return session
    return msgspec.structs.replace(session, revoked_at=at, revoked_because=because)


def _why_over(session: Session, at: datetime, valid_after: datetime | None) -> str | None:
    """None for one that is not."""
    if session.revoked_at is not None:
        return "revoked"
    if valid_after is not None and session.created_at <= valid_after:
        return "ended_by_tenant"
    if at >= expires_at(session):
        return "expired"
    return None


def _just_exchanged(session: Session, generation: int, at: datetime) -> bool:
    """Whether the token was exchanged less than `GRACE` ago, and its successor since."""
    exchanged_at = session.before_used_at
    if generation != session.generation - 2 or exchanged_at is None:
        return False
    return at < exchanged_at + GRACE
