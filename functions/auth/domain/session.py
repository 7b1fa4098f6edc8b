"""Sessions: one document each, a generation that only grows, and what presenting a token of one means."""

from datetime import datetime, timedelta

import msgspec

from functions.auth.domain.roles import Role

ABSOLUTE_LIFETIME = timedelta(days=30)
IDLE_LIFETIME = timedelta(days=7)


class Session(msgspec.Struct, frozen=True):
    """`generation` is the newest refresh token issued; roles and scopes are those of the sign-in.

    `amr` (RFC 8176) and `authenticated_at` say how and when the user last proved who they are.
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


class Rotated(msgspec.Struct, frozen=True):
    """The newest token was presented: the session moves on, its successor is handed out."""

    session: Session


class Repeated(msgspec.Struct, frozen=True):
    """The predecessor was presented while its successor is unused (a lost reply, a race): the same again."""

    session: Session


class Reused(msgspec.Struct, frozen=True):
    """An older token was presented: somebody has a copy. The session is over."""

    session: Session


class Refused(msgspec.Struct, frozen=True):
    """Nothing changes. `why`: `revoked`, `ended_by_tenant`, `expired`, `unknown_generation`."""

    why: str


Outcome = Rotated | Repeated | Reused | Refused


def present(session: Session, generation: int, at: datetime, valid_after: datetime | None) -> Outcome:
    """What it means that `generation` is presented now. `valid_after`: the tenant's `tokens_valid_after`."""
    if session.revoked_at is not None:
        return Refused("revoked")
    if valid_after is not None and session.created_at <= valid_after:
        return Refused("ended_by_tenant")
    if at >= session.created_at + ABSOLUTE_LIFETIME or at >= session.used_at + IDLE_LIFETIME:
        return Refused("expired")
    if generation > session.generation:
        return Refused("unknown_generation")
    if generation == session.generation:
        return Rotated(msgspec.structs.replace(session, generation=generation + 1, used_at=at))
    if generation == session.generation - 1:
        return Repeated(session)
    return Reused(revoke(session, at, "refresh_token_reused"))


def revoke(session: Session, at: datetime, because: str) -> Session:
    """The first revocation stands; a second one changes nothing."""
    if session.revoked_at is not None:
        return session
    return msgspec.structs.replace(session, revoked_at=at, revoked_because=because)
