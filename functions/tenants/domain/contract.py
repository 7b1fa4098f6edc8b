"""Checks of the terms of a new tenant: the first billed day, the owner's address, the name."""

import re
from datetime import date, timedelta

from shared.errors import invalid

LONGEST_AHEAD = timedelta(days=366)
LONGEST_AGO = timedelta(days=5 * 366)

_LOCAL_MAX = 64
_ADDRESS_MAX = 254
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@{_LABEL}(?:\.{_LABEL})+")


def start(wanted: date | None, today: date) -> date:
    """The first day that is billed; `today` unless another is wanted. Raises Invalid."""
    if wanted is None:
        return today
    if not today - LONGEST_AGO <= wanted <= today + LONGEST_AHEAD:
        raise invalid(
            "/contract_start",
            "out_of_range",
            f"Choose a day from {today - LONGEST_AGO} to {today + LONGEST_AHEAD}.",
        )
    return wanted


def owner_email(text: str) -> str:
    """An ASCII address (RFC 5321 §4.1.2) without quotes and address literals. Raises Invalid.

    `=?` is refused: it begins an encoded word (RFC 2047), which can decode to anything, line breaks included.
    """
    match = ADDRESS.fullmatch(text)
    if match is None or "=?" in text or len(match[1]) > _LOCAL_MAX or len(text) > _ADDRESS_MAX:
        raise invalid(
            "/owner_email", "invalid_email", "This is not an e-mail address. Check it and try again."
        )
    return text


def name(text: str) -> str:
    """A display name: printable, without leading or trailing spaces. Raises Invalid."""
    if not text or not text.isprintable() or text != text.strip():
        raise invalid("/name", "invalid_name", "Use printable characters without spaces around them.")
    return text
