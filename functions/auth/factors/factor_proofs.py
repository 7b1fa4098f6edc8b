"""Whether an answer proves a second factor, and how that changes the user's factors."""

import hmac
from datetime import datetime
from typing import Literal

import msgspec

from functions.auth.domain import factors as factor_rules
from functions.auth.domain import guessing, passkeys, recovery_codes, totp
from functions.auth.domain.factors import Factors, Method
from functions.auth.factors.factor_cipher import FactorCipher
from functions.auth.factors.passkey_ceremonies import Assertion, PasskeyCeremonies
from functions.auth.keyring.keys import KeyRoom

Refusal = Literal["wrong", "too_early", "passkey_copied"]


class Answer(msgspec.Struct, frozen=True):
    """Exactly one of the three is given."""

    totp: str | None = None
    recovery_code: str | None = None
    passkey: Assertion | None = None


class Proven(msgspec.Struct, frozen=True):
    """A correct answer. `amr` is of this factor alone. Write `after` in the commit that uses the proof."""

    method: Method
    amr: tuple[str, ...]
    after: Factors


class Refused(msgspec.Struct, frozen=True):
    """A refused answer. `after` are the factors with the failure counted; None if nothing changes."""

    method: Method
    why: Refusal
    after: Factors | None


class FactorProofs:
    def __init__(self, keys: KeyRoom, ceremonies: PasskeyCeremonies) -> None:
        self._keys = keys
        self._ceremonies = ceremonies

    async def judge(
        self, tenant_id: str, factors: Factors, answer: Answer, challenge: str, at: datetime
    ) -> Proven | Refused:
        """Judges an answer. `challenge` is the text that a passkey must sign. Raises `Unavailable`."""
        cipher = FactorCipher((await self._keys.current()).factors, tenant_id, factors.user_id)
        if answer.totp is not None:
            return _totp(factors, cipher, answer.totp, at)
        if answer.recovery_code is not None:
            return _recovery_code(factors, cipher, answer.recovery_code, at)
        if answer.passkey is None:
            raise ValueError("an answer holds one factor")
        return await self.passkey(factors, answer.passkey, challenge, at)

    async def passkey(
        self, factors: Factors, given: Assertion, challenge: str, at: datetime
    ) -> Proven | Refused:
        """Judges a passkey. Failures are not counted, since nobody can guess a signature."""
        known = factor_rules.credential(factors, given.id)
        signed = await self._ceremonies.asserted(given, challenge, known) if known is not None else None
        if known is None or signed is None:
            return Refused("passkey", "wrong", None)
        if passkeys.is_copy(known, signed.sign_count):
            return Refused("passkey", "passkey_copied", None)
        used = msgspec.structs.replace(known, sign_count=signed.sign_count, used_at=at)
        after = factor_rules.with_passkey(factors, used)
        return Proven("passkey", passkeys.amr(known, signed.user_verified), after)


def _totp(factors: Factors, cipher: FactorCipher, code: str, at: datetime) -> Proven | Refused:
    known = factors.totp
    if known is None:
        return Refused("totp", "wrong", None)
    if not guessing.may_try(factors.totp_failures, at):
        return Refused("totp", "too_early", None)
    secret = cipher.decrypted(known.secret)
    if secret is None:
        return Refused("totp", "wrong", None)
    step = totp.matched(secret, code, at, known.used_step)
    if step is None:
        failures = guessing.failed(factors.totp_failures, at)
        return Refused("totp", "wrong", msgspec.structs.replace(factors, totp_failures=failures))
    text = cipher.encrypted(secret) if cipher.is_outdated(known.secret) else known.secret
    used = msgspec.structs.replace(known, secret=text, used_step=step, used_at=at)
    after = msgspec.structs.replace(factors, totp=used, totp_failures=guessing.NONE)
    return Proven("totp", ("otp",), after)


def _recovery_code(factors: Factors, cipher: FactorCipher, given: str, at: datetime) -> Proven | Refused:
    known = factors.recovery_codes
    if known is None:
        return Refused("recovery_code", "wrong", None)
    if not guessing.may_try(factors.recovery_code_failures, at):
        return Refused("recovery_code", "too_early", None)
    code = recovery_codes.normal(given)
    digest = cipher.digest(code or "", known.key_version)
    left = tuple(kept for kept in known.digests if not hmac.compare_digest(kept, digest))
    if code is None or len(left) == len(known.digests):
        failures = guessing.failed(factors.recovery_code_failures, at)
        after = msgspec.structs.replace(factors, recovery_code_failures=failures)
        return Refused("recovery_code", "wrong", after)
    kept = msgspec.structs.replace(known, digests=left)
    after = msgspec.structs.replace(factors, recovery_codes=kept, recovery_code_failures=guessing.NONE)
    return Proven("recovery_code", ("otp",), after)
