"""Signing in with a passkey alone, which also says whose it is."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from functions.auth import records, standing
from functions.auth.domain import challenge as challenges
from functions.auth.domain import login as logins
from functions.auth.domain import passkeys, people, security_policy
from functions.auth.domain.factors import Factors
from functions.auth.domain.passkeys import Credential
from functions.auth.domain.people import Login, User
from functions.auth.factors import factor_documents
from functions.auth.factors.factor_documents import Kept
from functions.auth.factors.factor_log import FactorLog
from functions.auth.factors.factor_proofs import FactorProofs, Refused
from functions.auth.factors.passkey_ceremonies import Assertion, PasskeyCeremonies
from functions.auth.factors.passkey_challenges import Asked, PasskeyChallenges
from functions.auth.guessing.buckets import Buckets, Rate
from functions.auth.guessing.source import Source
from functions.auth.keyring.keys import KeyRoom
from functions.auth.records import NOBODY, Found
from functions.auth.sessions.session_start import Proof
from functions.auth.sign_in import first_factor
from functions.auth.sign_in.first_factor import FirstFactor
from functions.auth.sign_in.second_factors import limited
from functions.auth.sign_in.sign_in import SignedIn, SignIn
from shared import tenant
from shared.audit import Actor
from shared.errors import Unauthenticated
from shared.ids import Clock, is_id
from shared.store import Store, Write, until_not_stale
from shared.tenant import Tenant

T = TypeVar("T")

_COPIES_TOLD = Rate(burst=10, seconds=60, keys=10_000)


class _Account(msgspec.Struct, frozen=True):
    """The documents about the owner of a passkey."""

    owner: Found[Tenant]
    login: Found[Login]
    user: Found[User]
    factors: Kept[Factors]
    must_enrol: bool


class PasskeySignIn:
    def __init__(
        self,
        store: Store,
        keys: KeyRoom,
        challenges: PasskeyChallenges,
        proofs: FactorProofs,
        ceremonies: PasskeyCeremonies,
        log: FactorLog,
        sign_in: SignIn,
        clock: Clock,
    ) -> None:
        self._store = store
        self._keys = keys
        self._challenges = challenges
        self._proofs = proofs
        self._ceremonies = ceremonies
        self._log = log
        self._sign_in = sign_in
        self._clock = clock
        self.tried = first_factor.counts()
        self._told = Buckets(_COPIES_TOLD, clock)

    async def options(self, slug: str) -> msgspec.Raw:
        """Options for `navigator.credentials.get()`, of the same form for known and unknown slugs."""
        return self._ceremonies.request_options(await self._challenges.new(_slug(slug), "sign_in"), ())

    async def login(self, slug: str, given: Assertion, source: Source, *, remember: bool = False) -> SignedIn:
        """Raises what `proven` does."""

        async def begun(first: FirstFactor) -> SignedIn:
            return await self._sign_in.begin(first, source, remember=remember)

        return await self.proven(slug, given, source, begun)

    async def proven(
        self, slug: str, given: Assertion, source: Source, begun: Callable[[FirstFactor], Awaitable[T]]
    ) -> T:
        """Verifies a passkey and returns what `begun` makes of the proof; both are repeated on `Stale`.

        Raises `Unauthenticated` `invalid_credentials` unless it is a passkey of an active user of the tenant
        that signs a challenge of the last five minutes for the first time; with the right passkey only,
        `Forbidden` `tenant_suspended` or `tenant_not_active`.
        """
        tenant_id = await records.tenant_of_slug(self._store, slug)
        asked = await self._challenges.answered(given, _slug(slug), "sign_in")

        async def attempt() -> T:
            if asked is None:
                raise _invalid_credentials()
            return await begun(await self._first_factor(tenant_id, asked, given, source))

        with self.tried.result("passkey"):
            return await until_not_stale(attempt)

    async def _first_factor(
        self, tenant_id: str, asked: Asked, given: Assertion, source: Source
    ) -> FirstFactor:
        store, at = self._store, self._clock()
        document_id = passkeys.credential_document_id(given.id)
        used = factor_documents.challenge_key(store, tenant_id, asked.id)
        credential_doc, used_doc = await store.read(
            factor_documents.credential_key(store, tenant_id, document_id), used
        )
        credential = records.found(credential_doc, Credential)
        if credential is None or used_doc is not None:
            raise _invalid_credentials()
        account = await self._account(tenant_id, credential.value.user_id)
        judged = await self._proofs.passkey(account.factors.value, given, asked.text, at)
        answered = records.create(used, challenges.answered(None, at))
        if isinstance(judged, Refused):
            if judged.why == "passkey_copied":
                await self._tell(tenant_id, credential.value.user_id, judged, answered, source)
            raise _invalid_credentials()
        standing.require_active(account.owner.value)
        seen = (await self._keys.current()).devices.read(source.device, at)
        first = FirstFactor(
            account.owner,
            account.login,
            account.user,
            Proof(judged.amr, at),
            (account.login.check(), account.factors.write(judged.after), answered),
            logins.device_id(account.login.value, tenant_id, seen, at),
        )
        return limited(first, account.must_enrol)

    async def _account(self, tenant_id: str, user_id: str) -> _Account:
        """Raises `Unauthenticated` unless the user is active and can sign in."""
        store = self._store
        factors_key = factor_documents.factors_key(store, tenant_id, user_id)
        policy_key = factor_documents.policy_key(store, tenant_id)
        tenant_doc, user_doc, factors_doc, policy_doc = await store.read(
            tenant.key(store, tenant_id),
            records.user_key(store, tenant_id, user_id),
            factors_key,
            policy_key,
        )
        owner, user = records.found(tenant_doc, Tenant), records.found(user_doc, User)
        if owner is None or user is None or user.value.status != "active":
            raise _invalid_credentials()
        login_key = records.login_key(store, tenant_id, people.login_id(user.value.email))
        login = await records.read(store, login_key, Login)
        if login is None:
            raise _invalid_credentials()
        factors = factor_documents.factors(factors_key, factors_doc)
        policy = factor_documents.policy(policy_key, policy_doc)
        return _Account(owner, login, user, factors, security_policy.must_enrol(policy.value, factors.value))

    async def _tell(
        self, tenant_id: str, user_id: str, refused: Refused, answered: Write, source: Source
    ) -> None:
        """Records a copied passkey: once for each challenge, and with a limit per user, since whoever has a
        copy can sign any number of challenges. Raises `Stale` if the same answer comes twice at once.
        """
        if self._told.take(f"{tenant_id}/{user_id}"):
            return
        actor = Actor("anonymous", source.ip, tenant_id, source.request_id, source.ip)
        told = self._log.refused(tenant_id, user_id, refused, actor, self._clock())
        await records.commit(self._store, *told, answered)


def _slug(slug: str) -> str:
    """What a challenge says of it: the slug itself, or `NOBODY` for what can be none."""
    return slug if is_id(slug) else NOBODY


def _invalid_credentials() -> Unauthenticated:
    return Unauthenticated("invalid_credentials", "This passkey does not sign anybody in here. Try again.")
