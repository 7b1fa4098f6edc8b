"""The authorization endpoint: who is asked, who is answered, and where (RFC 6749 §4.1, OpenID Connect)."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from functions.auth import records
from functions.auth.domain import people
from functions.auth.domain.people import User
from functions.auth.domain.session import Session
from shared.audit import Actor
from shared.ids import new_id
from shared.store import Create
from shared.store.bodies import from_body
from tests.tokens import ISSUER, segment
from tests.unit.auth.browser import CALLBACK, Browser, add_client, claims, query_of, request, told, with_pairs
from tests.unit.auth.second_factor import person
from tests.unit.auth.suite import ACME, SESSIONS, Suite

pytestmark = pytest.mark.anyio


@pytest.fixture
async def browser(suite: Suite) -> Browser:
    await suite.add_user()
    await add_client(suite)
    return Browser(suite)


CLIENT = f"{ACME}.cli_web"


async def change_user(suite: Suite, user: User, change: Callable[[User], User]) -> None:
    doc = (await suite.store.inner.read(records.user_key(suite.store, ACME, user.id)))[0]
    found = records.found(doc, User)
    assert found is not None
    marker = Create(suite.store.tenant(ACME).key("audit", new_id("aud")), {})
    await suite.store.inner.commit(marker, found.replace(change(found.value)))


async def sessions(suite: Suite) -> list[Session]:
    page = await suite.store.tenant(ACME).query(SESSIONS)
    return [from_body(doc.body, Session) for doc in page.docs]


async def test_somebody_signs_in_and_goes_back_with_a_code(browser: Browser) -> None:
    page = await browser.authorize(CLIENT)
    assert page.status_code == 200
    assert "Acme &lt;Reports&gt;" in page.text
    assert 'name="organisation"' not in page.text, "the client says which"
    answer = await browser.sign_in()
    assert answer.status_code == 303
    assert browser.answered() == {"code": browser.answered()["code"], "state": "st&te=1", "iss": ISSUER}
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert not any("ac1_" in str(line) for line in browser.logged)


async def test_who_is_signed_in_needs_no_password_for_another_application(browser: Browser) -> None:
    """And is called the same there (OpenID Connect Core §8)."""
    first = await browser.redeem(await browser.code(CLIENT), CLIENT)
    other = await add_client(browser.suite, "cli_other")
    verified = len(browser.suite.passwords.verified)
    await browser.authorize(other, prompt="none")
    second = await browser.redeem(browser.answered()["code"], other)
    assert len(browser.suite.passwords.verified) == verified
    assert claims(first.json()["id_token"])["sub"] == claims(second.json()["id_token"])["sub"]


async def test_the_same_request_may_come_in_a_form(browser: Browser) -> None:
    """As a GET from there on: a browser sends no `SameSite=Lax` cookie with another site's form."""
    led = await browser.client.post("/oauth2/authorize", data=request(CLIENT))
    assert led.status_code == 303
    assert (await browser.get(led.headers["location"])).status_code == 200
    await browser.sign_in()
    assert "code" in browser.answered()
    browser.client.cookies, kept = httpx.Cookies(), browser.client.cookies
    led = await browser.client.post("/oauth2/authorize", data=request(CLIENT))
    browser.client.cookies = kept
    await browser.get(led.headers["location"])
    assert "code" in browser.answered(), "signed in, and not asked again"


async def test_a_form_that_is_too_long_for_an_address_is_answered_where_it_came(browser: Browser) -> None:
    browser.answer = await browser.client.post("/oauth2/authorize", data=request(CLIENT, extra="x" * 8_000))
    assert browser.answer.status_code == 200
    await browser.sign_in()
    assert "code" in browser.answered()


async def test_what_we_do_not_know_is_ignored(browser: Browser) -> None:
    harmless = {"display": "page", "ui_locales": "de", "claims_locales": "de", "acr_values": "urn:other"}
    await browser.authorize(CLIENT, **harmless, claims="{}", code_challenge_methods="plain", empty="")
    assert browser.answer.status_code == 200


