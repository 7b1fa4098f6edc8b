"""Passkeys: what is kept of a credential, and what its signature counter says (WebAuthn Level 3 §6.1.1)."""

import hashlib
from datetime import datetime

import msgspec

MAX_PASSKEYS = 20


class Passkey(msgspec.Struct, frozen=True):
    """A public-key credential of a user. `credential_id` and `public_key` (COSE) are base64url.

    `bound_to_device`: it cannot be synced or backed up, so whoever has it holds that device.
    """

    id: str
    credential_id: str
    public_key: str
    sign_count: int
    bound_to_device: bool
    transports: tuple[str, ...]
    name: str
    created_at: datetime
    used_at: datetime | None = None


class Credential(msgspec.Struct, frozen=True):
    """Whose passkey a credential is. Its document's id makes the credential unique within the tenant."""

    user_id: str


def credential_document_id(credential_id: str) -> str:
    return f"crd_{hashlib.sha256(credential_id.encode()).hexdigest()[:40]}"


def is_copy(passkey: Passkey, sign_count: int) -> bool:
    """Whether the counter stands where it stood before: then the key exists twice. 0 is no counter."""
    return (passkey.sign_count > 0 or sign_count > 0) and sign_count <= passkey.sign_count


def amr(passkey: Passkey, user_verified: bool) -> tuple[str, ...]:
    """RFC 8176. With the user verified by PIN or biometrics it is two factors in one."""
    held = "hwk" if passkey.bound_to_device else "swk"
    return (held, "user", "mfa") if user_verified else (held, "user")
