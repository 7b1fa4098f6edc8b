"""Signing in with hashes that cost next to nothing, for tests that guess a lot."""

import argon2
import msgspec
import pytest

from functions.auth import records
from functions.auth.domain import people
from functions.auth.domain.people import Login
from functions.auth.guessing.failed_sign_ins import FailedSignIns
from functions.auth.guessing.pause import Pausing
from functions.auth.guessing.source import Source
from functions.auth.guessing.throttle import Throttle
from functions.auth.sessions.session_rate import SessionRate
from functions.auth.sign_in.passwords import Passwords
from functions.auth.sign_in.sign_in import SignedIn, SignIn
from shared.errors import Error, Unauthenticated
from shared.ids import new_id
from shared.store import Create
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite

WRONG = "wrong horse battery staple"


class CheapPasswords(Passwords):
    """Counts the verifications; one takes microseconds."""

    def __init__(self) -> None:
        super().__init__(workers=2, waiting=1000)
        self._hasher = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        self._decoy = self._hasher.hash("nobody's")
        self.verified = 0
        self.cheap = self._hasher.hash(PASSWORD)

    async def verify(self, known: str | None, password: str) -> bool:
        self.verified += 1
        return await super().verify(known, password)


class CheapSignIn:
    """The suite's sign-in again, with `CheapPasswords`, a throttle of its own, and one account."""

    def __init__(self, suite: Suite, pause: Pausing | None = None) -> None:
        self.suite = suite
        self.passwords = CheapPasswords()
        failed = FailedSignIns(suite.publishing, suite.outbox, suite.clock, pause or suite.pause)
        self.sign_in = SignIn(
            suite.publishing,
            self.passwords,
            suite.sessions,
            suite.do.keys,
            failed,
            Throttle(suite.clock, failed.flooded),
            suite.do.second_factors,
            SessionRate(suite.clock),
            suite.clock,
        )

    async def add_user(self, email: str = OWNER, tenant_id: str = ACME) -> None:
        await self.suite.add_user(email, "owner", tenant_id)
        found = await self.login_document(email, tenant_id)
        cheap = msgspec.structs.replace(found.value, password_hash=self.passwords.cheap)
        marker = Create(self.suite.store.tenant(tenant_id).key("audit", new_id("aud")), {})
        await self.suite.store.inner.commit(marker, found.replace(cheap))

    async def login_document(self, email: str = OWNER, tenant_id: str = ACME) -> records.Found[Login]:
        key = records.login_key(self.suite.store, tenant_id, people.login_id(email))
        found = records.found((await self.suite.store.inner.read(key))[0], Login)
        assert found is not None
        return found

    async def failures(self, email: str = OWNER, tenant_id: str = ACME) -> int:
        return (await self.login_document(email, tenant_id)).value.failures.count

    async def right(
        self, device: str | None = None, *, ip: str = "192.0.2.1", email: str = OWNER, slug: str = "acme"
    ) -> SignedIn:
        source = Source(ip, device, request_id="req_1")
        signed_in = await self.sign_in.login(slug, email, PASSWORD, source, remember=True)
        assert isinstance(signed_in, SignedIn)
        return signed_in

    async def wrong(
        self,
        times: int = 1,
        device: str | None = None,
        *,
        ip: str = "198.51.100.1",
        email: str = OWNER,
        slug: str = "acme",
    ) -> None:
        for _ in range(times):
            source = Source(ip, device, "curl", "req_2")
            with pytest.raises(Unauthenticated, match="invalid_credentials"):
                await self.sign_in.login(slug, email, WRONG, source)

    async def refused(self, device: str | None = None, *, ip: str = "192.0.2.1") -> Error | None:
        """What the right password is answered, if it is refused."""
        try:
            await self.right(device, ip=ip)
        except Error as refusal:
            return refusal
        return None