NOT_PROVEN: list[tuple[str, dict[str, str | None]]] = [
    ("no client", {"client_id": None}),
    ("an unknown client", {"client_id": f"{ACME}.cli_none"}),
    ("the app, which has no pages", {"client_id": "energent-app"}),
    ("no client id at all", {"client_id": "../x"}),
    ("another tenant's", {"client_id": "tnt_other.cli_web"}),
    ("no redirect_uri", {"redirect_uri": None}),
    ("a longer one", {"redirect_uri": f"{CALLBACK}/x"}),
    ("a query", {"redirect_uri": f"{CALLBACK}?x=1"}),
    ("a fragment", {"redirect_uri": f"{CALLBACK}#x"}),
    ("another case", {"redirect_uri": "https://APP.example/callback"}),
    ("a port", {"redirect_uri": "https://app.example:443/callback"}),
    ("a user", {"redirect_uri": "https://app.example@evil.example/callback"}),
    ("a script", {"redirect_uri": "javascript:alert(1)"}),
    ("another host", {"redirect_uri": "https://evil.example/callback"}),
]


async def test_until_it_is_proven_where_an_answer_may_go_there_is_only_a_page(browser: Browser) -> None:
    await browser.code(CLIENT)
    for why, changes in NOT_PROVEN:
        page = await browser.authorize(CLIENT, **changes)
        assert page.status_code == 400, why
        assert "location" not in page.headers, why
        assert page.headers["content-type"].startswith("text/html")
        assert "evil.example" not in page.text + page.headers["content-security-policy"], why


async def test_a_doubled_client_or_address_is_not_proven(browser: Browser) -> None:
    asked = request(CLIENT)
    for name in ("client_id", "redirect_uri"):
        page = await browser.get(with_pairs("/oauth2/authorize", asked, (name, asked[name])))
        assert page.status_code == 400
        assert "location" not in page.headers


async def test_a_disabled_client_is_an_unknown_one(browser: Browser) -> None:
    disabled = await add_client(browser.suite, "cli_disabled", status="disabled")
    page, unknown = await browser.authorize(disabled), await browser.authorize(f"{ACME}.cli_none")
    assert (page.status_code, page.text) == (400, unknown.text)


REFUSED: list[tuple[str, dict[str, str | None]]] = [
    ("invalid_request", {"response_type": None}),
    ("unsupported_response_type", {"response_type": "token"}),
    ("unsupported_response_type", {"response_type": "code id_token"}),
    ("invalid_request", {"response_mode": "fragment"}),
    ("invalid_request", {"code_challenge": None}),
    ("invalid_request", {"code_challenge_method": None}),
    ("invalid_request", {"code_challenge_method": "plain"}),
    ("invalid_request", {"code_challenge": "a" * 42}),
    ("invalid_request", {"code_challenge": "+" * 43}),
    ("request_not_supported", {"request": "x.y.z"}),
    ("request_uri_not_supported", {"request_uri": "https://app.example/request"}),
    ("registration_not_supported", {"registration": "{}"}),
    ("invalid_scope", {"scope": 'a"b'}),
    ("invalid_scope", {"scope": "openid  users:read"}),
    ("invalid_scope", {"scope": "users:write"}),
    ("invalid_scope", {"scope": "no:such"}),
    ("invalid_request", {"prompt": "none login"}),
    ("invalid_request", {"prompt": "create"}),
    ("invalid_request", {"max_age": "-1"}),
    ("invalid_request", {"max_age": "1e3"}),
    ("invalid_target", {"resource": "https://other.example"}),
    ("invalid_request", {"nonce": "n" * 2049}),
    ("invalid_request", {"id_token_hint": "not.a token.x"}),
    ("invalid_request", {"id_token_hint": "x.e30.x"}),
    ("invalid_request", {"id_token_hint": "x." + segment(b'{"x":' + b"[" * 4_000)}),
    ("login_required", {"prompt": "none"}),
]


async def test_a_client_that_is_proven_is_told_what_is_wrong(browser: Browser) -> None:
    for error, changes in REFUSED:
        answer = await browser.authorize(CLIENT, **changes)
        said = browser.answered()
        assert said["error"] == error, changes
        assert said.keys() == {"error", "error_description", "state", "iss"}
        assert (said["state"], said["iss"]) == ("st&te=1", ISSUER)
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_a_doubled_parameter_is_refused(browser: Browser) -> None:
    asked = request(CLIENT, prompt="login")
    for name in ("scope", "state", "code_challenge", "prompt"):
        await browser.get(with_pairs("/oauth2/authorize", asked, (name, asked[name])))
        said = browser.answered()
        assert said["error"] == "invalid_request", name
        assert ("state" in said) == (name != "state")


async def test_a_client_without_the_grant_is_told(browser: Browser) -> None:
    machine = await add_client(browser.suite, "cli_machine", grant_types=("client_credentials",))
    await browser.authorize(machine)
    assert browser.answered()["error"] == "unauthorized_client"


