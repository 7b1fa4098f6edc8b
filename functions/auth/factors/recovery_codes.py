"""A user's own recovery codes: ten at once, shown once."""

import os

import msgspec

from functions.auth.domain import factors as factor_rules
from functions.auth.domain import recovery_codes
from functions.auth.domain.factors import Factors, RecoveryCodes
from functions.auth.domain.guessing import NONE
from functions.auth.factors import own_account
from functions.auth.factors.factor_cipher import FactorCipher
from functions.auth.factors.factor_log import FactorLog
from functions.auth.keyring.keys import KeyRoom
from shared.audit import Actor
from shared.errors import Conflict
from shared.identity import Principal
from shared.ids import Clock
from shared.store import Store, until_not_stale


class OwnRecoveryCodes:
    def __init__(self, store: Store, keys: KeyRoom, log: FactorLog, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._log = log
        self._clock = clock

    async def factors(self, principal: Principal) -> Factors:
        """All second factors of the caller. Raises what `own_account.read` raises."""
        return (await own_account.read(self._store, principal)).factors.value

    async def replace(self, principal: Principal, actor: Actor) -> tuple[str, ...]:
        """Makes new codes; the old ones stop working.

        Raises `Conflict` `no_second_factor`; `Forbidden` `step_up_required`; what `own_account.read` raises.
        """
        codes = tuple(
            recovery_codes.text(os.urandom(recovery_codes.BYTES)) for _ in range(recovery_codes.COUNT)
        )
        cipher = FactorCipher((await self._keys.current()).factors, principal.tenant_id, principal.subject)

        async def attempt() -> None:
            account, at = await own_account.read(self._store, principal), self._clock()
            account.require_recent(at)
            if not factor_rules.enrolled(account.factors.value):
                detail = "Recovery codes stand in for a second factor. Enrol one first."
                raise Conflict("no_second_factor", detail)
            version = cipher.key_version
            digests = tuple(cipher.digest(code.replace("-", ""), version) for code in codes)
            after = msgspec.structs.replace(
                account.factors.value,
                recovery_codes=RecoveryCodes(digests, version, at),
                recovery_code_failures=NONE,
            )
            told = self._log.writes(
                principal.tenant_id,
                principal.subject,
                "recovery_codes.replace",
                "user.recovery_codes_replaced",
                actor,
                at,
            )
            await self._store.commit(*told, account.factors.write(after), *account.checks())

        await until_not_stale(attempt)
        return codes
