"""Signing in through the HTTP door: the same bytes for whatever is wrong, and whose address counts."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from functions.auth import records, routes
from functions.auth.domain import guessing
from functions.auth.domain.guessing import Failures
from functions.auth.domain.people import Login, User
from functions.auth.guessing.source import Source
from functions.auth.guessing.throttle import PER_ADDRESS
from shared.http.app import App
from shared.ids import new_id
from shared.store import Create
from tests.unit.auth.cheap_sign_in import WRONG, CheapSignIn
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite

pytestmark = pytest.mark.anyio

LOGIN = {"tenant": "acme", "email": OWNER, "password": PASSWORD}


@pytest.fixture
async def cheap(suite: Suite) -> AsyncIterator[CheapSignIn]:
    cheap = CheapSignIn(suite)
    await cheap.add_user()
    yield cheap
    cheap.passwords.close()


@pytest.fixture
async def client(suite: Suite, cheap: CheapSignIn) -> AsyncIterator[httpx.AsyncClient]:
    """Of the function behind one proxy, with hashes that cost next to nothing."""
    suite.do.sign_in = cheap.sign_in
    app = App(
        routes.table(suite.do),
        verifier=suite.verifier,
        event_door=None,
        serves_http=True,
        version="test",
        access_log=lambda access: None,
    )

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://api.example.test") as client:
        yield client


async def sign_in(client: httpx.AsyncClient, forwarded: str = "192.0.2.1", **changes: Any) -> httpx.Response:
    headers = {"X-Forwarded-For": forwarded, "X-Request-Id": "req_the_same"}
    return await client.post("/v1/auth/login", json=LOGIN | changes, headers=headers)


async def change(suite: Suite, found: records.Found[Any], **changes: Any) -> None:
    marker = Create(suite.store.tenant(ACME).key("audit", new_id("aud")), {})
    await suite.store.inner.commit(marker, found.replace(msgspec.structs.replace(found.value, **changes)))


async def test_whatever_is_wrong_the_answer_is_the_same_bytes(
    suite: Suite, cheap: CheapSignIn, client: httpx.AsyncClient
) -> None:
    """L1: unknown tenant and user, wrong password, too early, disabled; with and without a device token."""
    for email in ("early@acme.test", "disabled@acme.test"):
        await cheap.add_user(email)
    early = await cheap.login_document("early@acme.test")
    await change(suite, early, failures=Failures(guessing.FREE, suite.clock()))
    disabled = (await cheap.login_document("disabled@acme.test")).value.user_id
    doc = (await suite.store.inner.read(records.user_key(suite.store, ACME, disabled)))[0]
    user = records.found(doc, User)
    assert user is not None
    await change(suite, user, status="disabled")
    answers = set()
    for wrong in (
        {"tenant": "nobody"},
        {"tenant": "../acme"},
        {"email": "eve@acme.test"},
        {"password": WRONG},
        {"password": "x"},
        {"email": "early@acme.test"},
        {"email": "early@acme.test", "password": WRONG},
        {"email": "disabled@acme.test"},
        {"email": "disabled@acme.test", "password": WRONG},
        {"password": WRONG, "device_token": "dev1_AAAA", "remember_device": True},
    ):
        answer = await sign_in(client, **wrong)
        answers.add((answer.status_code, answer.content, tuple(answer.headers.multi_items())))
    assert len(answers) == 1
    assert {status for status, *_ in answers} == {401}


async def test_an_address_that_is_only_claimed_changes_nothing(client: httpx.AsyncClient) -> None:
    """L7: what our own proxy saw counts, whatever stands left of it."""
    for number in range(PER_ADDRESS.burst):
        answer = await sign_in(
            client, f"203.0.113.{number}, 192.0.2.1", email=f"user{number}@acme.test", password=WRONG
        )
        assert answer.status_code == 401
    refused = await sign_in(client, "198.51.100.77, 192.0.2.1", password=WRONG)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_tries")
    assert int(refused.headers["Retry-After"]) == 6
    assert (await sign_in(client, "192.0.2.1, 192.0.2.2")).status_code == 200


async def test_a_device_is_remembered_where_that_is_asked_for(
    suite: Suite, client: httpx.AsyncClient
) -> None:
    assert "device_token" not in (await sign_in(client)).json()
    remembered = await sign_in(client, remember_device=True)
    assert remembered.headers["cache-control"] == "no-store"
    token = remembered.json()["device_token"]
    for number in range(guessing.FREE):
        await sign_in(client, f"198.51.100.{number}", password=WRONG)
    assert (await sign_in(client)).status_code == 401
    assert (await sign_in(client, device_token=token)).status_code == 200


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("device_token", None, 200),
        ("device_token", "", 422),
        ("device_token", "x" * 513, 422),
        ("device_token", ["dev1_x"], 422),
        ("device_token", "dev1_\u00e9", 200),
        ("remember_device", "yes", 422),
        ("remember_device", 1, 422),
        ("role", "admin", 422),
        ("tenant_id", "tnt_globex", 422),
    ],
)
async def test_fields_have_their_types_and_no_others_are_taken(
    client: httpx.AsyncClient, field: str, value: Any, status: int
) -> None:
    """L19"""
    answer = await sign_in(client, **{field: value})
    assert answer.status_code == status
    if status == 422:
        assert [error["path"] for error in answer.json()["errors"]] == [f"/{field}"]


async def test_the_login_document_keeps_nothing_that_was_tried(
    suite: Suite, cheap: CheapSignIn, client: httpx.AsyncClient
) -> None:
    """L1: what is counted holds neither the wrong password nor the address it came from."""
    await sign_in(client, password=WRONG)
    found = await cheap.login_document()
    assert found.value == Login(
        found.value.user_id, found.value.password_hash, failures=Failures(1, suite.clock())
    )


async def test_mails_that_anybody_can_ask_for_are_bounded(suite: Suite, client: httpx.AsyncClient) -> None:
    """L3, L5: what is refused has written nothing."""
    asked = {"tenant": "acme", "email": OWNER}
    headers = {"X-Forwarded-For": "192.0.2.1"}
    for _ in range(PER_ADDRESS.burst):
        await suite.do.throttle.spend("globex", Source("192.0.2.1"))
    commits = len(suite.store.commits)
    refused = await client.post("/v1/auth/password/forgot", json=asked, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_tries")
    assert len(suite.store.commits) == commits
    elsewhere = {"X-Forwarded-For": "192.0.2.2"}
    assert (await client.post("/v1/auth/password/forgot", json=asked, headers=elsewhere)).status_code == 202
