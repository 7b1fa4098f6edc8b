"""Passkeys on the hosted pages, as second factor and alone: the same forms, filled in by a script."""

import json
import re
from html import unescape
from typing import Any

import pytest

from functions.auth.domain.challenge import LIFETIME, MAX_ANSWERS
from functions.auth.hosted import markup, passkey_form
from tests.authenticator import Authenticator
from tests.unit.auth.browser import Browser, add_client, claims
from tests.unit.auth.second_factor import Person, person
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio

CLIENT = f"{ACME}.cli_web"


@pytest.fixture
async def ada(suite: Suite) -> Person:
    await add_client(suite)
    return await person(suite)


@pytest.fixture
async def laptop(ada: Person) -> Authenticator:
    laptop = Authenticator()
    await ada.enrol_passkey(laptop)
    return laptop


@pytest.fixture
async def start(suite: Suite, laptop: Authenticator) -> Browser:
    """At the sign-in page."""
    browser = Browser(suite)
    await browser.authorize(CLIENT)
    return browser


@pytest.fixture
async def browser(start: Browser) -> Browser:
    """At the second factor."""
    assert (await start.sign_in()).status_code == 200
    return start


def options(browser: Browser) -> Any:
    """What the page gives its script."""
    found = re.search(r' data-options="([^"]*)"', browser.answer.text)
    assert found is not None
    return json.loads(unescape(found[1]))


async def answered(browser: Browser, given: Any) -> int:
    return (await browser.send(passkey=json.dumps(given))).status_code


async def test_who_has_only_a_passkey_signs_in_with_it(browser: Browser, laptop: Authenticator) -> None:
    assert 'name="code"' not in browser.answer.text
    assert await answered(browser, laptop.get(options(browser))) == 303
    got = await browser.redeem(browser.answered()["code"], CLIENT)
    said = claims(got.json()["id_token"])
    assert (said["acr"], said["amr"]) == ("aal2", ["pwd", "hwk", "user", "mfa"])


async def test_a_code_does_as_well(suite: Suite) -> None:
    await add_client(suite)
    bob = await person(suite, "bob@acme.test", "member")
    await bob.enrol_passkey(Authenticator(), await bob.enrol_totp())
    browser = Browser(suite)
    await browser.authorize(CLIENT)
    page = await browser.sign_in(bob.email)
    suite.clock.move(60)
    assert 'id="use-passkey"' in page.text
    assert (await browser.send(code=bob.code())).status_code == 303


async def test_what_is_refused_can_be_tried_again(browser: Browser, laptop: Authenticator) -> None:
    asked = options(browser)
    stranger = Authenticator()
    elsewhere = Authenticator()
    elsewhere.credential_id, elsewhere.key, elsewhere.origin = (
        laptop.credential_id,
        laptop.key,
        "https://evil.example",
    )
    old = laptop.get({"challenge": "c2YxX2E"})
    for bad in (stranger.get(asked), elsewhere.get(asked), old):
        assert await answered(browser, bad) == 400
        assert "This passkey was not accepted" in browser.answer.text
    for junk in ("x", "{}", "[]", "null", '{"id":"a","id":"b"}', '{"id":"\\ud800"}', "[" * 5000):
        assert (await browser.send(passkey=junk)).status_code == 400, junk[:20]
        assert options(browser) == asked
    assert await answered(browser, laptop.get(asked)) == 303


async def test_after_too_many_answers_or_too_long_it_begins_anew(
    browser: Browser, laptop: Authenticator
) -> None:
    page = browser.answer
    for left in reversed(range(MAX_ANSWERS)):
        assert await answered(browser, Authenticator().get(options(browser))) == 400
        assert ("One more step" in browser.answer.text) == bool(left)
    assert "Sign in again" in browser.answer.text
    await browser.sign_in()
    late = laptop.get(options(browser))
    browser.suite.clock.move(LIFETIME.total_seconds())
    assert await answered(browser, late) == 400
    assert 'name="password"' in browser.answer.text
    browser.answer = page
    assert (await browser.send(code="123456")).status_code == 400


async def test_one_script_runs_there_where_there_is_a_passkey(browser: Browser, suite: Suite) -> None:
    page = browser.answer
    script = markup.source(passkey_form.SCRIPT)
    assert f"default-src 'none'; script-src {script}; style-src " in page.headers["content-security-policy"]
    assert page.text.count("<script>") == 1
    assert f"<script>{passkey_form.SCRIPT}</script>" in page.text
    await (await person(suite, "bob@acme.test", "member")).enrol_totp()
    other = Browser(suite)
    await other.authorize(CLIENT)
    with_code = await other.sign_in("bob@acme.test")
    assert 'name="code"' in with_code.text
    for without in (with_code, await other.get("/device")):
        assert "<script" not in without.text
        assert "script-src" not in without.headers["content-security-policy"]


async def test_a_passkey_alone_signs_in(start: Browser, laptop: Authenticator) -> None:
    page, given = start.answer, laptop.get(options(start))
    assert await answered(start, given) == 303
    got = await start.redeem(start.answered()["code"], CLIENT)
    said = claims(got.json()["id_token"])
    assert (said["acr"], said["amr"]) == ("aal2", ["hwk", "user", "mfa"])
    start.answer = page
    assert await answered(start, given) == 400, "once"


async def test_a_passkey_that_signs_nobody_in_leaves_the_page_as_it_was(
    start: Browser, laptop: Authenticator
) -> None:
    stranger, junk = Authenticator().get(options(start)), laptop.get({"challenge": "cGsxX2E"})
    for bad in (stranger, junk, None):
        before = options(start)
        assert await answered(start, bad) == 400
        assert "This passkey was not accepted" in start.answer.text
        assert options(start)["challenge"] != before["challenge"]
    late = laptop.get(options(start))
    start.suite.clock.move(LIFETIME.total_seconds())
    assert await answered(start, late) == 400
    await start.suite.set_status("suspended")
    assert await answered(start, laptop.get(options(start))) == 403
    assert "suspended" in start.answer.text
    await start.suite.set_status("active")
    start.suite.clock.move(1)
    assert await answered(start, laptop.get(options(start))) == 303


async def test_a_passkey_signs_in_where_it_was_asked_for(start: Browser, laptop: Authenticator) -> None:
    """Not in another tenant, though its browser takes it for any."""
    await start.suite.add_tenant("tnt_globex", "globex")
    await add_client(start.suite, "cli_globex", "tnt_globex")
    other = Browser(start.suite)
    await other.authorize("tnt_globex.cli_globex")
    assert await answered(other, laptop.get(options(other))) == 400
    assert await answered(other, laptop.get(options(start))) == 400
    assert await answered(start, laptop.get(options(start))) == 303
