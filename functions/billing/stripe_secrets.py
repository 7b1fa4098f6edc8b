"""Stripe's secrets: the key of its API, which also says whether money moves, and those that sign webhooks."""

import logging
import re

from shared import config
from shared.errors import Unavailable
from shared.secrets import SecretUnusable, SecretValues
from shared.settings import SecretRef

_MODES = {"sk_live_": True, "rk_live_": True, "sk_test_": False, "rk_test_": False}
_VISIBLE = re.compile(r"[!-~]+")

_log = logging.getLogger(__name__)


class StripeSecrets:
    """Asks for them each time: a version that was disabled serves no longer than the cache keeps it."""

    def __init__(self, settings: config.Stripe, secrets: SecretValues) -> None:
        self._settings = settings
        self._secrets = secrets
        self._told: set[SecretRef] = set()

    async def api_key(self) -> str:
        """Raises `SecretUnusable`, which names the secret, and `Unavailable`."""
        ref = self._settings.api_key
        key = await self._text(ref)
        if not key.startswith(tuple(_MODES)):
            raise SecretUnusable(ref.name, ref.version, "no secret or restricted key of Stripe")
        return key

    async def is_live(self) -> bool:
        """Whether the key is one of live mode. Raises like `api_key`."""
        key = await self.api_key()
        return next(is_live for prefix, is_live in _MODES.items() if key.startswith(prefix))

    async def webhook_secrets(self) -> list[str]:
        """Those that can be used. One that cannot is an error in the log, once until it can be used again:
        anybody can have it asked for. Raises `Unavailable`, also where none can be used.
        """
        found = [await self._webhook_secret(ref) for ref in self._settings.webhook_secrets]
        usable = [secret for secret in found if secret is not None]
        if not usable:
            raise Unavailable("stripe_secrets_unusable", "The service is not ready. Send it again.")
        return usable

    async def _webhook_secret(self, ref: SecretRef) -> str | None:
        try:
            secret = await self._text(ref)
        except SecretUnusable as failure:
            if ref not in self._told:
                self._told.add(ref)
                _log.error("a webhook secret cannot be used: %s", failure)
            return None
        self._told.discard(ref)
        return secret

    async def _text(self, ref: SecretRef) -> str:
        """Without white space around it. A blank secret would let everybody sign."""
        value = await self._secrets.access(ref.name, ref.version)
        text = value.decode("ascii", "replace").strip()
        if not _VISIBLE.fullmatch(text):
            raise SecretUnusable(ref.name, ref.version, "empty, or no text of visible ASCII characters")
        return text
