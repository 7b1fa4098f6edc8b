"""People with second factors, for tests."""

import json
from base64 import b32decode
from typing import Any

import msgspec
import pytest

from functions.auth import records
from functions.auth.domain import login as logins
from functions.auth.domain import people, totp
from functions.auth.domain.factors import Factors
from functions.auth.domain.passkeys import Passkey
from functions.auth.domain.people import Login, User
from functions.auth.factors import factor_documents
from functions.auth.factors.factor_proofs import Answer
from functions.auth.factors.passkey_ceremonies import Assertion, Registration
from functions.auth.guessing.source import Source
from functions.auth.oauth.tokens import Tokens
from functions.auth.sign_in.second_factors import Challenge
from functions.auth.sign_in.sign_in import SignedIn
from shared.audit import Actor
from shared.errors import Error
from shared.identity import Principal
from shared.ids import new_id
from shared.store import Create
from tests.authenticator import Authenticator
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite

SOURCE = Source("192.0.2.7", request_id="req_1")
ACTOR = Actor("user", "usr_test", ACME)


class Person:
    """Somebody of Acme who has signed in with the password alone."""

    def __init__(self, suite: Suite, user: User, email: str) -> None:
        self.suite = suite
        self.user = user
        self.email = email
        self.actor = Actor("user", user.id, ACME, "req_1")
        self.secret = b""

    async def sign_in(self) -> SignedIn | Challenge:
        return await self.suite.sign_in.login("acme", self.email, PASSWORD, SOURCE)

    async def tokens(self) -> Tokens:
        signed_in = await self.sign_in()
        assert isinstance(signed_in, SignedIn)
        return signed_in.tokens

    async def challenge(self) -> Challenge:
        asked = await self.sign_in()
        assert isinstance(asked, Challenge)
        return asked

    async def principal(self, tokens: Tokens | None = None) -> Principal:
        given = tokens or await self.tokens()
        return await self.suite.verifier.verify(given.access_token)

    async def enrol_totp(self, principal: Principal | None = None) -> Principal:
        """With the code of now; the next one is good in 30 s."""
        caller = principal or await self.principal()
        begun = await self.suite.do.totp.begin(caller, self.actor)
        self.secret = b32decode(begun.secret)
        await self.suite.do.totp.confirm(caller, self.actor, self.code())
        return caller

    async def enrol_passkey(
        self, authenticator: Authenticator, principal: Principal | None = None
    ) -> tuple[Principal, Passkey]:
        caller = principal or await self.principal()
        given = authenticator.create(await self.creation_options(caller))
        return caller, await self.register(caller, given)

    async def creation_options(self, caller: Principal) -> dict[str, Any]:
        return loaded(await self.suite.do.passkeys.options(caller))

    async def register(self, caller: Principal, given: dict[str, Any], name: str = "Laptop") -> Passkey:
        credential = msgspec.convert(given, Registration)
        return await self.suite.do.passkeys.register(caller, self.actor, name, credential)

    def code(self, steps: int = 0) -> str:
        return totp.code(self.secret, totp.step_at(self.suite.clock()) + steps)

    def wrong_code(self) -> str:
        near = {self.code(steps) for steps in (-1, 0, 1)}
        return next(code for code in ("000000", "000001", "000002", "000003") if code not in near)

    async def finish(self, challenge: Challenge, **answer: Any) -> Tokens:
        signed_in = await self.suite.sign_in.finish(challenge.challenge, Answer(**answer), SOURCE)
        return signed_in.tokens

    async def principal_later(self, before: Principal) -> Principal:
        """The same session in a token of now: a token lives for ten minutes."""
        return msgspec.structs.replace(before, issued_at=self.suite.clock())

    async def disable(self) -> None:
        key = records.user_key(self.suite.store, ACME, self.user.id)
        user = records.found((await self.suite.store.inner.read(key))[0], User)
        assert user is not None
        after = msgspec.structs.replace(user.value, status="disabled")
        marker = Create(self.suite.store.tenant(ACME).key("audit", new_id("aud")), {})
        await self.suite.store.inner.commit(marker, user.replace(after))

    async def set_password(self, password: str) -> None:
        """As a change or a reset sets it."""
        key = records.login_key(self.suite.store, ACME, people.login_id(self.email))
        login = records.found((await self.suite.store.inner.read(key))[0], Login)
        assert login is not None
        hashed = await self.suite.passwords.hash(password)
        after = logins.with_password(login.value, hashed, self.suite.clock())
        marker = Create(self.suite.store.tenant(ACME).key("audit", new_id("aud")), {})
        await self.suite.store.inner.commit(marker, login.replace(after))

    async def factors(self) -> Factors:
        return (await factor_documents.of_user(self.suite.store, ACME, self.user.id)).value


async def person(suite: Suite, email: str = OWNER, role: Any = "owner") -> Person:
    return Person(suite, await suite.add_user(email, role), email)


def assertion(given: dict[str, Any]) -> Assertion:
    return msgspec.convert(given, Assertion)


def loaded(options: msgspec.Raw | None) -> dict[str, Any]:
    assert options is not None
    found: dict[str, Any] = json.loads(bytes(options))
    return found


async def refused(doing: Any) -> Error:
    """What is raised."""
    with pytest.raises(Error) as refusal:
        await doing
    return refusal.value