LOOPBACK = [
    ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", True),
    ("http://[::1]:80/cb", "http://[::1]:49152/cb", True),
    ("http://127.0.0.1/cb", "http://127.0.0.1:49152/other", False),
    ("http://127.0.0.1/cb", "http://127.0.0.2:49152/cb", False),
    ("http://127.0.0.1/cb", "http://127.0.0.1:49152@evil.example/cb", False),
    ("http://127.0.0.1/cb", "https://127.0.0.1:49152/cb", False),
]


async def test_a_native_app_chooses_its_port(browser: Browser) -> None:
    """RFC 8252 §7.3."""
    await browser.code(CLIENT)
    for number, (known, asked, good) in enumerate(LOOPBACK):
        native = await add_client(browser.suite, f"cli_{number}", kind="public", redirect_uris=(known,))
        answer = await browser.authorize(native, redirect_uri=asked)
        assert answer.status_code == (303 if good else 400), asked
        assert not good or answer.headers["location"].startswith(f"{asked}?code=")


async def test_an_answer_is_added_to_the_query_that_is_registered(browser: Browser) -> None:
    uri = f"{CALLBACK}?kept=1"
    client = await add_client(browser.suite, "cli_query", redirect_uris=(uri,))
    answer = await browser.authorize(client, redirect_uri=uri, prompt="none")
    assert answer.headers["location"].startswith(f"{uri}&error=login_required&")
    assert query_of(answer.headers["location"])["kept"] == "1"


async def test_a_client_may_insist_on_a_sign_in(browser: Browser) -> None:
    await browser.code(CLIENT)
    browser.suite.clock.move(5)
    for prompt in ("login", "select_account", "consent login"):
        page = await browser.authorize(CLIENT, prompt=prompt)
        assert page.status_code == 200, prompt
    await browser.sign_in()
    got = await browser.redeem(browser.answered()["code"], CLIENT)
    assert claims(got.json()["id_token"])["auth_time"] == int(browser.suite.clock().timestamp())


async def test_nobody_is_asked_for_consent_by_their_own_tenants_client(browser: Browser) -> None:
    await browser.code(CLIENT)
    await browser.authorize(CLIENT, prompt="consent")
    assert "code" in browser.answered()


async def test_a_sign_in_that_is_too_old_is_none(browser: Browser) -> None:
    await browser.code(CLIENT)
    browser.suite.clock.move(60)
    assert (await browser.authorize(CLIENT, max_age="60")).status_code == 303
    assert (await browser.authorize(CLIENT, max_age="59")).status_code == 200
    await browser.authorize(CLIENT, max_age="59", prompt="none")
    assert browser.answered()["error"] == "login_required"


async def test_the_smallest_age_can_be_met_by_signing_in(browser: Browser) -> None:
    await browser.authorize(CLIENT, max_age="0")
    browser.suite.clock.move(3)
    await browser.sign_in()
    assert "code" in browser.answered()


async def suspend(suite: Suite, user: User) -> None:
    await suite.set_status("suspended")
    await suite.set_status("active")


async def disable(suite: Suite, user: User) -> None:
    await change_user(suite, user, lambda one: msgspec.structs.replace(one, status="disabled"))


async def set_password(suite: Suite, user: User) -> None:
    await change_user(suite, user, people.signed_out)


async def kill(suite: Suite, user: User) -> None:
    (session,) = await sessions(suite)
    await suite.do.session_end.end(ACME, session.id, "admin", Actor("user", "usr_admin", ACME))


async def wait(suite: Suite, user: User) -> None:
    suite.clock.move(12 * 3600)


@pytest.mark.parametrize("end", [suspend, disable, set_password, kill, wait], ids=lambda end: end.__name__)
async def test_a_browser_session_ends_with(suite: Suite, end: Any) -> None:
    """T10, R8: and so does a code that rests on it, before it is redeemed."""
    user, client = await suite.add_user(), await add_client(suite)
    browser = Browser(suite)
    await browser.code(client)
    assert "code" in told((await browser.authorize(client, prompt="none")).headers["location"])
    code = browser.answered()["code"]
    suite.clock.move(1)
    await end(suite, user)
    await browser.authorize(client, prompt="none")
    assert browser.answered()["error"] == "login_required"
    got = await browser.redeem(code, client)
    assert (got.status_code, got.json()["error"]) == (400, "invalid_grant")


