"""People sign in with tenant, e-mail and password, and with a second factor where they have one."""

from time import monotonic

import msgspec

from functions.auth import records, standing
from functions.auth.domain import client_id, guessing, password, people
from functions.auth.domain import email as email_rules
from functions.auth.domain import login as logins
from functions.auth.domain.known_device import KnownDevice
from functions.auth.domain.people import Login, User
from functions.auth.factors.factor_proofs import Answer
from functions.auth.guessing.failed_sign_ins import FailedSignIns, Failure
from functions.auth.guessing.source import Source
from functions.auth.guessing.throttle import Throttle
from functions.auth.keyring.keys import KeyRoom
from functions.auth.oauth.sessions import Sessions
from functions.auth.oauth.tokens import Tokens
from functions.auth.records import NOBODY, Found
from functions.auth.sessions import session_start
from functions.auth.sessions.session_rate import SessionRate
from functions.auth.sessions.session_start import Proof
from functions.auth.sign_in import first_factor
from functions.auth.sign_in.first_factor import FirstFactor
from functions.auth.sign_in.passwords import Passwords
from functions.auth.sign_in.second_factors import Challenge, SecondFactors
from shared import tenant
from shared.errors import Unauthenticated
from shared.ids import Clock, new_id
from shared.store import Store, Write, until_not_stale
from shared.tenant import Tenant


class SignedIn(msgspec.Struct, frozen=True):
    """`device_token` where it was asked for."""

    tokens: Tokens
    device_token: str | None = None


class _Account(msgspec.Struct, frozen=True):
    """What a sign-in has found; None for what does not exist."""

    tenant: Found[Tenant] | None
    login: Found[Login] | None
    user: Found[User] | None


