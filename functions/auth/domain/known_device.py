"""Known devices: failures elsewhere do not delay sign-ins from a device that was used before.

`dev1_…` is handed out after a sign-in and given back at the next one. It proves nothing but that, opens
nothing, and is stored nowhere.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from functions.auth.domain.sealed import Seal, SealingKeys

LIFETIME = timedelta(days=30)
"""No longer than the keys of refresh tokens, which seal it, are kept; each sign-in can give a new one."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class KnownDevice(msgspec.Struct, frozen=True):
    """`id` is the same in each token that one device was given in a row. `login_id` is that of the address
    which signed in there.
    """

    tenant_id: str
    user_id: str
    id: str
    seen_at: datetime
    login_id: str


class DeviceTokens:
    """`dev1_…` ↔ `KnownDevice`."""

    def __init__(self, keys: SealingKeys) -> None:
        self._seal = Seal("dev1_", 5, keys)

    def text(self, device: KnownDevice) -> str:
        seen_at = (device.seen_at - _EPOCH) // _MICROSECOND
        return self._seal.seal(
            device.tenant_id.encode(),
            device.user_id.encode(),
            device.id.encode(),
            seen_at.to_bytes(8),
            device.login_id.encode(),
        )

    def read(self, text: str | None, at: datetime) -> KnownDevice | None:
        """None for what was not made by `text`, or too long ago."""
        fields = self._seal.open(text or "")
        if fields is None:
            return None
        tenant_id, user_id, device_id, seen, login_id = fields
        seen_at = _EPOCH + int.from_bytes(seen) * _MICROSECOND
        if at >= seen_at + LIFETIME:
            return None
        return KnownDevice(
            tenant_id.decode(), user_id.decode(), device_id.decode(), seen_at, login_id.decode()
        )
