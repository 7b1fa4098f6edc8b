"""The cookies of the hosted pages. None is readable for a script, none comes with another site's form."""

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from functions.auth.domain import known_device

_MAX_CHARACTERS = 1024


class Carried(msgspec.Struct, frozen=True):
    """What a browser sent. `browser` binds its forms to it, `session` says who is signed in, `device` that
    somebody was before.
    """

    browser: str | None
    session: str | None
    device: str | None


class PageCookies:
    """Over https with the prefix `__Host-`, which no other host and no unencrypted answer can set. Over http,
    on a developer's machine, without it and without `Secure`, which not every browser takes there.
    """

    def __init__(self, issuer: str) -> None:
        secure = issuer.startswith("https://")
        prefix = "__Host-" if secure else ""
        self._attributes = f"Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
        self._browser = f"{prefix}energent-browser"
        self._session = f"{prefix}energent-session"
        self._device = f"{prefix}energent-device"

    def read(self, headers: Mapping[str, str]) -> Carried:
        found: dict[str, str | None] = {}
        for part in headers.get("cookie", "").split(";"):
            # Spaces only: a browser lets any site near us set `\xa0__Host-…`, which is another name to it.
            name, _, value = part.strip(" ").partition("=")
            # Twice means that somebody else has set one of them.
            usable = name not in found and 0 < len(value) <= _MAX_CHARACTERS
            found[name] = value if usable else None
        return Carried(found.get(self._browser), found.get(self._session), found.get(self._device))

    def browser(self, value: str) -> str:
        """Until the browser is closed, as is the next."""
        return self._set(self._browser, value)

    def session(self, value: str) -> str:
        return self._set(self._session, value)

    def device(self, value: str) -> str:
        return self._set(self._device, value, known_device.LIFETIME)

    def no_session(self) -> str:
        return self._set(self._session, "", timedelta(0))

    def _set(self, name: str, value: str, lifetime: timedelta | None = None) -> str:
        age = "" if lifetime is None else f"; Max-Age={int(lifetime.total_seconds())}"
        return f"{name}={value}; {self._attributes}{age}"
