"""A user's own one-time passwords: enrolment begins with a secret and is confirmed by its first code."""

import os

import msgspec

from functions.auth import records
from functions.auth.domain import factors as factor_rules
from functions.auth.domain import totp
from functions.auth.domain.factors import Factors, Totp
from functions.auth.factors import own_account
from functions.auth.factors.factor_cipher import FactorCipher
from functions.auth.factors.factor_log import FactorLog
from functions.auth.factors.own_account import OwnAccount
from functions.auth.keyring.keys import KeyRoom
from shared import audit
from shared.audit import Actor
from shared.errors import Conflict, NotFound, invalid
from shared.identity import Principal
from shared.ids import Clock
from shared.store import Store, until_not_stale

_UNUSED = -1


class Begun(msgspec.Struct, frozen=True):
    """`secret` is base 32, to be typed; `uri` is the content of a QR code. Neither is shown again."""

    secret: str
    uri: str


class TotpEnrolment:
    def __init__(self, store: Store, keys: KeyRoom, log: FactorLog, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._log = log
        self._clock = clock

    async def begin(self, principal: Principal, actor: Actor) -> Begun:
        """Begins enrolment with a new secret, in place of one that was not confirmed.

        Raises `Conflict` `totp_enrolled`, `method_not_allowed`; `Forbidden` `step_up_required`; and what
        `own_account.read` raises.
        """
        secret = os.urandom(totp.SECRET_BYTES)

        async def attempt() -> OwnAccount:
            account, at = await own_account.read(self._store, principal), self._clock()
            account.require_recent(at)
            account.require_allowed("totp")
            if account.factors.value.totp is not None:
                raise Conflict("totp_enrolled", "You have an authenticator already. Remove it first.")
            cipher = await self._cipher(principal)
            pending = Totp(cipher.encrypted(secret), at, _UNUSED)
            after = msgspec.structs.replace(account.factors.value, pending_totp=pending)
            begun = audit.record(
                self._store,
                principal.tenant_id,
                actor=actor,
                action="totp.begin",
                target=principal.subject,
                at=at,
            )
            await records.commit(self._store, begun, account.factors.write(after), *account.checks())
            return account

        account = await until_not_stale(attempt)
        label = account.owner.value.name.replace(":", " ")
        return Begun(totp.secret_text(secret), totp.uri(secret, label, account.user.value.email))

    async def confirm(self, principal: Principal, actor: Actor, code: str) -> Factors:
        """Completes enrolment. Raises `Invalid` for a wrong code; `Conflict` `totp_not_begun`; and what
        `begin` raises.
        """

        async def attempt() -> Factors:
            account, at = await own_account.read(self._store, principal), self._clock()
            account.require_recent(at)
            account.require_allowed("totp")
            pending = account.factors.value.pending_totp
            if pending is None or at >= pending.created_at + factor_rules.PENDING_LIFETIME:
                raise Conflict("totp_not_begun", "Begin with POST /v1/me/factors/totp; then confirm in time.")
            secret = (await self._cipher(principal)).decrypted(pending.secret)
            step = None if secret is None else totp.matched(secret, code, at, pending.used_step)
            if step is None:
                detail = "This is not the code that the authenticator should show now. Check its clock."
                raise invalid("/code", "wrong_code", detail)
            enrolled = Totp(pending.secret, at, step)
            after = msgspec.structs.replace(account.factors.value, totp=enrolled, pending_totp=None)
            told = self._log.writes(
                principal.tenant_id,
                principal.subject,
                "factor.add",
                "user.factor_added",
                actor,
                at,
                method="totp",
            )
            await records.commit(self._store, *told, *account.enrolled(after, ("otp",), at))
            return after

        return await until_not_stale(attempt)

    async def remove(self, principal: Principal, actor: Actor) -> None:
        """Raises `NotFound` `totp_not_found`; `Conflict` `last_factor`; `Forbidden` `step_up_required`."""

        async def attempt() -> None:
            account, at = await own_account.read(self._store, principal), self._clock()
            account.require_recent(at)
            if account.factors.value.totp is None:
                raise NotFound("totp_not_found", "You have no authenticator, so there is nothing to remove.")
            after = factor_rules.without_totp(account.factors.value)
            account.require_another(after)
            told = self._log.writes(
                principal.tenant_id,
                principal.subject,
                "factor.remove",
                "user.factor_removed",
                actor,
                at,
                method="totp",
            )
            await self._store.commit(*told, account.factors.write(after), *account.checks())

        await until_not_stale(attempt)

    async def _cipher(self, principal: Principal) -> FactorCipher:
        keys = (await self._keys.current()).factors
        return FactorCipher(keys, principal.tenant_id, principal.subject)
