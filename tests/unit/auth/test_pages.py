"""The hosted pages: the same for every wrong sign-in, useless to other sites, readable by anybody."""

import re
from collections.abc import Mapping

import httpx
import pytest
from msgspec import Raw

from functions.auth.domain.page_token import LIFETIME, Opened, PageTokens, Pending
from functions.auth.domain.security_policy import SecurityPolicy
from functions.auth.hosted import markup, pages, passkey_form, second_factor_page
from functions.auth.hosted.markup import Link
from functions.auth.hosted.page_cookies import PageCookies
from functions.auth.sign_in.second_factors import Challenge
from tests.unit.auth.browser import Browser, add_client, claims
from tests.unit.auth.second_factor import person
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite

pytestmark = pytest.mark.anyio

CLIENT = f"{ACME}.cli_web"
WRONG = "not the password of anybody"


@pytest.fixture
async def browser(suite: Suite) -> Browser:
    await suite.add_user()
    await add_client(suite)
    return Browser(suite)


def masked(browser: Browser, email: str) -> tuple[int, Mapping[str, str], str]:
    """An answer without what is different each time."""
    answer = browser.answer
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    text = answer.text.replace(browser.form()["page"], "").replace(email, "")
    text = re.sub(r' data-options="[^"]*"', "", text)
    return answer.status_code, headers | {"content-length": ""}, text


async def is_signed_in(browser: Browser) -> bool:
    await browser.authorize(CLIENT, prompt="none")
    return "code" in browser.answered()


async def test_every_wrong_sign_in_looks_the_same(browser: Browser) -> None:
    """L1: unknown, wrong password, disabled, no address, nothing at all."""
    suite = browser.suite
    disabled = await person(suite, "bob@acme.test", "member")
    await disabled.disable()
    await browser.authorize(CLIENT)
    seen = []
    for email, password in (
        (OWNER, WRONG),
        ("nobody@acme.test", PASSWORD),
        ("bob@acme.test", PASSWORD),
        ("no address", PASSWORD),
        (OWNER, "x" * 2000),
        (OWNER, ""),
    ):
        await browser.sign_in(email, password)
        seen.append(masked(browser, email))
    assert seen[0][0] == 400
    assert all(one == seen[0] for one in seen)
    assert not await is_signed_in(browser)


async def test_of_tenants_nothing_is_learnt_either(browser: Browser) -> None:
    """L1: at /device, where somebody says which organisation is theirs."""
    await browser.get("/device")
    seen = []
    for slug in ("acme", "nobody", "../acme", "x" * 64):
        await browser.sign_in("ada@mail.example", WRONG, organisation=slug)
        assert browser.form()["organisation"] == slug
        seen.append(masked(browser, slug))
    assert all(one == seen[0] for one in seen)


async def test_an_organisation_is_found_however_people_write_its_short_name(browser: Browser) -> None:
    assert "Use your account to connect a device." in (await browser.get("/device")).text
    await browser.sign_in(organisation=" ACME ")
    assert await is_signed_in(browser)


async def test_what_the_tenant_is_shows_with_the_right_password_only(browser: Browser) -> None:
    await browser.authorize(CLIENT)
    await browser.suite.set_status("suspended")
    assert (await browser.sign_in(password=WRONG)).status_code == 400
    page = await browser.sign_in()
    assert page.status_code == 403
    assert "suspended" in page.text


async def test_a_password_is_never_shown_again(browser: Browser) -> None:
    await browser.authorize(CLIENT)
    page = await browser.sign_in(password="a password with a typo")
    assert "typo" not in page.text
    assert browser.form()["email"] == OWNER


async def test_another_browsers_page_signs_nobody_in(browser: Browser) -> None:
    """Login CSRF: whoever makes somebody send his own page's form does not sign them in as himself."""
    attacker = Browser(browser.suite)
    await attacker.authorize(CLIENT)
    stolen = attacker.form()["page"]
    await browser.authorize(CLIENT)
    for with_cookie in (True, False):
        if not with_cookie:
            browser.client.cookies.clear()
        page = await browser.sign_in(page=stolen)
        assert page.status_code == 400
        assert browser.form()["page"] != stolen
    await browser.sign_in()
    assert "code" in browser.answered(), "the page that was shown instead works"


async def test_a_page_works_for_half_an_hour_and_then_again_by_itself(browser: Browser) -> None:
    await browser.authorize(CLIENT)
    browser.suite.clock.move(LIFETIME.total_seconds())
    page = await browser.sign_in()
    assert page.status_code == 400
    assert "open for too long" in page.text
    await browser.sign_in()
    assert "code" in browser.answered()


async def test_a_form_that_is_not_ours_is_none(browser: Browser) -> None:
    await browser.authorize(CLIENT)
    good = browser.form()["page"]
    shown = browser.answer
    flipped = good[:40] + ("A" if good[40] != "A" else "B") + good[41:]
    for page in (flipped, good[:-1], "", "x", "=" * 9, "ü", "A" * 40_000, good.replace("A", "A A", 1)):
        browser.answer = shown
        assert (await browser.sign_in(page=page)).status_code == 400, page[:50]
        assert "location" not in browser.answer.headers
        assert "<form" not in browser.answer.text
    for path in ("/oauth2/second-factor", "/oauth2/logout", "/device", "/device/decision"):
        answer = await browser.client.post(path, data={"page": good, "code": "1", "decision": "allow"})
        assert (answer.status_code, "<form" in answer.text) == (400, False), path


