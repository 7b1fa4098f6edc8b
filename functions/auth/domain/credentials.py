"""Client secrets and public keys of machines: several work at once, so that one can be replaced."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from shared.errors import Conflict, NotFound, invalid

MAX_OF_A_KIND = 5
MAX_LIFETIME = timedelta(days=3650)


class ClientSecret(msgspec.Struct, frozen=True):
    """A stored secret, as SHA-256 in hex: 128 random bits need no slow hash. It works until `expires_at`."""

    id: str
    sha256: str
    created_at: datetime
    expires_at: datetime | None = None


class PublicKey(msgspec.Struct, frozen=True):
    """The public half of a key that signs client assertions (RFC 7523). `jwk` as `jwk.public` gives it."""

    kid: str
    jwk: dict[str, str]
    created_at: datetime
    expires_at: datetime | None = None

    @property
    def id(self) -> str:
        """A key's id among those of its owner."""
        return self.kid


C = TypeVar("C", bound=ClientSecret | PublicKey)


def hashed(secret_id: str, secret: str, at: datetime, expires_at: datetime | None = None) -> ClientSecret:
    """Raises `Invalid` for an `expires_at` that is not after `at`, or is ten years away."""
    return ClientSecret(secret_id, _sha256(secret), at, _deadline(expires_at, at))


def public_key(kid: str, jwk: dict[str, str], at: datetime, expires_at: datetime | None = None) -> PublicKey:
    """`jwk` has been checked. Raises as `hashed` does."""
    return PublicKey(kid, jwk, at, _deadline(expires_at, at))


def is_active(credential: ClientSecret | PublicKey, at: datetime) -> bool:
    """Whether it works at `at`: before its deadline, and not at it."""
    return credential.expires_at is None or at < credential.expires_at


def active(credentials: Sequence[C], at: datetime) -> tuple[C, ...]:
    """Those that work at `at`, oldest first."""
    return tuple(credential for credential in credentials if is_active(credential, at))


def holds(secrets: Sequence[ClientSecret], presented: str, at: datetime) -> bool:
    """Whether `presented` is one of `secrets` that works at `at`. Takes the same time for any answer."""
    digest, held = _sha256(presented), False
    for known in secrets:
        held |= hmac.compare_digest(digest, known.sha256) & is_active(known, at)
    return held


def added(credentials: Sequence[C], new: C, at: datetime) -> tuple[C, ...]:
    """The credentials with `new` and without the expired ones.

    Raises `Conflict`: `too_many_credentials` if there are five, `credential_exists` for an id that is taken.
    """
    kept = active(credentials, at)
    if any(credential.id == new.id for credential in kept):
        raise Conflict("credential_exists", "There is a key of this kid. Give the new key another kid.")
    if len(kept) >= MAX_OF_A_KIND:
        detail = f"There are {MAX_OF_A_KIND} already. Remove one, or wait until one has expired."
        raise Conflict("too_many_credentials", detail)
    return (*kept, new)


def expiring(
    credentials: Sequence[C], credential_id: str, expires_at: datetime, at: datetime
) -> tuple[C, ...]:
    """The credentials, one of them with a new deadline.

    Raises `NotFound` for an id that is unknown or has expired, and `Invalid` as `hashed` does.
    """
    found = _found(credentials, credential_id, at)
    deadline = _deadline(expires_at, at)
    changed = msgspec.structs.replace(found, expires_at=deadline)
    return tuple(changed if credential is found else credential for credential in credentials)


def last_longer(before: Sequence[C], after: Sequence[C]) -> bool:
    """Whether one of them works longer after the change than before it."""
    deadlines = {credential.id: credential.expires_at for credential in before}
    return any(
        (known := deadlines[credential.id]) is not None
        and (credential.expires_at is None or credential.expires_at > known)
        for credential in after
    )


def removed(credentials: Sequence[C], credential_id: str, at: datetime) -> tuple[C, ...]:
    """The credentials without one of them. Raises `NotFound` as `expiring` does."""
    found = _found(credentials, credential_id, at)
    return tuple(credential for credential in credentials if credential is not found)


def recorded(value: str | Sequence[str | ClientSecret | PublicKey]) -> str:
    """What a field has become, as the audit log has it: of secrets and keys the ids."""
    if isinstance(value, str):
        return value
    return " ".join(each if isinstance(each, str) else each.id for each in value)


def _found(credentials: Sequence[C], credential_id: str, at: datetime) -> C:
    for credential in active(credentials, at):
        if credential.id == credential_id:
            return credential
    raise NotFound("credential_not_found", "There is no such secret or key. It may have expired.")


def _deadline(expires_at: datetime | None, at: datetime) -> datetime | None:
    if expires_at is not None and not at < expires_at <= at + MAX_LIFETIME:
        raise invalid("/expires_at", "invalid_expiry", "Give a time in the future, within ten years.")
    return expires_at


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
