"""What a page's form carries: where a person is, sealed, for one browser, for half an hour.

Nothing of it is kept on our side. Text: base64url of key version (2 bytes), HMAC-SHA-256 cut to 128 bits,
and JSON.
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from functions.auth.domain.authorization_request import AuthorizationRequest
from functions.auth.domain.sealed import SealingKeys
from shared import base64url

LIFETIME = timedelta(minutes=30)
MAX_CHARACTERS = 32_768

_CONTEXT = b"page1_"
_HEAD_BYTES = 18

Step = Literal["sign_in", "forgot_password", "second_factor", "device", "device_decision", "sign_out"]


class Pending(msgspec.Struct, frozen=True, omit_defaults=True):
    """The step that a form takes, and what it is for: a client's `request`, or a device's `user_code`.

    `challenge` belongs to the second factor; `session_id` is whose decision it is; `onward`, where a browser
    goes after a sign-out, its client has registered.
    """

    step: Step
    request: AuthorizationRequest | None = None
    user_code: str = ""
    challenge: str = ""
    session_id: str = ""
    onward: str = ""


class Opened(msgspec.Struct, frozen=True):
    """`is_current`: for this browser, and not too old. What is not is no more than a hint where to begin."""

    pending: Pending
    is_current: bool


class _Content(msgspec.Struct, frozen=True):
    pending: Pending
    browser: str
    expires_at: int


class PageTokens:
    def __init__(self, keys: SealingKeys) -> None:
        self._keys = keys

    def seal(self, pending: Pending, browser: str, at: datetime) -> str:
        """`browser` is the secret in its cookie."""
        expires_at = int((at + LIFETIME).timestamp())
        content = msgspec.json.encode(_Content(pending, _digest(browser), expires_at))
        version = self._keys.current
        mac = self._keys.mac(version, _CONTEXT + content)
        if mac is None:
            raise ValueError(f"no key of version {version}")
        return base64url.encode(version.to_bytes(2) + mac + content)

    def open(self, text: str, browser: str | None, at: datetime) -> Opened | None:
        """None for whatever `seal` did not make."""
        content = self._content(text)
        if content is None:
            return None
        same = browser is not None and hmac.compare_digest(content.browser, _digest(browser))
        return Opened(content.pending, same and at.timestamp() < content.expires_at)

    def _content(self, text: str) -> _Content | None:
        if len(text) > MAX_CHARACTERS:
            return None
        try:
            raw = base64url.decode(text)
        except ValueError:
            return None
        version, mac, content = raw[:2], raw[2:_HEAD_BYTES], raw[_HEAD_BYTES:]
        expected = self._keys.mac(int.from_bytes(version), _CONTEXT + content)
        if expected is None or not hmac.compare_digest(expected, mac):
            return None
        return msgspec.json.decode(content, type=_Content)


def _digest(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()
