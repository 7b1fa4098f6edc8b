"""Step-up: a signed-in person proves again who they are, and the session records it."""

from datetime import datetime
from typing import Literal

import msgspec

from functions.auth import records
from functions.auth.domain import challenge as challenges
from functions.auth.domain import factors as factor_rules
from functions.auth.domain import session as session_rules
from functions.auth.domain.assurance import acr_of
from functions.auth.factors import factor_documents, own_account
from functions.auth.factors.factor_log import FactorLog
from functions.auth.factors.factor_proofs import Answer, FactorProofs, Refused
from functions.auth.factors.own_account import OwnAccount
from functions.auth.factors.passkey_ceremonies import PasskeyCeremonies
from functions.auth.factors.passkey_challenges import PasskeyChallenges
from functions.auth.guessing.source import Source
from functions.auth.oauth.sessions import Sessions
from functions.auth.oauth.tokens import Tokens
from functions.auth.sign_in.sign_in import SignIn
from shared.audit import Actor
from shared.errors import Forbidden, Unauthenticated
from shared.identity import Principal
from shared.ids import Clock
from shared.store import Store, Write, until_not_stale


class Options(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the caller can step up. `passkey`: options for `navigator.credentials.get()`, for five minutes."""

    methods: tuple[Literal["password", "passkey", "totp"], ...]
    passkey: msgspec.Raw | None = None


class StepUp:
    """A person with a second factor must prove that one: a stolen token and password must not be enough."""

    def __init__(
        self,
        store: Store,
        challenges: PasskeyChallenges,
        proofs: FactorProofs,
        ceremonies: PasskeyCeremonies,
        log: FactorLog,
        sign_in: SignIn,
        sessions: Sessions,
        clock: Clock,
    ) -> None:
        self._store = store
        self._challenges = challenges
        self._proofs = proofs
        self._ceremonies = ceremonies
        self._log = log
        self._sign_in = sign_in
        self._sessions = sessions
        self._clock = clock

    async def options(self, principal: Principal) -> Options:
        """Raises what `own_account.read` raises."""
        account = await own_account.read(self._store, principal)
        methods = factor_rules.enrolled(account.factors.value)
        if not methods:
            return Options(("password",))
        known = account.factors.value.passkeys
        if not known:
            return Options(methods)
        text = await self._challenges.new(principal.tenant_id, "step_up", account.session.value.id)
        return Options(methods, self._ceremonies.request_options(text, known))

    async def by_password(self, principal: Principal, actor: Actor, password: str, source: Source) -> Tokens:
        """A fresh access token, without a refresh token: the caller has that.

        Raises `Forbidden` `step_up_refused`, `second_factor_needed`; and what `SignIn.first_factor` and
        `own_account.read` raise.
        """

        async def attempt() -> Tokens:
            account = await own_account.read(self._store, principal)
            if factor_rules.enrolled(account.factors.value):
                raise Forbidden("second_factor_needed", "You have a second factor: prove that instead.")
            owner, user = account.owner.value, account.user.value
            try:
                first = await self._sign_in.first_factor(owner.slug, user.email, password, source)
            except Unauthenticated:
                raise _refusal() from None
            return await self._renew(principal, actor, account, ("pwd",), self._clock(), first.writes)

        return await until_not_stale(attempt)

    async def by_factor(self, principal: Principal, actor: Actor, answer: Answer) -> Tokens:
        """The same with a one-time password or a passkey. Raises `Forbidden` `step_up_refused`, and what
        `own_account.read` raises.
        """
        return await until_not_stale(lambda: self._attempt(principal, actor, answer))

    async def _attempt(self, principal: Principal, actor: Actor, answer: Answer) -> Tokens:
        account, at = await own_account.read(self._store, principal), self._clock()
        text, used = await self._challenge(principal, answer, at)
        judged = await self._proofs.judge(principal.tenant_id, account.factors.value, answer, text, at)
        if isinstance(judged, Refused):
            await self._count(principal, actor, account, judged, used, at)
            raise _refusal()
        writes = (account.factors.write(judged.after), *used)
        return await self._renew(principal, actor, account, judged.amr, at, writes)

    async def _challenge(
        self, principal: Principal, answer: Answer, at: datetime
    ) -> tuple[str, tuple[Write, ...]]:
        """The challenge that a passkey answers, and the write that uses it up."""
        if answer.passkey is None:
            return "", ()
        tenant_id, session_id = principal.tenant_id, principal.session_id or ""
        asked = await self._challenges.answered(answer.passkey, tenant_id, "step_up", session_id)
        if asked is None:
            raise _refusal()
        used = factor_documents.challenge_key(self._store, tenant_id, asked.id)
        if (await self._store.read(used))[0] is not None:
            raise _refusal()
        return asked.text, (records.create(used, challenges.answered(None, at)),)

    async def _count(
        self,
        principal: Principal,
        actor: Actor,
        account: OwnAccount,
        refused: Refused,
        used: tuple[Write, ...],
        at: datetime,
    ) -> None:
        """Records a refusal that counts. Nothing is written for a try that came too early, nor for a wrong
        signature; a copied passkey is recorded once for each challenge, which `used` uses up.
        """
        told = self._log.refused(principal.tenant_id, principal.subject, refused, actor, at)
        if refused.after is not None:
            await self._store.commit(*told, account.factors.write(refused.after))
        elif refused.why == "passkey_copied":
            await records.commit(self._store, *told, *used)

    async def _renew(
        self,
        principal: Principal,
        actor: Actor,
        account: OwnAccount,
        amr: tuple[str, ...],
        at: datetime,
        writes: tuple[Write, ...],
    ) -> Tokens:
        before = account.session.value
        if not factor_rules.enrolled(account.factors.value):
            # What was proven with a factor that is gone is not proven again by a password.
            before = msgspec.structs.replace(before, amr=())
        proven = own_account.proven(before, amr, at)
        session = session_rules.of_user(proven, account.user.value.role)
        told = self._log.writes(
            principal.tenant_id,
            principal.subject,
            "session.step_up",
            "session.stepped_up",
            actor,
            at,
            session_id=session.id,
            acr=acr_of(session.amr),
            amr=" ".join(amr),
        )
        await records.commit(
            self._store,
            *told,
            *writes,
            account.session.replace(session),
            account.owner.check(),
            account.user.check(),
        )
        scopes = sorted(principal.scopes)
        return await self._sessions.tokens(account.owner.value, session, scopes, refreshable=False)


def _refusal() -> Forbidden:
    detail = (
        "This does not prove who you are. Give the next code or another factor; after several failures wait."
    )
    return Forbidden("step_up_refused", detail)