class SignIn:
    """An unknown tenant or e-mail, a wrong password, a disabled user and a try that came too early all look
    the same, take the same time, and cost the same reads.
    """

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        sessions: Sessions,
        keys: KeyRoom,
        failed: FailedSignIns,
        throttle: Throttle,
        second_factors: SecondFactors,
        rate: SessionRate,
        clock: Clock,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._sessions = sessions
        self._keys = keys
        self._failed = failed
        self._throttle = throttle
        self._second_factors = second_factors
        self._clock = clock
        self.tried = first_factor.counts()
        self._rate = rate
        self._proofs = SessionRate(clock)
        """Of right passwords, whatever becomes of them: each has taken a hash, and some take a record."""

    async def login(
        self, slug: str, email: str, secret: str, source: Source, *, remember: bool = False
    ) -> SignedIn | Challenge:
        """Signs in, or returns a challenge for the second factor. With `remember`, the answer has a token
        that makes the device known. Raises what `first_factor` does.
        """

        async def attempt() -> SignedIn | Challenge:
            first = await self.first_factor(slug, email, secret, source)
            required = await self._second_factors.required(first, source)
            if isinstance(required, Challenge):
                return required
            return await self.begin(required, source, remember=remember)

        return await until_not_stale(attempt)

    async def finish(
        self, challenge: str, answer: Answer, source: Source, *, remember: bool = False
    ) -> SignedIn:
        """Signs in with the answer to a challenge of `login`. Raises what `SecondFactors.answer` does."""

        async def attempt() -> SignedIn:
            first = await self._second_factors.answer(challenge, answer, source)
            return await self.begin(first, source, remember=remember)

        return await until_not_stale(attempt)

    async def first_factor(self, slug: str, email: str, secret: str, source: Source) -> FirstFactor:
        """Raises `Unauthenticated` `invalid_credentials`; `Forbidden` `tenant_suspended` or
        `tenant_not_active` with the right password only, as `TooManyRequests` `too_many_sessions`;
        `TooManyRequests` `too_many_tries`; `Invalid`; `Unavailable` when too many wait.
        """
        address = email_rules.canonical(email)
        secret = password.normal(secret)
        seen = (await self._keys.current()).devices.read(source.device, self._clock())
        if seen is not None and seen.login_id != people.login_id(address):
            seen = None  # somebody's own device makes nobody of him who is known elsewhere
        with self.tried.result("password"):
            async with self._throttle.trying(slug, source, seen):
                return await self._proved(slug, address, secret, source, seen)

    async def _proved(
        self, slug: str, address: str, secret: str, source: Source, seen: KnownDevice | None
    ) -> FirstFactor:
        began = monotonic()
        account = await self._account(slug, address)
        known = account.login.value.password_hash if account.login else None
        matches = await self._passwords.verify(known, secret)
        first = await self._judged(account, seen, secret if matches else None)
        if not isinstance(first, FirstFactor):
            await self._failed.refused(began, first, source)
            raise Unauthenticated(
                "invalid_credentials", "Tenant, e-mail and password do not belong together. Check all three."
            )
        self._proofs.count(first.owner.value.id, first.user.value.id)
        if first.owner.value.status != "active":
            # Of many guesses at once, those after the first ten came too early, and must be told nothing.
            await self._second_factors.half_way(first, source)
        standing.require_active(first.owner.value)
        return first

    async def begin(self, first: FirstFactor, source: Source, *, remember: bool) -> SignedIn:
        """Begins the session and returns its tokens. Raises `Stale` if tenant, login or user have changed
        since the proof, which then has to be repeated; and `TooManyRequests`.
        """
        at, owner, user = self._clock(), first.owner, first.user
        self._rate.count(owner.value.id, user.value.id)
        started = session_start.start(
            self._store,
            owner,
            user,
            first.proof,
            client_id=client_id.APP,
            at=at,
            request_id=source.request_id,
            scopes=first.scopes,
            user_agent=source.user_agent,
            ip=source.ip,
        )
        await records.commit(self._store, *started.writes, *first.writes)
        tokens = await self._sessions.tokens(owner.value, started.session, started.session.scopes)
        if not remember:
            return SignedIn(tokens)
        known_as = first.device or new_id("dev")
        device = KnownDevice(owner.value.id, user.value.id, known_as, at, first.login.key.id)
        return SignedIn(tokens, (await self._keys.current()).devices.text(device))

    async def _account(self, slug: str, address: str) -> _Account:
        tenant_id = await records.tenant_of_slug(self._store, slug)
        tenant_doc, login_doc = await self._store.read(
            tenant.key(self._store, tenant_id),
            records.login_key(self._store, tenant_id, people.login_id(address)),
        )
        login = records.found(login_doc, Login)
        user_id = login.value.user_id if login else NOBODY
        user = await records.read(self._store, records.user_key(self._store, tenant_id, user_id), User)
        return _Account(records.found(tenant_doc, Tenant), login, user)

    async def _judged(
        self, account: _Account, seen: KnownDevice | None, secret: str | None
    ) -> FirstFactor | Failure | None:
        """`secret` is the password if it was right, else None. Returns None for a try that is refused
        whatever the password is, and a `Failure` for one that counts.
        """
        owner, login, user, at = account.tenant, account.login, account.user, self._clock()
        if owner is None or login is None or user is None or user.value.status != "active":
            return None
        device = logins.device_id(login.value, owner.value.id, seen, at)
        if not guessing.may_try(logins.failures(login.value, device), at):
            return None
        if secret is None:
            return Failure(owner.value.id, login, device)
        write = await self._login_write(login, device, secret)
        return FirstFactor(owner, login, user, Proof(("pwd",), at), (write,), device)

    async def _login_write(self, login: Found[Login], device: str | None, secret: str) -> Write:
        after = logins.succeeded(login.value, device, self._clock())
        if self._passwords.is_outdated(after.password_hash):
            after = msgspec.structs.replace(after, password_hash=await self._passwords.hash(secret))
        return login.check() if after is login.value else login.replace(after)
