"""Stripe's secrets: the API key, which also tells live from test mode, and the webhook signing secrets."""

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
    """Reads the secrets on each use: a disabled version is used no longer than the cache keeps it."""

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
        """Whether the key is of live mode. Raises like `api_key`."""
        key = await self.api_key()
        return next(is_live for prefix, is_live in _MODES.items() if key.startswith(prefix))

    async def webhook_secrets(self) -> list[str]:
        """The usable ones. An unusable one is logged once until it is usable again, since anybody can trigger
        the look-up. Raises `Unavailable`, also if none is usable.
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
        """The secret without surrounding white space. A blank one is refused: anybody could sign with it."""
        value = await self._secrets.access(ref.name, ref.version)
        text = value.decode("ascii", "replace").strip()
        if not _VISIBLE.fullmatch(text):
            raise SecretUnusable(ref.name, ref.version, "empty, or no text of visible ASCII characters")
        return text
