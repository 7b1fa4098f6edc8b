"""Service accounts and invitations are made once for each Idempotency-Key; secrets are shown once."""

import asyncio
import base64
from typing import Any

import httpx
import pytest

from functions.auth.domain.one_time_link import OneTimeLink
from tests.unit.auth.suite import ACME, PASSWORD, Suite
from tests.unit.billing.faulty_store import FaultyStore

pytestmark = pytest.mark.anyio

MACHINE = {"name": "nightly export", "scopes": ["usage:read"]}
GUEST = {"email": "bob@acme.test", "role": "member"}
CREATING = {"/v1/service-accounts": MACHINE, "/v1/invitations": GUEST}
STEPS = {"/v1/service-accounts": 4, "/v1/invitations": 5}
"""Look, read, read the caller, commit; an address is looked at before."""


class Client:
    """Somebody who signed in, at one instance."""

    def __init__(self, suite: Suite, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}
        self._app = suite.app(lambda line: None)

    async def post(self, path: str, body: Any, key: str | None = "key-1") -> httpx.Response:
        return await self._ask("POST", path, {"Idempotency-Key": key} if key else {}, json=body)

    async def listed(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._ask("GET", path, {})).json()["items"]
        return found

    async def _ask(self, method: str, path: str, headers: dict[str, str], **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="https://api.example.test") as client:
            return await client.request(method, path, headers=self._headers | headers, **more)


@pytest.fixture
async def client(suite: Suite) -> Client:
    await suite.add_user()
    return Client(suite, (await suite.login()).access_token)


async def test_a_repeated_request_makes_no_second_account_and_shows_no_secret(
    suite: Suite, client: Client
) -> None:
    """G1: the secret is shown once, and whoever lost it is told what to do."""
    first = await client.post("/v1/service-accounts", MACHINE)
    again = await client.post("/v1/service-accounts", MACHINE)

    assert first.status_code == again.status_code == 201
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["cache-control"] == "no-store"
    made, repeated = first.json(), again.json()
    assert "make another account" in repeated.pop("notice")
    secret = made.pop("client_secret")
    assert repeated == made
    assert await suite.machine_token(made["client_id"], secret)
    assert [account["id"] for account in await client.listed("/v1/service-accounts")] == [made["id"]]
    assert (await suite.audit()).count("service_account.create") == 1


async def test_no_byte_of_a_secret_is_stored(suite: Suite, client: Client) -> None:
    """G1: in documents, write-ahead log and free pages, plain or in base64."""
    made = (await client.post("/v1/service-accounts", MACHINE, "sk_secret-as-a-key")).json()
    files = b"".join(path.read_bytes() for path in suite.folder.glob("store.db*"))
    secret = made["client_secret"]
    assert made["client_id"].encode() in files
    assert b"make another account" in files
    for text in (secret, secret.removeprefix("sk_"), "sk_secret-as-a-key", PASSWORD):
        assert text.encode() not in files
        assert base64.b64encode(text.encode())[:-4] not in files


async def test_a_repeated_invitation_is_one_mail(suite: Suite, client: Client) -> None:
    before = len(suite.bus.events("mail.requested"))
    first = await client.post("/v1/invitations", GUEST)
    again = await client.post("/v1/invitations", GUEST)

    assert first.status_code == again.status_code == 201
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert len(suite.bus.events("mail.requested")) == before + 1
    assert (await client.post("/v1/invitations", GUEST, None)).json()["id"] != first.json()["id"], "as before"


async def test_an_invitation_that_was_accepted_meanwhile_is_still_answered(
    suite: Suite, client: Client
) -> None:
    """Decided anew it would be `user_exists`."""
    first = await client.post("/v1/invitations", GUEST)
    token = suite.links.text(OneTimeLink("invitation", ACME, first.json()["id"]))
    await suite.invitations.accept(token, PASSWORD, "Bob", "req_1")

    assert (await client.post("/v1/invitations", GUEST)).content == first.content
    assert (await client.post("/v1/invitations", GUEST, "key-2")).json()["code"] == "user_exists"


@pytest.mark.parametrize(("path", "body"), CREATING.items())
async def test_another_payload_under_the_same_key_is_refused(
    suite: Suite, client: Client, path: str, body: dict[str, Any]
) -> None:
    await client.post(path, body)
    changed = body | ({"name": "other"} if "name" in body else {"role": "admin"})
    refused = await client.post(path, changed)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


