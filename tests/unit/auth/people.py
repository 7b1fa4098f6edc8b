"""People of a tenant who are there at once, and their requests: no invitation, no costly hash."""

from datetime import timedelta
from typing import Any

import httpx

from functions.auth import records
from functions.auth.domain import people
from functions.auth.domain.people import Invitation, Login, User
from functions.auth.oauth.tokens import Tokens
from shared.errors import Error, OAuthError
from shared.ids import new_id
from shared.store import Create
from tests.unit.auth.http_door import Door
from tests.unit.auth.suite import ACME, CHEAP, PASSWORD, Suite

NEW_PASSWORD = "staple battery horse incorrect"
HASH = CHEAP.hash(PASSWORD)


class People(Door):
    """A client of the function that signs people in."""

    def __init__(self, suite: Suite) -> None:
        super().__init__(suite)
        self.suite = suite

    async def add(self, email: str, role: str = "member", tenant_id: str = ACME) -> User:
        """Somebody with `PASSWORD`."""
        user = User(new_id("usr"), email, email.partition("@")[0], role, "active", self.suite.clock())
        login = Login(user.id, HASH)
        await self.suite.store.inner.commit(
            records.create(records.user_key(self.suite.store, tenant_id, user.id), user),
            records.create(records.login_key(self.suite.store, tenant_id, people.login_id(email)), login),
            Create(self.suite.store.tenant(tenant_id).key("audit", new_id("aud")), {}),
        )
        return user

    async def signed_in(self, email: str, password: str = PASSWORD, slug: str = "acme") -> "Person":
        return Person(self, await self.suite.login(email, password, slug))

    async def added(self, email: str, role: str = "member", tenant_id: str = ACME) -> "Person":
        """Somebody new who has signed in."""
        await self.add(email, role, tenant_id)
        return await self.signed_in(email, slug=tenant_id.removeprefix("tnt_"))

    async def post(self, path: str, body: Any = None, request_id: str = "req_the_same") -> httpx.Response:
        """As nobody."""
        return await self.client.post(path, json=body, headers={"X-Request-Id": request_id})


class Person:
    """Somebody with an access token and a refresh token."""

    def __init__(self, people: People, tokens: Tokens) -> None:
        self._people = people
        self.tokens = tokens

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {self.tokens.access_token}", **headers}
        content = {} if body is None else {"json": body}
        return await self._people.client.request(method, path, headers=bearer, **content)

    async def get(self, path: str) -> Any:
        answer = await self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def code(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and the problem's code."""
        answer = await self.ask(method, path, body)
        return answer.status_code, answer.json()["code"] if answer.status_code >= 400 else ""

    async def refreshed(self) -> set[str]:
        """The scopes that the next access token has, which it has from now on."""
        self.tokens = await self._people.suite.refresh(self.tokens.refresh_token)
        return set(self.tokens.scope.split())

    async def can_refresh(self) -> bool:
        try:
            await self._people.suite.refresh(self.tokens.refresh_token)
        except OAuthError:
            return False
        return True

    async def is_let_in(self) -> bool:
        """Whether the access token is accepted, by a verifier that has forgotten what it knew."""
        self._people.suite.clock.move(26)
        try:
            await self._people.suite.verifier.verify(self.tokens.access_token)
        except Error:
            return False
        return True


async def add_old_invitations(suite: Suite, email: str, count: int) -> None:
    """Such as an address has after some years, none of them open any more."""
    at = suite.clock()
    writes = []
    for number in range(count):
        made_at = at - timedelta(days=30 + number)
        old = Invitation(new_id("inv"), email, "member", "revoked", made_at, made_at + timedelta(days=7))
        writes.append(records.create(records.invitation_key(suite.store, ACME, old.id), old))
    await suite.store.inner.commit(*writes)
