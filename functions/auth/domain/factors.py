"""The second factors of one user: one document, which every use and every change of a factor replaces."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from functions.auth.domain.guessing import NONE, Failures
from functions.auth.domain.passkeys import Passkey

PENDING_LIFETIME = timedelta(minutes=30)
"""How long an enrolment of one-time passwords waits for its first code."""

Method = Literal["totp", "passkey", "recovery_code"]


class Totp(msgspec.Struct, frozen=True):
    """`secret` is encrypted. `used_step` is the last accepted step; that one and earlier ones are refused."""

    secret: str
    created_at: datetime
    used_step: int
    used_at: datetime | None = None


class RecoveryCodes(msgspec.Struct, frozen=True):
    """`digests` of the unused codes, made with version `key_version` of the factor key."""

    digests: tuple[str, ...]
    key_version: int
    created_at: datetime


class Factors(msgspec.Struct, frozen=True, omit_defaults=True):
    """All second factors of a user. Failures are counted for each, so that guessing at one does not delay
    another.
    """

    user_id: str
    totp: Totp | None = None
    pending_totp: Totp | None = None
    recovery_codes: RecoveryCodes | None = None
    passkeys: tuple[Passkey, ...] = ()
    totp_failures: Failures = NONE
    recovery_code_failures: Failures = NONE


def enrolled(factors: Factors) -> tuple[Literal["totp", "passkey"], ...]:
    """The factors that a user has, without recovery codes, which only replace one of them."""
    found: list[Literal["totp", "passkey"]] = []
    if factors.passkeys:
        found.append("passkey")
    if factors.totp is not None:
        found.append("totp")
    return tuple(found)


def usable(factors: Factors) -> tuple[Method, ...]:
    """The methods that a challenge can be answered with; none if nothing is enrolled."""
    found = enrolled(factors)
    codes = factors.recovery_codes
    return (*found, "recovery_code") if found and codes is not None and codes.digests else found


def passkey(factors: Factors, passkey_id: str) -> Passkey | None:
    return next((passkey for passkey in factors.passkeys if passkey.id == passkey_id), None)


def credential(factors: Factors, credential_id: str) -> Passkey | None:
    return next((found for found in factors.passkeys if found.credential_id == credential_id), None)


def with_passkey(factors: Factors, changed: Passkey) -> Factors:
    """`changed` in the place of the passkey with its id."""
    kept = tuple(changed if found.id == changed.id else found for found in factors.passkeys)
    return msgspec.structs.replace(factors, passkeys=kept)


def without_passkey(factors: Factors, passkey_id: str) -> Factors:
    kept = tuple(found for found in factors.passkeys if found.id != passkey_id)
    return _tidied(msgspec.structs.replace(factors, passkeys=kept))


def without_totp(factors: Factors) -> Factors:
    return _tidied(msgspec.structs.replace(factors, totp=None, totp_failures=NONE))


def _tidied(factors: Factors) -> Factors:
    """The factors without recovery codes, if there is no factor left that they could replace."""
    if enrolled(factors):
        return factors
    return msgspec.structs.replace(factors, recovery_codes=None, recovery_code_failures=NONE)