async def test_one_key_serves_two_operations(client: Client) -> None:
    for path, body in CREATING.items():
        answer = await client.post(path, body)
        assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)


async def test_a_key_is_nobody_elses(suite: Suite, client: Client) -> None:
    """T2, T9: another person of the tenant, another tenant."""
    await suite.add_user("second@acme.test")
    await suite.add_tenant("tnt_other", "other")
    await suite.add_user("owner@other.test", tenant_id="tnt_other")
    second = Client(suite, (await suite.login("second@acme.test")).access_token)
    foreign = Client(suite, (await suite.login("owner@other.test", slug="other")).access_token)

    ids = set()
    for each in (client, second, foreign):
        answer = await each.post("/v1/service-accounts", MACHINE)
        assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)
        ids.add(answer.json()["id"])
    assert len(ids) == 3
    assert len(await foreign.listed("/v1/service-accounts")) == 1


async def test_a_key_outlives_the_session_it_was_used_in(suite: Suite, client: Client) -> None:
    first = await client.post("/v1/invitations", GUEST)
    anew = Client(suite, (await suite.login()).access_token)
    assert (await anew.post("/v1/invitations", GUEST)).content == first.content


async def test_a_refusal_uses_no_key_up(client: Client) -> None:
    refused = await client.post("/v1/service-accounts", MACHINE | {"scopes": ["platform:tenants:write"]})
    assert refused.status_code == 403
    made = await client.post("/v1/service-accounts", MACHINE)
    assert (made.status_code, "client_secret" in made.json()) == (201, True)


async def test_who_may_no_longer_do_it_gets_no_replay(suite: Suite, client: Client) -> None:
    """T10: the door decides first."""
    await client.post("/v1/invitations", GUEST)
    await suite.set_status("suspended")
    suite.clock.move(30)
    refused = await client.post("/v1/invitations", GUEST)
    assert (refused.status_code, refused.json()["code"]) == (403, "tenant_suspended")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("path", "step"), [(path, step) for path in CREATING for step in range(1, STEPS[path] + 1)]
)
async def test_a_crash_leaves_one_thing_or_none(
    suite: Suite, client: Client, step: int, after: bool, path: str
) -> None:
    """G5, G6: each step of it; then the same request again at an instance that lives."""
    body = CREATING[path]
    before = len(await client.listed(path))  # the door knows its caller now: what follows is the use-case's
    committed = step == STEPS[path] and after
    faulty = FaultyStore(suite.store.inner)
    faulty.dies_at, faulty.dies_after = step, after
    suite.store.inner, alive = faulty, suite.store.inner
    assert (await client.post(path, body)).status_code == 500
    suite.store.inner = alive
    assert len(await client.listed(path)) == before + committed

    again = await client.post(path, body)
    assert (again.status_code, "idempotency-replayed" in again.headers) == (201, committed)
    assert len(await client.listed(path)) == before + 1
    created = (await suite.audit()).count("service_account.create" if "service" in path else "user.invite")
    assert created == before + 1


@pytest.mark.parametrize(("path", "body"), CREATING.items())
async def test_of_64_at_once_one_is_carried_out(
    suite: Suite, client: Client, path: str, body: dict[str, Any]
) -> None:
    before = len(await client.listed(path))
    answers = await asyncio.gather(*(client.post(path, body) for _ in range(64)))
    made = [answer for answer in answers if answer.status_code == 201]
    assert {answer.json()["code"] for answer in answers if answer.status_code != 201} <= {
        "idempotency_key_in_use"
    }
    assert len({answer.json()["id"] for answer in made}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in made) == 1
    assert len(await client.listed(path)) == before + 1


async def test_an_accepted_invitation_needs_no_key_because_its_link_is_one(
    suite: Suite, client: Client
) -> None:
    """Nobody is signed in, and the body holds a password, of which no plain hash may be stored."""
    body = {"token": await suite.invite("bob@acme.test"), "password": PASSWORD, "name": "Bob"}
    first = await client.post("/v1/auth/invitations/accept", body)
    again = await client.post("/v1/auth/invitations/accept", body)
    assert (first.status_code, again.status_code) == (201, 409)
    assert (again.json()["code"], "Sign in" in again.json()["detail"]) == ("invitation_used", True)
    files = b"".join(path.read_bytes() for path in suite.folder.glob("store.db*"))
    assert b"/idempotency/" not in files
