"""Challenges for passkeys: made without a write, good for five minutes, for one purpose, once."""

import msgspec

from functions.auth.domain.challenge import Challenges, PasskeyChallenge, Purpose
from functions.auth.factors import factor_documents
from functions.auth.factors.passkey_ceremonies import Assertion, Registration, challenge_of
from functions.auth.keyring.keys import KeyRoom
from shared.ids import Clock, new_id
from shared.store import Key, Store


class Asked(msgspec.Struct, frozen=True):
    """A challenge of ours that somebody answers. `used`: the document that is there once it is used up."""

    text: str
    used: Key


class PasskeyChallenges:
    """`subject` is the session that asks; nobody where a passkey is to say who signs in."""

    def __init__(self, store: Store, keys: KeyRoom, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock

    async def new(self, tenant_id: str, purpose: Purpose, subject: str = "") -> str:
        """The text that a passkey has to sign."""
        challenge = PasskeyChallenge(new_id("chl"), tenant_id, purpose, subject, self._clock())
        return (await self._texts()).passkey_text(challenge)

    async def answered(
        self, given: Registration | Assertion, tenant_id: str, purpose: Purpose, subject: str = ""
    ) -> Asked | None:
        """None for an answer to nothing that `new` made for exactly this in the last five minutes.

        Whether it was used before, and who signed it, is not looked at.
        """
        text = challenge_of(given)
        known = (await self._texts()).passkey(text, tenant_id, purpose, subject, self._clock())
        if known is None:
            return None
        return Asked(text, factor_documents.challenge_key(self._store, tenant_id, known.id))

    async def _texts(self) -> Challenges:
        return Challenges((await self._keys.current()).factors)
