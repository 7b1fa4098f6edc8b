"""How second factors are stored: one-time password secrets encrypted, recovery codes as keyed digests.

Each user's keys are derived by HMAC from a version of the factor key (NIST SP 800-108 §4.1), so that a value
that is copied to another user's document is of no use there.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from functions.auth.domain.sealed import SealingKeys

_NONCE_BYTES = 12


class FactorCipher:
    """The keys of one user."""

    def __init__(self, keys: SealingKeys, tenant_id: str, user_id: str) -> None:
        self._keys = keys
        self._owner = f"{tenant_id}\0{user_id}".encode()

    @property
    def key_version(self) -> int:
        """The version that new values are made with."""
        return self._keys.current

    def encrypted(self, secret: bytes) -> str:
        """AES-128-GCM: key version, a dot, base64url of nonce and ciphertext."""
        nonce, key = os.urandom(_NONCE_BYTES), self._totp_key(self.key_version)
        if key is None:
            raise ValueError(f"no key of version {self.key_version}")
        sealed = nonce + AESGCM(key).encrypt(nonce, secret, None)
        return f"{self.key_version}.{urlsafe_b64encode(sealed).decode()}"

    def decrypted(self, text: str) -> bytes | None:
        """The inverse; None if that version of the key was removed, which makes its values void."""
        version, _, sealed = text.partition(".")
        raw, key = urlsafe_b64decode(sealed), self._totp_key(int(version))
        return None if key is None else AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)

    def is_outdated(self, text: str) -> bool:
        """Whether `text` was encrypted with another version than today's."""
        return text.partition(".")[0] != str(self.key_version)

    def digest(self, code: str, version: int) -> str:
        """The digest of a recovery code; empty, which matches none, if that key version was removed."""
        return (self._mac(version, b"recovery-code\0", code.encode()) or b"").hex()

    def _totp_key(self, version: int) -> bytes | None:
        return self._mac(version, b"totp-secret\0", b"")

    def _mac(self, version: int, purpose: bytes, message: bytes) -> bytes | None:
        return self._keys.mac(version, purpose + self._owner + b"\0" + message)
