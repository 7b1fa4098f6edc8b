"""Failures of a login: counted for each known device, reset by a success, cleared by a new password."""

from datetime import datetime

import msgspec

from functions.auth.domain import guessing
from functions.auth.domain.guessing import NONE, Failures
from functions.auth.domain.known_device import KnownDevice
from functions.auth.domain.people import Login

MAX_DEVICES = 16
"""The most known devices that are counted separately; a further one counts as unknown for a day."""


def device_id(login: Login, tenant_id: str, device: KnownDevice | None, at: datetime) -> str | None:
    """The id of `device` if it belongs to this login's user and is counted separately; else None."""
    if device is None or (device.tenant_id, device.user_id) != (tenant_id, login.user_id):
        return None
    if login.password_set_at is not None and device.seen_at <= login.password_set_at:
        return None
    counted = _counted(login, at)
    return device.id if device.id in counted or len(counted) < MAX_DEVICES else None


def failures(login: Login, device: str | None) -> Failures:
    """The failures that count for a try from `device`: its own, or for None those of all unknown devices."""
    return login.failures if device is None else login.device_failures.get(device, NONE)


def failed(login: Login, device: str | None, at: datetime) -> Login:
    after = guessing.failed(failures(login, device), at)
    if device is None:
        return msgspec.structs.replace(login, failures=after)
    return msgspec.structs.replace(login, device_failures=_counted(login, at) | {device: after})


def succeeded(login: Login, device: str | None, at: datetime) -> Login:
    """The login without the failures of `device`; the same object if there are none."""
    if not failures(login, device).count:
        return login
    if device is None:
        return msgspec.structs.replace(login, failures=NONE)
    others = {known: count for known, count in _counted(login, at).items() if known != device}
    return msgspec.structs.replace(login, device_failures=others)


def with_password(login: Login, password_hash: str, at: datetime, *, is_short: bool = False) -> Login:
    """The login with a new password: no failures, no known devices."""
    return Login(login.user_id, password_hash, password_set_at=at, is_short=is_short)


def _counted(login: Login, at: datetime) -> dict[str, Failures]:
    return {
        device: count
        for device, count in login.device_failures.items()
        if not guessing.is_forgotten(count, at)
    }