async def test_other_sites_forms_are_refused(browser: Browser) -> None:
    await browser.authorize(CLIENT)
    fields = browser.form() | {"email": OWNER, "password": PASSWORD}

    async def sent(**headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await browser.client.post("/oauth2/sign-in", data=fields, headers=named)

    for bad in (
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "https://api.example.test.evil.example"},
    ):
        assert (await sent(**bad)).status_code == 403, bad
    assert (await sent(origin="null", sec_fetch_site="same-origin")).status_code == 303


async def test_the_page_cannot_be_framed_scripted_or_led_elsewhere(browser: Browser) -> None:
    page = await browser.authorize(CLIENT)
    policy = page.headers["content-security-policy"].split("; ")
    assert policy == [
        "default-src 'none'",
        f"script-src {markup.source(passkey_form.SCRIPT)}",
        f"style-src {markup.source(markup.STYLE)}",
        "form-action 'self' https://app.example",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    body, script = page.text.split("</style>")[1].split("<script>")
    assert script == f"{passkey_form.SCRIPT}</script></body></html>"
    for never in ("<script", "javascript:", " on", "style=", "http:", "src="):
        assert never not in re.sub(r">[^<]*<", "><", body), never


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("http://127.0.0.1:4711/cb", "http://127.0.0.1:4711"),
        ("http://[::1]:4711/cb", "http:"),
        ("com.example.app:/cb", "com.example.app:"),
        ("https://a.example;script-src/cb", "https:"),
        ("https://a.example,b/cb", "https:"),
    ],
)
async def test_a_form_may_lead_to_where_its_client_is(browser: Browser, uri: str, source: str) -> None:
    client = await add_client(browser.suite, "cli_native", kind="public", redirect_uris=(uri,))
    page = await browser.authorize(client, redirect_uri=uri)
    assert f"; form-action 'self' {source}; " in page.headers["content-security-policy"]
    location = (await browser.sign_in()).headers["location"]
    assert location.startswith(f"{uri}?code=")


async def test_cookies_are_for_this_host_and_no_script(browser: Browser) -> None:
    page = await browser.authorize(CLIENT)
    set_cookies = page.headers.get_list("set-cookie") + (await browser.sign_in()).headers.get_list(
        "set-cookie"
    )
    assert [cookie.partition("=")[0] for cookie in set_cookies] == [
        "__Host-energent-browser",
        "__Host-energent-session",
        "__Host-energent-device",
    ]
    for cookie in set_cookies:
        assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= set(cookie.split("; "))
        assert "Domain" not in cookie


@pytest.mark.parametrize("before", ["\xa0", "\x85", "\t", "\x1f", "\u00c2\xa0", "\x0c"])
def test_a_name_that_the_browser_guards_is_that_name_to_the_byte(before: str) -> None:
    """Chromium takes `\\xa0__Host-energent-session` from a neighbour's host, and by http."""
    cookies = PageCookies("https://api.example.test")
    assert cookies.read({"cookie": "a=b; __Host-energent-session=x"}).session == "x"
    assert cookies.read({"cookie": f"a=b; {before}__Host-energent-session=x"}).session is None
    assert (
        cookies.read({"cookie": f"{before}__Host-energent-session=y; __Host-energent-session=x"}).session
        == "x"
    )


def test_a_cookie_that_comes_twice_is_nobodys() -> None:
    cookies = PageCookies("http://127.0.0.1:8080")
    assert cookies.session("x") == "energent-session=x; Path=/; HttpOnly; SameSite=Lax"
    one = cookies.read({"cookie": "a=b; energent-session=x; energent-browser=y=z"})
    assert (one.session, one.browser, one.device) == ("x", "y=z", None)
    for bad in ("energent-session=x; energent-session=y", "energent-session=", "energent-session", ""):
        assert cookies.read({"cookie": bad}).session is None, bad
    assert cookies.read({"cookie": f"energent-session={'x' * 1025}"}).session is None


async def test_a_made_up_session_is_nobodys(browser: Browser) -> None:
    await browser.code(CLIENT)
    name = "__Host-energent-session"
    good = browser.client.cookies[name]
    for bad in (good[:-1] + ("A" if good[-1] != "A" else "B"), "bs1_", "x", good.replace("bs1_", "rt1_")):
        browser.client.cookies.clear()
        browser.client.cookies.set(name, bad, domain="api.example.test")
        assert not await is_signed_in(browser)
    browser.client.cookies.clear()
    browser.client.cookies.set(name, good, domain="api.example.test")
    assert await is_signed_in(browser)


async def test_a_browser_session_is_no_token_of_the_api(browser: Browser) -> None:
    """J21."""
    await browser.code(CLIENT)
    for value in browser.client.cookies.values():
        me = await browser.client.get("/v1/me", headers={"authorization": f"Bearer {value}"})
        assert me.status_code == 401


