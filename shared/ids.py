"""Ids and time, which use-cases take as arguments so that tests decide them."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def utc_now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """`prefix_` and 128 random bits in hexadecimal: no order, so no hot range."""
    return f"{prefix}_{os.urandom(16).hex()}"


def is_id(text: str) -> bool:
    """Whether a string from outside can be an id of ours at all; what cannot is answered as unknown."""
    return _ID.fullmatch(text) is not None
