"""Forgotten passwords: which links work, and how many mails somebody gets."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

LINK_LIFETIME = timedelta(minutes=30)
WINDOW = timedelta(hours=1)
MOST_MAILS = 3
"""So many within the window; further requests are forgotten, as those of unknown people are."""


class Request(msgspec.Struct, frozen=True):
    """`id` is in the link. It works for the password that was set at `password_set_at`, and once."""

    id: str
    at: datetime
    password_set_at: datetime | None
    used: bool = False


class PasswordReset(msgspec.Struct, frozen=True):
    """`tenants/{t}/links/{login}`: the newest requests of one login. No link is in it."""

    requests: tuple[Request, ...]
    expires_at: datetime


def request(
    known: PasswordReset | None, request_id: str, password_set_at: datetime | None, at: datetime
) -> PasswordReset | None:
    """With one request more; the same where that is known; None where there were enough of them."""
    earlier: Sequence[Request] = () if known is None else known.requests
    if known is not None and any(one.id == request_id for one in earlier):
        return known
    recent = [one for one in earlier if at < one.at + WINDOW]
    if len(recent) >= MOST_MAILS:
        return None
    return PasswordReset((*recent, Request(request_id, at, password_set_at)), at + WINDOW)


def opens(reset: PasswordReset, request_id: str, password_set_at: datetime | None, at: datetime) -> bool:
    """Whether the link of a request works now."""
    return any(
        one.id == request_id
        and one.password_set_at == password_set_at
        and not one.used
        and at < one.at + LINK_LIFETIME
        for one in reset.requests
    )


def expires_at(reset: PasswordReset, request_id: str) -> datetime | None:
    """When the link of a request stops working; None for a request that is not known."""
    times = [one.at + LINK_LIFETIME for one in reset.requests if one.id == request_id]
    return times[0] if times else None


def used(reset: PasswordReset) -> PasswordReset:
    """A password was set: no link that was sent before works."""
    requests = tuple(msgspec.structs.replace(one, used=True) for one in reset.requests)
    return msgspec.structs.replace(reset, requests=requests)
