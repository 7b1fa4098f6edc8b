"""The secrets port: numbered versions with a state, as Secret Manager has them. Never `latest`."""

import re
from datetime import datetime
from typing import Literal, Protocol

import msgspec

State = Literal["enabled", "disabled", "destroyed"]

MAX_VALUE_BYTES = 65_536

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


class SecretVersion(msgspec.Struct, frozen=True):
    number: int
    state: State
    created_at: datetime


class SecretUnusable(Exception):
    """A secret's version (without `version`: the secret itself) is missing, disabled, destroyed, forbidden or
    unreadable. The message names the secret, never its value.
    """

    def __init__(self, name: str, version: int | None, why: str) -> None:
        which = "" if version is None else f" version {version}"
        super().__init__(f"secret {name}{which} is {why}")


class SecretValues(Protocol):
    """Read access. Each call raises `SecretUnusable`, `shared.errors.Unavailable`, and ValueError for an
    invalid name or value.
    """

    async def access(self, name: str, version: int) -> bytes:
        """The value."""


class Secrets(SecretValues, Protocol):
    """Raises like `SecretValues`."""

    async def add(self, name: str, value: bytes) -> int:
        """Adds an enabled version, and creates the secret if need be. Returns its number, from 1."""

    async def versions(self, name: str) -> list[SecretVersion]:
        """Newest first; empty for a secret that does not exist."""

    async def set_state(self, name: str, version: int, state: State) -> None:
        """Sets the state; idempotent. `destroyed` is final and removes the value."""

    async def close(self) -> None: ...


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a secret")


def check_value(name: str, value: bytes) -> None:
    """The message holds the size, never the value."""
    if not value:
        raise ValueError(f"secret {name} would be empty")
    if len(value) > MAX_VALUE_BYTES:
        raise ValueError(f"secret {name} would have {len(value)} bytes; {MAX_VALUE_BYTES} are allowed")
