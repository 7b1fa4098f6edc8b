"""The second factor of a sign-in: whether one is required, and whether an answer proves it."""

import os
from datetime import datetime

import msgspec

from functions.auth import records, standing
from functions.auth.domain import challenge as challenges
from functions.auth.domain import factors as factor_rules
from functions.auth.domain import login as logins
from functions.auth.domain import security_policy
from functions.auth.domain.assurance import joined
from functions.auth.domain.challenge import Challenges, SecondFactorChallenge
from functions.auth.domain.factors import Factors, Method
from functions.auth.domain.people import Login, User
from functions.auth.factors import factor_documents
from functions.auth.factors.factor_documents import Kept
from functions.auth.factors.factor_log import FactorLog
from functions.auth.factors.factor_proofs import Answer, FactorProofs, Proven, Refused
from functions.auth.factors.passkey_ceremonies import PasskeyCeremonies
from functions.auth.guessing.source import Source
from functions.auth.keyring.keys import KeyRoom
from functions.auth.records import Found
from functions.auth.sessions.session_start import Proof
from functions.auth.sign_in import first_factor
from functions.auth.sign_in.first_factor import FirstFactor
from shared import audit, tenant
from shared.audit import Actor
from shared.errors import Unauthenticated
from shared.ids import Clock
from shared.store import Doc, Key, Store, Write, until_not_stale
from shared.tenant import Tenant

_ID_BYTES = 16


class Challenge(msgspec.Struct, frozen=True, omit_defaults=True):
    """To be answered once, within `expires_in` seconds, by one of `methods`. `passkey` holds options for
    `navigator.credentials.get()` if the user has passkeys.
    """

    challenge: str
    methods: tuple[Method, ...]
    expires_in: int
    passkey: msgspec.Raw | None = None


class _Account(msgspec.Struct, frozen=True):
    """All documents about the person of a challenge, from one read."""

    owner: Found[Tenant]
    login: Found[Login]
    user: Found[User]
    factors: Kept[Factors]
    must_enrol: bool
    answers_key: Key
    answers_doc: Doc | None


