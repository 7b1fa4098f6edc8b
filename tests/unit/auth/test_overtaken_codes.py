"""Authorization codes whose client, person or document changes in the middle of it."""

import httpx
import pytest

from functions.auth.oauth.oauth_client_changes import ClientChange
from shared.audit import Actor
from shared.store import Create, Delete, Key
from tests.unit.auth.browser import SECRET, Browser, add_client, claims
from tests.unit.auth.suite import ACME, Suite, principal

pytestmark = pytest.mark.anyio

ACTOR = Actor("user", "usr_test", ACME)
CLIENT = f"{ACME}.cli_web"


@pytest.fixture
async def browser(suite: Suite) -> Browser:
    await suite.add_user()
    await add_client(suite)
    return Browser(suite)


def codes(suite: Suite) -> list[Key]:
    """Those that were made since the beginning."""
    writes = [write for commit in suite.store.commits for write in commit]
    made = [write.key for write in writes if isinstance(write, Create)]
    return [key for key in made if "/authorization_codes/" in key.path]


async def end_at_next_commit(suite: Suite, ended: str) -> None:
    """Just ahead of it."""
    session = await suite.only_session()

    async def end() -> None:
        if ended == "session":
            await suite.do.session_end.end(ACME, session.id, "stolen_device", ACTOR)
        elif ended == "tenant":
            await suite.set_status("suspended")
        else:
            await suite.do.oauth_client_changes.delete(principal("owner"), ACTOR, "cli_web")

    suite.store.before_commit = end


async def signed_in(browser: Browser) -> None:
    """By a first code, which is used up."""
    await browser.redeem(await browser.code(CLIENT), CLIENT)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


async def test_a_client_that_is_disabled_meanwhile_gets_no_code(browser: Browser) -> None:
    suite = browser.suite
    await signed_in(browser)
    before = codes(suite)

    async def disable() -> None:
        change = ClientChange(status="disabled")
        await suite.do.oauth_client_changes.update(principal("owner"), ACTOR, "cli_web", change)

    suite.store.before_commit = disable
    assert (await browser.authorize(CLIENT)).status_code == 400
    assert codes(suite) == before


@pytest.mark.parametrize("ended", ["session", "tenant"])
async def test_whose_sign_in_ends_meanwhile_is_asked_for_the_password(browser: Browser, ended: str) -> None:
    """R7, T10."""
    suite = browser.suite
    await browser.code(CLIENT)
    before = codes(suite)
    await end_at_next_commit(suite, ended)
    page = await browser.authorize(CLIENT)
    assert (page.status_code, 'name="password"' in page.text) == (200, True)
    assert codes(suite) == before


@pytest.mark.parametrize("ended", ["session", "tenant", "client"])
async def test_who_is_out_meanwhile_connects_no_device(browser: Browser, ended: str) -> None:
    """R7, T10."""
    suite = browser.suite
    asked = await browser.client.post(
        "/oauth2/device_authorization", data={"client_id": CLIENT, "client_secret": SECRET}
    )
    await browser.get("/device")
    await browser.sign_in(organisation="acme")
    await browser.get("/device")
    await browser.send(user_code=asked.json()["user_code"])
    await end_at_next_commit(suite, ended)
    assert "Device connected" not in (await browser.send(decision="allow")).text
    assert "device.allow" not in await suite.audit()


async def test_a_code_whose_document_is_gone_is_one_like_any_other_that_is_over(browser: Browser) -> None:
    """Documents go some time after their day."""
    suite = browser.suite
    code = await browser.code(CLIENT)
    (key,) = codes(suite)
    await suite.store.inner.commit(Delete(key))
    assert refusal(await browser.redeem(code, CLIENT)) == (400, "invalid_grant")


async def test_for_another_tenants_client_no_code_is_looked_up(browser: Browser) -> None:
    """T1."""
    suite = browser.suite
    await suite.add_tenant("tnt_other", "other")
    stranger = await add_client(suite, tenant_id="tnt_other")
    code = await browser.code(CLIENT)
    suite.store.reads.clear()
    assert refusal(await browser.redeem(code, stranger)) == (400, "invalid_grant")
    assert not any("authorization_codes" in path for paths in suite.store.reads for path in paths)


async def test_a_code_for_no_api_in_particular_is_redeemed_for_any_that_is_registered(
    browser: Browser,
) -> None:
    """RFC 8707 §2.2."""
    code = await browser.code(CLIENT)
    tokens = (await browser.redeem(code, CLIENT, resource="https://files.example")).json()
    assert claims(tokens["access_token"])["aud"] == "https://files.example"
    code = await browser.code(CLIENT)
    assert refusal(await browser.redeem(code, CLIENT, resource="https://evil.test")) == (
        400,
        "invalid_target",
    )
