"""A person's new address, which counts once a link was opened from it."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from shared.errors import Conflict, TooManyRequests

LINK_LIFETIME = timedelta(hours=24)
WINDOW = timedelta(hours=1)
MOST_REQUESTS = 3


class EmailChange(msgspec.Struct, frozen=True):
    """`tenants/{t}/links/{user}`: the newest change that was asked for, whose `id` is in the link.

    `asked` are the times of this one and those before it, within an hour.
    """

    id: str
    email: str
    old_email: str
    created_at: datetime
    expires_at: datetime
    asked: tuple[datetime, ...]
    used: bool = False


def ask(known: EmailChange | None, change_id: str, email: str, old_email: str, at: datetime) -> EmailChange:
    """Takes the place of the one before, whose link is dead. Raises `TooManyRequests`, `Conflict`."""
    if email == old_email:
        raise Conflict("email_unchanged", "This is your address already. Give the new one.")
    earlier: Sequence[datetime] = () if known is None else known.asked
    recent = [one for one in earlier if at < one + WINDOW]
    if len(recent) >= MOST_REQUESTS:
        wait = math.ceil((recent[0] + WINDOW - at).total_seconds())
        detail = f"At most {MOST_REQUESTS} changes of address are begun within an hour. Try again later."
        raise TooManyRequests("too_many_email_changes", detail, headers={"Retry-After": str(wait)})
    return EmailChange(change_id, email, old_email, at, at + LINK_LIFETIME, (*recent, at))


def confirm(change: EmailChange, at: datetime) -> EmailChange:
    """Raises `Conflict` `link_used` or `link_expired`."""
    if change.used:
        raise Conflict("link_used", "This link was used before. Sign in with the new address.")
    if at >= change.expires_at:
        raise Conflict("link_expired", "This link has expired. Ask for a new one.")
    return msgspec.structs.replace(change, used=True)
