"""The cookies of the hosted pages: `HttpOnly`, and not sent with a form from another site (`SameSite`)."""

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from functions.auth.domain import known_device

_MAX_CHARACTERS = 1024


class Carried(msgspec.Struct, frozen=True):
    """The cookies of a request. `browser` binds forms to this browser, `session` is the browser session, and
    `device` marks a device on which somebody has signed in before.
    """

    browser: str | None
    session: str | None
    device: str | None


class PageCookies:
    """Over https, names have the prefix `__Host-`: no other host and no http response can set such a cookie.
    Over http (a developer's machine) they have neither the prefix nor `Secure`, which some browsers refuse.
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
            # Strip spaces only: a sibling domain can set `\xa0__Host-…`, another name to a browser.
            name, _, value = part.strip(" ").partition("=")
            # A cookie that comes twice is ignored: somebody else has set one of the two.
            usable = name not in found and 0 < len(value) <= _MAX_CHARACTERS
            found[name] = value if usable else None
        return Carried(found.get(self._browser), found.get(self._session), found.get(self._device))

    def browser(self, value: str) -> str:
        """A session cookie: it lasts until the browser is closed. So does that of `session`."""
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
