"""Many guesses at once, which were all begun before the first of them counted, tell no more than one."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from functions.auth.domain import user_code
from functions.auth.domain.security_policy import SecurityPolicy
from functions.auth.factors import factor_documents
from functions.auth.guessing.source import Source
from functions.auth.oauth.device_limits import GUESSES
from functions.auth.records import create
from shared.errors import Error
from tests.unit.auth.browser import SECRET, Browser, add_client
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, SOURCE, Suite

pytestmark = pytest.mark.anyio

WRONG = "not the password of anybody"
BURST = 24


async def refused(trying: Awaitable[object]) -> str:
    """The code of the refusal; empty where there is none."""
    try:
        await trying
    except Error as refusal:
        return refusal.code
    return ""


async def burst(suite: Suite, sign_in: Callable[[str], Awaitable[object]]) -> list[str]:
    """Ten wrong passwords, the delay that follows, and then many at once, of which the last is right."""
    for _ in range(10):
        await refused(sign_in(WRONG))
    suite.clock.move(31)
    given = [f"{WRONG} {each}" for each in range(BURST)] + [PASSWORD]
    return list(await asyncio.gather(*(refused(sign_in(each)) for each in given)))


async def test_a_suspended_tenant_does_not_tell_which_of_many_passwords_is_right(suite: Suite) -> None:
    """L4"""
    await suite.add_user()
    await suite.set_status("suspended")
    codes = await burst(suite, lambda secret: suite.sign_in.login("acme", OWNER, secret, SOURCE))
    assert set(codes) == {"invalid_credentials"}
    suite.clock.move(120)
    assert await refused(suite.login()) == "tenant_suspended"


async def test_a_required_factor_does_not_tell_which_of_many_passwords_is_right(suite: Suite) -> None:
    """L4: on the pages nobody gets on without the factor, so there is no session whose commit would fail."""
    await suite.add_user()
    policy_key = factor_documents.policy_key(suite.store, ACME)
    await suite.store.inner.commit(create(policy_key, SecurityPolicy("required")))

    async def sign_in(secret: str) -> object:
        return await suite.do.hosted_sign_in.first("acme", OWNER, secret, Source("192.0.2.9"))

    assert set(await burst(suite, sign_in)) == {"invalid_credentials"}
    assert "sign_in.first_factor" not in await suite.audit()
    suite.clock.move(120)
    assert await refused(sign_in(PASSWORD)) == "second_factor_missing"
    assert (await suite.audit()).count("sign_in.first_factor") == 1


async def test_of_many_user_codes_at_once_so_many_are_looked_up_as_one_may_try(suite: Suite) -> None:
    """Typed by somebody who is signed in. What is right does not count."""
    await suite.add_user()
    client = await add_client(suite)
    browser = Browser(suite)
    asked = await browser.client.post(
        "/oauth2/device_authorization", data={"client_id": client}, auth=(client, SECRET)
    )
    right = asked.json()["user_code"]
    await browser.get("/device")
    await browser.sign_in(organisation="acme")
    cookie = browser.client.cookies["__Host-energent-session"]
    signed_in = await suite.do.browser_sessions.find(cookie)
    assert signed_in is not None
    look = suite.do.device_grants.look
    for _ in range(2 * GUESSES):
        assert (await look(signed_in, right)).scopes
    codes = await asyncio.gather(
        *(refused(look(signed_in, user_code.shown(user_code.new()))) for _ in range(BURST)),
    )
    assert codes.count("unknown_user_code") == GUESSES
    assert codes.count("too_many_codes") == BURST - GUESSES
