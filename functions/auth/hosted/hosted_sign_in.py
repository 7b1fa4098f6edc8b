"""Sign-in on the hosted pages: the same factors as over the API, but the result is a browser session."""

import msgspec

from functions.auth.domain.known_device import KnownDevice
from functions.auth.factors.factor_proofs import Answer
from functions.auth.factors.passkey_ceremonies import Assertion
from functions.auth.guessing.source import Source
from functions.auth.keyring.keys import KeyRoom
from functions.auth.sessions.browser_sessions import BrowserSessions
from functions.auth.sign_in.first_factor import FirstFactor
from functions.auth.sign_in.passkey_sign_in import PasskeySignIn
from functions.auth.sign_in.second_factors import Challenge, SecondFactors
from functions.auth.sign_in.sign_in import SignIn
from shared.errors import Forbidden
from shared.ids import Clock, new_id
from shared.store import until_not_stale

_TOTP_DIGITS = 6


class Begun(msgspec.Struct, frozen=True):
    """The values of two cookies: the browser session, and the mark of a known device."""

    session: str
    device: str


class HostedSignIn:
    def __init__(
        self,
        sign_in: SignIn,
        passkey_sign_in: PasskeySignIn,
        second_factors: SecondFactors,
        browser_sessions: BrowserSessions,
        keys: KeyRoom,
        clock: Clock,
    ) -> None:
        self._sign_in = sign_in
        self._passkey_sign_in = passkey_sign_in
        self._second_factors = second_factors
        self._browser_sessions = browser_sessions
        self._keys = keys
        self._clock = clock

    async def first(self, slug: str, email: str, password: str, source: Source) -> Begun | Challenge:
        """Raises what `SignIn.first_factor` does, and `Forbidden` `second_factor_missing`."""

        async def attempt() -> Begun | Challenge:
            proven = await self._sign_in.first_factor(slug, email, password, source)
            asked = await self._second_factors.required(proven, source)
            return asked if isinstance(asked, Challenge) else await self._begun(asked, source)

        return await until_not_stale(attempt)

    async def by_passkey(self, slug: str, given: Assertion, source: Source) -> Begun:
        """Raises what `PasskeySignIn.proven` does, and `Forbidden` `second_factor_missing`."""

        async def begun(proven: FirstFactor) -> Begun:
            return await self._begun(proven, source)

        return await self._passkey_sign_in.proven(slug, given, source, begun)

    async def second(self, challenge: str, code: str, source: Source) -> Begun:
        """`code`: a one-time password or a recovery code. Raises what `SecondFactors.answer` does."""
        typed = "".join(code.split())
        is_totp = len(typed) == _TOTP_DIGITS and typed.isascii() and typed.isdigit()
        answer = Answer(totp=typed) if is_totp else Answer(recovery_code=code.strip())
        return await self._answered(challenge, answer, source)

    async def second_by_passkey(self, challenge: str, given: Assertion, source: Source) -> Begun:
        """Raises what `SecondFactors.answer` does."""
        return await self._answered(challenge, Answer(passkey=given), source)

    async def _answered(self, challenge: str, answer: Answer, source: Source) -> Begun:
        async def attempt() -> Begun:
            proven = await self._second_factors.answer(challenge, answer, source)
            return await self._begun(proven, source)

        return await until_not_stale(attempt)

    async def _begun(self, proven: FirstFactor, source: Source) -> Begun:
        """Raises `Stale` if what the proof rests on has changed since it was read."""
        if proven.scopes is not None:
            await self._second_factors.half_way(proven, source)
            detail = "Your organisation asks for a second factor. Set one up in your account first."
            raise Forbidden("second_factor_missing", detail)
        session = await self._browser_sessions.begin(
            proven.owner, proven.user, proven.proof, source, proven.writes
        )
        device = KnownDevice(
            proven.owner.value.id,
            proven.user.value.id,
            proven.device or new_id("dev"),
            self._clock(),
            proven.login.key.id,
        )
        return Begun(session, (await self._keys.current()).devices.text(device))