class SecondFactors:
    def __init__(
        self,
        store: Store,
        keys: KeyRoom,
        proofs: FactorProofs,
        ceremonies: PasskeyCeremonies,
        log: FactorLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._keys = keys
        self._proofs = proofs
        self._ceremonies = ceremonies
        self._log = log
        self._clock = clock
        self.tried = first_factor.counts()

    async def required(self, first: FirstFactor, source: Source) -> Challenge | FirstFactor:
        """A challenge for a person who has a second factor; for anybody else the first factor, to begin with.

        A challenge is preceded by an audit record of the correct first factor. A person without a second
        factor whose tenant requires one, or whose password is too short to stand alone, gets a session that
        can only enrol one (`scopes`). Raises `Stale`.
        """
        owner, user = first.owner.value, first.user.value
        factors, must_enrol = await self._standing(owner.id, user.id)
        methods = factor_rules.usable(factors.value)
        if not methods:
            checked = msgspec.structs.replace(first, writes=(*first.writes, *factors.check()))
            return limited(checked, must_enrol or first.login.value.is_short)
        at = self._clock()
        asked = SecondFactorChallenge(
            id=f"chl_{os.urandom(_ID_BYTES).hex()}",
            tenant_id=owner.id,
            user_id=user.id,
            login_id=first.login.key.id,
            password=challenges.password_mark(first.login.value.password_set_at),
            amr=first.proof.amr,
            issued_at=at,
        )
        text = Challenges((await self._keys.current()).factors).second_factor_text(asked)
        await self.half_way(first, source)
        return self._shown(text, asked, factors.value, at)

    async def asked_again(self, text: str) -> Challenge:
        """The same challenge after a wrong answer. Raises what `answer` does once it takes no more."""
        at = self._clock()
        asked = Challenges((await self._keys.current()).factors).second_factor(text, at)
        if asked is None:
            raise _refusal()
        return self._shown(text, asked, (await self._account(asked)).factors.value, at)

    async def answer(self, text: str, answer: Answer, source: Source) -> FirstFactor:
        """The proof by both factors. Its `writes` use up the challenge and the answer.

        Raises `Unauthenticated` `second_factor_refused`, alike for a wrong, early or used answer and for a
        challenge that is over, answered or forged; `Forbidden` `tenant_suspended`.
        """
        asked = Challenges((await self._keys.current()).factors).second_factor(text, self._clock())
        with self.tried.result("second_factor"):
            if asked is None:
                raise _refusal()
            return await until_not_stale(lambda: self._attempt(asked, text, answer, source))

    async def _attempt(
        self, asked: SecondFactorChallenge, text: str, answer: Answer, source: Source
    ) -> FirstFactor:
        account, at = await self._account(asked), self._clock()
        judged = await self._proofs.judge(asked.tenant_id, account.factors.value, answer, text, at)
        if isinstance(judged, Refused):
            await self._count(asked, account, judged, source, at)
            raise _refusal()
        actor = Actor("user", asked.user_id, asked.tenant_id, source.request_id, source.ip)
        seen = (await self._keys.current()).devices.read(source.device, at)
        both = FirstFactor(
            account.owner,
            account.login,
            account.user,
            Proof(joined(asked.amr, judged.amr), at),
            (
                account.login.check(),
                account.factors.write(judged.after),
                self._answered(account, at),
                *self._told(asked, judged, actor, at),
            ),
            logins.device_id(account.login.value, asked.tenant_id, seen, at),
        )
        return limited(both, account.must_enrol)

    async def _account(self, asked: SecondFactorChallenge) -> _Account:
        """Raises the refusal if the account has changed since the challenge was made, or it is used up."""
        tenant_id, store = asked.tenant_id, self._store
        factors_key = factor_documents.factors_key(store, tenant_id, asked.user_id)
        answers_key = factor_documents.challenge_key(store, tenant_id, asked.id)
        policy_key = factor_documents.policy_key(store, tenant_id)
        tenant_doc, login_doc, user_doc, factors_doc, policy_doc, answers_doc = await store.read(
            tenant.key(store, tenant_id),
            records.login_key(store, tenant_id, asked.login_id),
            records.user_key(store, tenant_id, asked.user_id),
            factors_key,
            policy_key,
            answers_key,
        )
        owner, login = records.found(tenant_doc, Tenant), records.found(login_doc, Login)
        user = records.found(user_doc, User)
        if owner is None or login is None or user is None or user.value.status != "active":
            raise _refusal()
        same = (asked.user_id, asked.password)
        if (login.value.user_id, challenges.password_mark(login.value.password_set_at)) != same:
            raise _refusal()
        if not challenges.is_open(factor_documents.answers(answers_doc)):
            raise _refusal()
        standing.require_active(owner.value)
        factors = factor_documents.factors(factors_key, factors_doc)
        policy = factor_documents.policy(policy_key, policy_doc)
        must_enrol = security_policy.must_enrol(policy.value, factors.value)
        return _Account(owner, login, user, factors, must_enrol, answers_key, answers_doc)

    def _shown(self, text: str, asked: SecondFactorChallenge, known: Factors, at: datetime) -> Challenge:
        left = asked.issued_at + challenges.LIFETIME - at
        options = self._ceremonies.request_options(text, known.passkeys) if known.passkeys else None
        return Challenge(text, factor_rules.usable(known), int(left.total_seconds()), options)

    async def half_way(self, first: FirstFactor, source: Source) -> None:
        """Records a proof that is not enough, and uses it up, before anybody is told. Raises `Stale`."""
        tenant_id = first.owner.value.id
        recorded = audit.record(
            self._store,
            tenant_id,
            actor=Actor("anonymous", source.ip, tenant_id, source.request_id, source.ip),
            action="sign_in.first_factor",
            target=first.user.value.id,
            at=first.proof.at,
            detail={"amr": " ".join(first.proof.amr)},
        )
        await records.commit(self._store, recorded, *first.writes)

    async def _standing(self, tenant_id: str, user_id: str) -> tuple[Kept[Factors], bool]:
        factors_key = factor_documents.factors_key(self._store, tenant_id, user_id)
        policy_key = factor_documents.policy_key(self._store, tenant_id)
        factors_doc, policy_doc = await self._store.read(factors_key, policy_key)
        factors = factor_documents.factors(factors_key, factors_doc)
        policy = factor_documents.policy(policy_key, policy_doc)
        return factors, security_policy.must_enrol(policy.value, factors.value)

    async def _count(
        self, asked: SecondFactorChallenge, account: _Account, refused: Refused, source: Source, at: datetime
    ) -> None:
        """Nothing is written for a try that came too early."""
        if refused.why == "too_early":
            return
        answers = challenges.wrong(factor_documents.answers(account.answers_doc), at)
        writes = [factor_documents.answers_write(account.answers_key, account.answers_doc, answers)]
        if refused.after is not None:
            writes.append(account.factors.write(refused.after))
        actor = Actor("anonymous", source.ip, asked.tenant_id, source.request_id, source.ip)
        told = self._log.refused(asked.tenant_id, asked.user_id, refused, actor, at)
        await records.commit(self._store, *writes, *told)

    def _answered(self, account: _Account, at: datetime) -> Write:
        answers = challenges.answered(factor_documents.answers(account.answers_doc), at)
        return factor_documents.answers_write(account.answers_key, account.answers_doc, answers)

    def _told(
        self, asked: SecondFactorChallenge, proven: Proven, actor: Actor, at: datetime
    ) -> tuple[Write, ...]:
        codes = proven.after.recovery_codes
        if proven.method != "recovery_code" or codes is None:
            return ()
        event, left = "user.recovery_code_used", str(len(codes.digests))
        return self._log.writes(
            asked.tenant_id, asked.user_id, "recovery_code.use", event, actor, at, left=left
        )


def limited(first: FirstFactor, must_enrol: bool) -> FirstFactor:
    """The proof, limited to enrolling a second factor if the person `must_enrol` one."""
    if not must_enrol:
        return first
    return msgspec.structs.replace(first, scopes=(security_policy.ENROL_SCOPE,))


def _refusal() -> Unauthenticated:
    detail = (
        "This answer was not accepted. Give the next code or another factor; after several failures wait,"
        " or sign in again."
    )
    return Unauthenticated("second_factor_refused", detail)
