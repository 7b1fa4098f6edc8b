"""Which passwords may be set: long enough, not among those that everybody tries, not known to be breached."""

import asyncio
import gzip
import hashlib
import logging
from collections.abc import Sequence
from importlib import resources
from typing import Protocol

from functions.auth.domain import password
from shared.errors import invalid
from shared.tenant import Tenant

PRODUCT = "energent"
RANGE_SECONDS = 1.0
_LIST = "common_passwords.txt.gz"
_MAX_RANGE_BYTES = 1_000_000
_PREFIX_CHARACTERS = 5

_log = logging.getLogger(__name__)


class Ranges(Protocol):
    """A list of breached passwords that is asked without revealing the password."""

    async def holds(self, text: str) -> bool:
        """Whether `text` is known to be breached; False if the list does not answer."""


class PasswordPolicy:
    """NIST SP 800-63B-4 §3.1.1.2; docs/decisions/0015. The common passwords are loaded on first use."""

    def __init__(self, ranges: Ranges | None = None) -> None:
        self._ranges = ranges
        self._common: frozenset[str] | None = None

    async def new(self, text: str, *, path: str, words: Sequence[str], second_factor: bool) -> str:
        """Checks a new password and returns its normal form, which is what is hashed. `words` are those of
        the account (`words_of`).

        Raises `Invalid` with one of the codes of `domain.password`, or `password_breached`.
        """
        if self._common is None:
            self._common = await asyncio.to_thread(_common_passwords)
        known = self._common
        accepted = password.new(
            text, path, [*words, PRODUCT], known.__contains__, second_factor=second_factor
        )
        if self._ranges is not None and await self._ranges.holds(accepted):
            detail = "This password was found in a breach of another service. Choose another one."
            raise invalid(path, "password_breached", detail)
        return accepted


def words_of(owner: Tenant, email: str, name: str) -> list[str]:
    """What everybody can know of an account; a password must not be made of that alone."""
    return [owner.slug, owner.name, email.rpartition("@")[0], name]


class PasswordRanges:
    """The range API of Pwned Passwords at `origin`, which learns 5 of 40 hexadecimal digits of a SHA-1."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    async def holds(self, text: str) -> bool:
        """Answers within a second. False in an outage: the list that is shipped has been checked before."""
        digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().upper()
        prefix, suffix = digest[:_PREFIX_CHARACTERS], digest[_PREFIX_CHARACTERS:]
        try:
            async with asyncio.timeout(RANGE_SECONDS):
                lines = await self._range(prefix)
        except Exception as failure:  # noqa: BLE001 - whatever is wrong there, passwords can be set here
            _log.warning("breached passwords cannot be asked for: %s", type(failure).__name__)
            return False
        # Lines that only pad the answer have a count of 0.
        return any(line.strip().startswith(suffix + ":") and line.strip() != suffix + ":0" for line in lines)

    async def _range(self, prefix: str) -> list[str]:
        import httpx  # noqa: PLC0415 - only where the setting asks for it

        body = b""
        async with (
            httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=RANGE_SECONDS) as client,
            client.stream("GET", f"{self._origin}/range/{prefix}", headers={"Add-Padding": "true"}) as answer,
        ):
            answer.raise_for_status()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _MAX_RANGE_BYTES:
                    raise ValueError("more than a range")
        return body.decode("ascii").upper().splitlines()


def _common_passwords() -> frozenset[str]:
    packed = resources.files(__package__).joinpath(_LIST).read_bytes()
    _notice, _, words = gzip.decompress(packed).decode().partition("\n\n")
    return frozenset(words.splitlines())