async def test_the_second_factor_has_a_page_of_its_own(suite: Suite) -> None:
    someone = await person(suite)
    await someone.enrol_totp()
    await add_client(suite)
    browser = Browser(suite)
    await browser.authorize(CLIENT)
    page = await browser.sign_in()
    assert 'autocomplete="one-time-code"' in page.text
    assert not await is_signed_in(browser), "half of a sign-in is none"
    browser.answer = page
    suite.clock.move(60)
    assert (await browser.send(code=someone.wrong_code())).status_code == 400
    code = someone.code()
    await browser.send(code=f" {code[:3]} {code[3:]}")
    got = await browser.redeem(browser.answered()["code"], CLIENT)
    said = claims(got.json()["id_token"])
    assert (said["acr"], said["amr"]) == ("aal2", ["pwd", "otp", "mfa"])
    browser.answer = page
    assert (await browser.send(code=code)).status_code == 400, "once"


async def test_a_second_factor_page_that_is_too_old_begins_anew(suite: Suite) -> None:
    someone = await person(suite)
    await someone.enrol_totp()
    await add_client(suite)
    browser = Browser(suite)
    await browser.authorize(CLIENT)
    await browser.sign_in()
    suite.clock.move(LIFETIME.total_seconds())
    page = await browser.send(code=someone.code())
    assert page.status_code == 400
    assert 'name="password"' in page.text


async def test_who_lacks_the_second_factor_that_is_required_gets_nowhere(suite: Suite) -> None:
    ada, bob = await person(suite), await person(suite, "bob@acme.test", "member")
    required = SecurityPolicy("required", ("totp",))
    await suite.do.tenant_security.replace(await ada.enrol_totp(), ada.actor, required)
    await add_client(suite)
    browser = Browser(suite)
    await browser.authorize(CLIENT)
    page = await browser.sign_in(bob.email)
    assert page.status_code == 403
    assert "asks for a second factor" in page.text
    assert not await is_signed_in(browser)


async def test_fields_are_labelled_and_say_what_they_are(browser: Browser) -> None:
    await browser.get("/device")
    page = await browser.sign_in(OWNER, WRONG, organisation="acme")
    inputs = [found for found in re.findall(r"<input([^>]*)>", page.text) if "hidden" not in found]
    for attributes in inputs:
        name = re.search(r' id="(\w+)"', attributes)
        assert name is not None
        assert f'<label for="{name[1]}">' in page.text
        assert 'aria-describedby="problem"' in attributes
    assert [re.search(r'autocomplete="([\w-]+)"', one)[1] for one in inputs] == [  # type: ignore[index]
        "organization",
        "username",
        "current-password",
    ]
    assert 'id="problem" role="alert"' in page.text
    assert page.text.count(" autofocus") == 1
    assert '<html lang="en">' in page.text
    assert "<title>Sign in</title>" in page.text


def test_whatever_is_shown_is_text() -> None:
    bad = "<b>&\"'"
    shown = (
        pages.sign_in(pages.SignInForm(bad, bad, bad, bad, bad, bad, Raw(b"\"<b>&'"))),
        pages.sign_in(pages.SignInForm(token=bad, slug=bad)),
        second_factor_page.second_factor(bad, Challenge(bad, ("totp", "passkey"), 1, Raw(b"\"<b>&'")), bad),
        pages.device(bad, person=bad, code=bad, error=bad),
        pages.device_decision(bad, person=bad, client=bad, code=bad, scopes=(bad, f"{bad}:read")),
        pages.sign_out(bad, person=bad, client=bad, note=bad),
        pages.notice(bad, bad, Link(bad, bad)),
    )
    for page in shown:
        assert "<b>" not in page
        assert "&amp;&quot;&#x27;" in page


def test_scopes_are_told_in_words_and_once() -> None:
    scopes = ("api_keys:write", "email", "odd", "openid", "tenant:read", "users:read", "users:write")
    page = pages.device_decision("t", person="p", client="c", code="x", scopes=scopes)
    assert re.findall(r"<li>([^<]*)</li>", page) == [
        "Know who you are",
        "See your e-mail address",
        "See your organisation",
        "See and change api keys",
        "odd",
        "See and change users",
    ]


async def test_a_page_token_holds_what_was_sealed(suite: Suite) -> None:
    tokens, at = PageTokens((await suite.do.keys.current()).front_channel), suite.clock()
    pending = Pending("device_decision", user_code="BCDFGHJK", session_id="ses_1")
    text = tokens.seal(pending, "browser", at)
    assert tokens.open(text, "browser", at) == Opened(pending, is_current=True)
    for browser, later in (("other", at), (None, at), ("browser", at + LIFETIME)):
        opened = tokens.open(text, browser, later)
        assert opened is not None
        assert (opened.pending, opened.is_current) == (pending, False)
    for place in range(0, len(text), 7):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        assert tokens.open(changed, "browser", at) is None, place


def test_nothing_of_the_style_is_from_elsewhere() -> None:
    assert "url(" not in markup.STYLE
    assert "@import" not in markup.STYLE
