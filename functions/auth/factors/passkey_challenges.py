"""Challenges for passkeys: made without a write, valid once, for one purpose, for five minutes."""

import msgspec

from functions.auth.domain.challenge import Challenges, PasskeyChallenge, Purpose
from functions.auth.factors.passkey_ceremonies import Assertion, Registration, challenge_of
from functions.auth.keyring.keys import KeyRoom
from shared.ids import Clock, new_id


class Asked(msgspec.Struct, frozen=True):
    """A challenge of ours that somebody answers. `id`: of the document that is there once it is used up."""

    text: str
    id: str


class PasskeyChallenges:
    """`tenant` is its id, and `subject` the session that asks. Where a passkey is to say who signs in, nobody
    does, and `tenant` is what was asked for: whoever asks can read the text, and learns nothing by it.
    """

    def __init__(self, keys: KeyRoom, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def new(self, tenant: str, purpose: Purpose, subject: str = "") -> str:
        """The text that a passkey has to sign."""
        challenge = PasskeyChallenge(new_id("chl"), tenant, purpose, subject, self._clock())
        return (await self._texts()).passkey_text(challenge)

    async def answered(
        self, given: Registration | Assertion, tenant: str, purpose: Purpose, subject: str = ""
    ) -> Asked | None:
        """The challenge that is answered; None unless `new` made it for exactly this in the last five
        minutes.

        The signature, and whether it was used before, are not checked here.
        """
        text = challenge_of(given)
        known = (await self._texts()).passkey(text, tenant, purpose, subject, self._clock())
        return None if known is None else Asked(text, known.id)

    async def _texts(self) -> Challenges:
        return Challenges((await self._keys.current()).factors)