async def test_signing_out_ends_it_here_and_a_stolen_cookie_with_it(browser: Browser) -> None:
    await browser.code(CLIENT)
    thief = Browser(browser.suite)
    thief.client.cookies.update(browser.client.cookies)
    page = await browser.get("/oauth2/logout")
    assert "owner@acme.test" in page.text
    done = await browser.send()
    assert "Signed out" in done.text
    assert "Max-Age=0" in done.headers["set-cookie"]
    for one in (browser, thief):
        await one.authorize(CLIENT, prompt="none")
        assert one.answered()["error"] == "login_required"
    assert "Signed out" in (await browser.get("/oauth2/logout")).text


async def test_who_is_signed_in_elsewhere_is_nobody_here(browser: Browser) -> None:
    """T1: a person of one tenant is not one of another's, whatever cookie they have."""
    suite = browser.suite
    await suite.add_tenant("tnt_other", "other")
    foreign = await add_client(suite, tenant_id="tnt_other")
    await browser.code(CLIENT)
    await browser.authorize(foreign, prompt="none")
    assert browser.answered()["error"] == "login_required"
    await browser.authorize(foreign)
    refused = await browser.sign_in()
    assert refused.status_code == 400, "the same address and password are somebody else's there"


async def test_a_person_gives_what_their_role_has_and_no_more(browser: Browser) -> None:
    await browser.suite.add_user("bob@acme.test", "member")
    await browser.authorize(CLIENT, scope="openid tenant:read users:read offline_access")
    await browser.sign_in("bob@acme.test")
    got = await browser.redeem(browser.answered()["code"], CLIENT)
    assert got.json()["scope"] == "openid tenant:read"


async def test_who_has_nothing_to_give_is_told_so_by_the_client(browser: Browser) -> None:
    await browser.suite.add_user("bob@acme.test", "member")
    await browser.authorize(CLIENT, scope="users:read")
    await browser.sign_in("bob@acme.test")
    assert browser.answered()["error"] == "invalid_scope"


async def test_an_answer_is_about_the_person_who_was_hinted_at(browser: Browser) -> None:
    """OpenID Connect Core §3.1.2.2: about nobody else, and an older ID token is a hint as good."""
    await browser.suite.add_user("bob@acme.test", "member")
    got = await browser.redeem(await browser.code(CLIENT), CLIENT)
    owner = got.json()["id_token"]
    assert (await browser.authorize(CLIENT, id_token_hint=owner, prompt="none")).status_code == 303
    assert "code" in browser.answered()
    await browser.authorize(CLIENT, prompt="login")
    await browser.sign_in("bob@acme.test")
    assert "code" in browser.answered()
    browser.suite.clock.move(3600)
    await browser.authorize(CLIENT, id_token_hint=owner, prompt="none")
    assert browser.answered()["error"] == "login_required"
    assert (await browser.authorize(CLIENT, id_token_hint=owner)).status_code == 200
    await browser.sign_in("bob@acme.test")
    assert browser.answered()["error"] == "login_required"
    await browser.authorize(CLIENT, id_token_hint=owner)
    await browser.sign_in()
    assert "code" in browser.answered()


async def test_a_client_may_insist_on_a_second_factor(suite: Suite) -> None:
    """RFC 9470 §4, §5: a password that would do beside it does, and other levels are not known."""
    someone = await person(suite)
    await add_client(suite)
    browser = Browser(suite)
    await browser.code(CLIENT)
    for would_do in ("aal2 aal1", "aal3", "aal1"):
        await browser.authorize(CLIENT, acr_values=would_do)
        assert "code" in browser.answered()
    await browser.authorize(CLIENT, acr_values="aal2", prompt="none")
    assert browser.answered()["error"] == "login_required"
    assert (await browser.authorize(CLIENT, acr_values="aal2")).status_code == 200
    await browser.sign_in()
    assert browser.answered()["error"] == "unmet_authentication_requirements"

    await someone.enrol_totp()
    suite.clock.move(60)
    await browser.authorize(CLIENT, acr_values="urn:other aal2")
    await browser.sign_in()
    await browser.send(code=someone.code())
    got = await browser.redeem(browser.answered()["code"], CLIENT)
    assert claims(got.json()["id_token"])["acr"] == "aal2"
    await browser.authorize(CLIENT, acr_values="aal2", prompt="none")
    assert "code" in browser.answered()


async def test_a_hint_fills_in_the_address_and_is_no_markup(browser: Browser) -> None:
    hint = '"><script>alert(1)</script>'
    page = await browser.authorize(CLIENT, login_hint=hint)
    assert "<script>alert" not in page.text
    assert browser.form()["email"] == hint
    assert re.search(r'id="password"[^>]* autofocus', page.text)
