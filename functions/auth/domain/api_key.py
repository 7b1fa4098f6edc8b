"""API keys: what their text says, what is kept of them, and when they work.

Text: `energent_<environment>_<tenant id>_<key id>_<secret><checksum>`, 170 characters at most. A key id is
`key_` and 32 hexadecimal digits. The secret is 128 random bits in 22 digits of base 62, the checksum CRC-32
of all before it in six; `SCANNER` finds keys in texts, which is all that a scanner for leaked secrets needs.
"""

import hmac
import re
from binascii import crc32
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

import msgspec

from functions.auth.domain.sealed import SealingKeys
from shared.errors import Conflict, Forbidden, invalid

DEFAULT_LIFETIME = timedelta(days=90)
MAX_LIFETIME = timedelta(days=365)
MAX_IP_RANGES = 20
SECRET_BYTES = 16
USE_NOTED_EVERY = timedelta(hours=1)

SCANNER = r"energent_[a-z][a-z0-9-]{0,29}_[A-Za-z0-9_-]{1,64}_key_[0-9a-f]{32}_[0-9A-Za-z]{28}"

_TEXT = re.compile(
    r"energent_([a-z][a-z0-9-]{0,29})_([A-Za-z0-9_-]{1,64})_(key_[0-9a-f]{32})_([0-9A-Za-z]{22})([0-9A-Za-z]{6})"
)
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_DIGITS = 22
_CHECKSUM_DIGITS = 6

Status = Literal["active", "not_yet", "expired"]


class Presented(msgspec.Struct, frozen=True):
    """A key as somebody sent it: well formed, and nothing more."""

    environment: str
    tenant_id: str
    key_id: str
    secret: str

    @property
    def sealed(self) -> bytes:
        """What the pepper is applied to: the secret, for this key of this tenant only."""
        return f"{self.tenant_id}.{self.key_id}.{self.secret}".encode()


class Digest(msgspec.Struct, frozen=True):
    """What is kept of a secret: HMAC of `Presented.sealed`, in hex, under this version of the pepper."""

    mac: str
    pepper: int


class ApiKey(msgspec.Struct, frozen=True):
    """`used_at` is up to an hour old. Without `ip_ranges` a key works from everywhere."""

    id: str
    name: str
    scopes: tuple[str, ...]
    digest: Digest
    ip_ranges: tuple[str, ...]
    created_by: str
    created_at: datetime
    not_before: datetime | None
    expires_at: datetime
    used_at: datetime | None = None


def text(key: Presented) -> str:
    before = f"energent_{key.environment}_{key.tenant_id}_{key.key_id}_{key.secret}"
    return before + _checksum(before)


def secret_of(random: bytes) -> str:
    """`SECRET_BYTES` random bytes as they stand in a key."""
    return _base62(int.from_bytes(random), _SECRET_DIGITS)


def read(given: str) -> Presented | None:
    """None for whatever `text` did not make: a typing error is found without a read of any store."""
    match = _TEXT.fullmatch(given)
    if match is None or _checksum(given[:-_CHECKSUM_DIGITS]) != match[5]:
        return None
    return Presented(match[1], match[2], match[3], match[4])


def digest(presented: Presented, peppers: SealingKeys) -> Digest:
    """Under the newest pepper."""
    mac = peppers.mac(peppers.current, presented.sealed)
    if mac is None:
        raise ValueError(f"no pepper of version {peppers.current}")
    return Digest(mac.hex(), peppers.current)


def is_secret(presented: Presented, key: ApiKey | None, peppers: SealingKeys) -> bool:
    """Whether it is the secret of `key`. Takes as long for a key that is not there."""
    known = Digest("", peppers.current) if key is None else key.digest
    mac = peppers.mac(known.pepper, presented.sealed)
    return mac is not None and hmac.compare_digest(mac.hex(), known.mac) and key is not None


def status(key: ApiKey, at: datetime) -> Status:
    """It works from `not_before` on, until `expires_at` and not at it."""
    if at >= key.expires_at:
        return "expired"
    return "active" if key.not_before is None or at >= key.not_before else "not_yet"


def start(not_before: datetime | None, at: datetime) -> datetime | None:
    """None where the key may be used as soon as it is made."""
    return None if not_before is None or not_before <= at else not_before


def lifetime(
    created_at: datetime, not_before: datetime | None, expires_at: datetime | None, at: datetime
) -> datetime:
    """When a key that was made at `created_at` expires. Raises `Invalid`."""
    ends_at = created_at + DEFAULT_LIFETIME if expires_at is None else expires_at
    if not at < ends_at <= created_at + MAX_LIFETIME:
        detail = f"Give a time in the future, at most {MAX_LIFETIME.days} days after the key was made."
        raise invalid("/expires_at", "invalid_expiry", detail)
    if not_before is not None and not_before >= ends_at:
        raise invalid("/not_before", "invalid_start", "A key begins before it expires. Give an earlier time.")
    return ends_at


def ip_ranges(given: Sequence[str]) -> tuple[str, ...]:
    """CIDR blocks (RFC 4632, RFC 4291 §2.3) or single addresses, each once. Raises `Invalid`."""
    if len(given) > MAX_IP_RANGES:
        raise invalid("/ip_ranges", "too_many", f"Give at most {MAX_IP_RANGES} ranges.")
    return tuple(dict.fromkeys(str(_network(text, index)) for index, text in enumerate(given)))


def is_allowed(key: ApiKey, address: str) -> bool:
    """Whether the key works from this address. An IPv4 address that is written as IPv6 is that address."""
    if not key.ip_ranges:
        return True
    try:
        seen = ip_address(address)
    except ValueError:
        return False
    if isinstance(seen, IPv6Address):
        seen = seen.ipv4_mapped or seen
    return any(seen in ip_network(known) for known in key.ip_ranges)


def require_changeable(key: ApiKey, scopes: Collection[str], at: datetime) -> None:
    """Raises `Conflict` `api_key_expired`, and `Forbidden` `scope_not_grantable` for who may less than it."""
    if status(key, at) == "expired":
        raise Conflict("api_key_expired", "This key has expired. Make another one.")
    if not set(scopes).issuperset(key.scopes):
        raise Forbidden("scope_not_grantable", "This key may more than you. You can revoke it.")


def is_use_due(key: ApiKey, pepper: int, at: datetime) -> bool:
    """Whether this use is worth a write: once an hour, and when the pepper has been replaced."""
    return key.used_at is None or at >= key.used_at + USE_NOTED_EVERY or key.digest.pepper != pepper


def _network(text: str, index: int) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text)
    except ValueError:
        network = None
    if network is None or "%" in text or (network.version == 6 and network.network_address.ipv4_mapped):
        detail = "Give a range like 192.0.2.0/24 or 2001:db8::/32, without bits beyond its prefix."
        raise invalid(f"/ip_ranges/{index}", "invalid_range", detail)
    return network


def _checksum(text: str) -> str:
    return _base62(crc32(text.encode()), _CHECKSUM_DIGITS)


def _base62(number: int, digits: int) -> str:
    found = ""
    for _ in range(digits):
        number, digit = divmod(number, len(_DIGITS))
        found = _DIGITS[digit] + found
    return found
