"""People sign in with tenant, e-mail and password."""

from functions.auth import records, session_start, standing
from functions.auth.domain import client_id, password, people
from functions.auth.domain import email as email_rules
from functions.auth.domain.people import Login, User
from functions.auth.passwords import Passwords
from functions.auth.records import Found, Slug
from functions.auth.session_start import Proof
from functions.auth.sessions import Sessions
from functions.auth.tokens import Tokens
from shared import tenant
from shared.errors import Unauthenticated
from shared.ids import Clock, is_id
from shared.store import Replace, Store, Write, until_not_stale
from shared.tenant import Tenant

_NOBODY = "nobody"
"""Read in place of an unknown id, so that every sign-in asks the store the same number of times."""


class _Account:
    """What a sign-in found: all three, or less."""

    def __init__(
        self, tenant: Found[Tenant] | None, login: Found[Login] | None, user: Found[User] | None
    ) -> None:
        self.tenant = tenant
        self.login = login
        self.user = user


class SignIn:
    """Unknown tenant, unknown e-mail, wrong password and disabled user cost and look the same."""

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        sessions: Sessions,
        clock: Clock,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._sessions = sessions
        self._clock = clock

    async def login(self, slug: str, email: str, secret: str, request_id: str) -> Tokens:
        """Raises `Unauthenticated` `invalid_credentials`; `Forbidden` `tenant_suspended` or
        `tenant_not_active` with the right password only; `Invalid`; `Unavailable` when too many wait.
        """
        address = email_rules.canonical(email)
        secret = password.normal(secret)
        return await until_not_stale(lambda: self._attempt(slug, address, secret, request_id))

    async def _attempt(self, slug: str, address: str, secret: str, request_id: str) -> Tokens:
        account = await self._account(slug, address)
        known = account.login.value.password_hash if account.login else None
        matches = await self._passwords.verify(known, secret)
        if not (matches and account.tenant and account.login and account.user):
            raise _invalid_credentials()
        if account.user.value.status != "active":
            raise _invalid_credentials()
        standing.require_active(account.tenant.value)
        return await self._begin(account.tenant, account.login, account.user, secret, request_id)

    async def _account(self, slug: str, address: str) -> _Account:
        known_slug = slug if is_id(slug) else _NOBODY
        slug_doc = (await self._store.read(records.slug_key(self._store, known_slug)))[0]
        found_slug = records.found(slug_doc, Slug)
        tenant_id = found_slug.value.tenant_id if found_slug else _NOBODY
        tenant_doc, login_doc = await self._store.read(
            tenant.key(self._store, tenant_id),
            records.login_key(self._store, tenant_id, people.login_id(address)),
        )
        login = records.found(login_doc, Login)
        user_id = login.value.user_id if login else _NOBODY
        user_doc = (await self._store.read(records.user_key(self._store, tenant_id, user_id)))[0]
        return _Account(records.found(tenant_doc, Tenant), login, records.found(user_doc, User))

    async def _begin(
        self, tenant: Found[Tenant], login: Found[Login], user: Found[User], secret: str, request_id: str
    ) -> Tokens:
        """The session stands only if tenant, login and user are what they were when they were looked at."""
        at = self._clock()
        proof = Proof(("pwd",), at)
        started = session_start.start(
            self._store, tenant, user, proof, client_id=client_id.APP, at=at, request_id=request_id
        )
        await self._store.commit(*started.writes, await self._login_write(login, secret))
        return await self._sessions.tokens(tenant.value, started.session, started.session.scopes)

    async def _login_write(self, login: Found[Login], secret: str) -> Write:
        if not self._passwords.is_outdated(login.value.password_hash):
            return login.check()
        renewed: Replace = login.replace(Login(login.value.user_id, await self._passwords.hash(secret)))
        return renewed


def _invalid_credentials() -> Unauthenticated:
    return Unauthenticated("invalid_credentials", "Tenant, e-mail and password do not belong together.")
