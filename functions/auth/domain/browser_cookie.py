"""What a browser's session cookie holds: whose session it is. Nobody else can make one."""

import msgspec

from functions.auth.domain.sealed import Seal, SealingKeys


class BrowserCookie(msgspec.Struct, frozen=True):
    tenant_id: str
    user_id: str
    session_id: str


class BrowserCookies:
    """`bs1_…` ↔ `BrowserCookie`."""

    def __init__(self, keys: SealingKeys) -> None:
        self._seal = Seal("bs1_", 3, keys)

    def text(self, cookie: BrowserCookie) -> str:
        return self._seal.seal(cookie.tenant_id.encode(), cookie.user_id.encode(), cookie.session_id.encode())

    def read(self, text: str) -> BrowserCookie | None:
        """None for anything that was not made by `text`; no store is asked."""
        fields = self._seal.open(text)
        return None if fields is None else BrowserCookie(*(field.decode() for field in fields))
