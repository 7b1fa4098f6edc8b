"""The secrets port: numbered versions with a state, as Secret Manager has them. Never `latest`."""

from datetime import datetime
from typing import Literal, Protocol

import msgspec

State = Literal["enabled", "disabled", "destroyed"]


class SecretVersion(msgspec.Struct, frozen=True):
    number: int
    state: State
    created_at: datetime


class SecretUnusable(Exception):
    """A version that is missing, disabled, destroyed, or unreadable. Names the secret, never its value."""

    def __init__(self, name: str, version: int, why: str) -> None:
        super().__init__(f"secret {name} version {version} is {why}")


class Secrets(Protocol):
    async def access(self, name: str, version: int) -> bytes:
        """The value. Raises `SecretUnusable`, `shared.errors.Unavailable`."""

    async def add(self, name: str, value: bytes) -> int:
        """A new version, enabled; makes the secret if need be. Returns its number, from 1."""

    async def versions(self, name: str) -> list[SecretVersion]:
        """Newest first; empty for a secret that does not exist."""

    async def set_state(self, name: str, version: int, state: State) -> None:
        """`destroyed` is final and removes the value. Raises `SecretUnusable`."""

    async def close(self) -> None: ...
