"""What is kept of second factors: one-time password secrets encrypted, recovery codes as keyed digests.

Each user has keys of their own, derived by HMAC from a version of the factor key (NIST SP 800-108 §4.1), so
that nothing of one document is of use in another.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from functions.auth.domain.sealed import SealingKeys
from functions.auth.key_rings import FACTOR_SECRET
from shared.secrets import SecretUnusable

_NONCE_BYTES = 12


class FactorCipher:
    """The keys of one user."""

    def __init__(self, keys: SealingKeys, tenant_id: str, user_id: str) -> None:
        self._keys = keys
        self._owner = f"{tenant_id}\0{user_id}".encode()

    @property
    def key_version(self) -> int:
        """The version that is used for what is made now."""
        return self._keys.current

    def encrypted(self, secret: bytes) -> str:
        """AES-128-GCM: key version, a dot, base64url of nonce and ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher(self.key_version).encrypt(nonce, secret, None)
        return f"{self.key_version}.{urlsafe_b64encode(sealed).decode()}"

    def decrypted(self, text: str) -> bytes:
        """The inverse. Raises `SecretUnusable` where the version of the key is gone."""
        version, _, sealed = text.partition(".")
        raw = urlsafe_b64decode(sealed)
        return self._cipher(int(version)).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)

    def is_outdated(self, text: str) -> bool:
        """Whether `text` was encrypted with another version than today's."""
        return text.partition(".")[0] != str(self.key_version)

    def digest(self, code: str, version: int) -> str:
        """What is kept of a recovery code. Raises `SecretUnusable` where the version of the key is gone."""
        return self._mac(version, b"recovery-code\0", code.encode()).hex()

    def _cipher(self, version: int) -> AESGCM:
        return AESGCM(self._mac(version, b"totp-secret\0", b""))

    def _mac(self, version: int, purpose: bytes, message: bytes) -> bytes:
        mac = self._keys.mac(version, purpose + self._owner + b"\0" + message)
        if mac is None:
            raise SecretUnusable(FACTOR_SECRET, version, "not in the ring any more, but still in use")
        return mac
