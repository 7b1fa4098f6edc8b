"""Sign-out that a client begins (OpenID Connect RP-Initiated Logout 1.0): who is asked, what ends."""

import asyncio

import jwt
import msgspec
import pytest

from functions.auth.domain import client_id as client_ids
from functions.auth.domain.authorization_request import MAX_STATE
from functions.auth.keyring.key_rings import SIGNING_RING
from functions.auth.sessions.browser_sessions import BrowserSessions
from shared import revocations
from shared.errors import Unavailable
from tests.unit.auth import applications
from tests.unit.auth.browser import CALLBACK, SECRET, Browser, add_client, claims, query_of
from tests.unit.auth.suite import ACME, Suite
from tests.unit.auth.test_key_rotation import OPERATOR, rotate, token

pytestmark = pytest.mark.anyio

CLIENT = f"{ACME}.cli_web"
BACK = "https://app.example/signed-out?from=us"
LOGOUT = "/oauth2/logout"


@pytest.fixture
async def browser(suite: Suite) -> Browser:
    await suite.add_user()
    await add_client(suite, post_logout_redirect_uris=(BACK, "com.example.app:/out"))
    return Browser(suite)


async def signed_in(browser: Browser, client: str = CLIENT) -> dict[str, str]:
    """The tokens of an application to which somebody signs in."""
    got = await browser.redeem(await browser.code(client), client)
    found: dict[str, str] = got.json()
    return found


async def is_signed_in(browser: Browser) -> bool:
    await browser.authorize(CLIENT, prompt="none")
    return "code" in browser.answered()


async def refreshes(browser: Browser, tokens: dict[str, str]) -> bool:
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    answer = await browser.client.post("/oauth2/token", data=form, auth=(CLIENT, SECRET))
    return answer.status_code == 200


def went_back(browser: Browser, state: str = "") -> bool:
    location = browser.answer.headers.get("location", "")
    return bool(location == BACK + (f"&state={state}" if state else ""))


async def test_whoever_is_named_by_the_hint_is_signed_out_without_a_question(browser: Browser) -> None:
    tokens = await signed_in(browser)
    thief = Browser(browser.suite)
    thief.client.cookies.update(browser.client.cookies)
    query = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BACK, "state": "s/1"}
    answer = await browser.get(LOGOUT, **query, logout_hint="x", ui_locales="de fr")
    assert answer.status_code == 303
    assert query_of(answer.headers["location"]) == {"from": "us", "state": "s/1"}
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not await is_signed_in(browser)
    assert not await is_signed_in(thief)


async def test_what_ends_is_audited_and_told_in_the_commit_that_ends_it(browser: Browser) -> None:
    """The browser's session, and the one that the ID token was given for; each once."""
    suite = browser.suite
    tokens = await signed_in(browser)
    suite.bus.messages.clear()
    suite.store.commits.clear()
    for _ in range(2):
        await browser.get(LOGOUT, id_token_hint=tokens["id_token"], client_id=CLIENT)
    written = [{write.key.path for write in writes} for writes in suite.store.commits]
    ends = [
        {"outbox" if path.startswith("outbox/") else path.split("/")[2] for path in paths}
        for paths in written
        if any("/sessions/" in path for path in paths)
    ]
    assert ends == [{"sessions", "audit", "outbox", "revocations"}, {"sessions", "audit", "outbox"}]
    ended = [msgspec.json.decode(event.data) for event in suite.bus.events("session.revoked")]
    assert [each["because"] for each in ended] == ["sign_out", "sign_out"]
    assert claims(tokens["id_token"])["sid"] == ended[0]["session_id"]
    assert not await refreshes(browser, tokens)
    assert not (await revocations.recent(suite.store, ACME, suite.clock())).is_nothing


async def test_another_applications_session_goes_on(browser: Browser) -> None:
    other = await add_client(browser.suite, "cli_other")
    kept, tokens = await signed_in(browser), await signed_in(browser, other)
    await browser.get(LOGOUT, id_token_hint=tokens["id_token"])
    assert "Signed out" in browser.answer.text
    assert await refreshes(browser, kept)


async def test_a_crash_between_the_two_ends_is_made_up_by_coming_again(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = await signed_in(browser)

    async def down(*_: object) -> None:
        raise Unavailable("store_unavailable", "The store did not answer. Try again.")

    with monkeypatch.context() as patch:
        patch.setattr(BrowserSessions, "end", down)
        assert (await browser.get(LOGOUT, id_token_hint=tokens["id_token"])).status_code == 503
    query = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BACK}
    await browser.get(LOGOUT, **query)
    assert went_back(browser)
    assert not await is_signed_in(browser)


async def test_an_id_token_counts_however_old_and_after_its_session(browser: Browser) -> None:
    """§2: the application may have given its tokens back before."""
    tokens = await signed_in(browser)
    form = {"token": tokens["refresh_token"]}
    await browser.client.post("/oauth2/revoke", data=form, auth=(CLIENT, SECRET))
    browser.suite.clock.move(11 * 3600)
    assert await is_signed_in(browser)
    await browser.get(LOGOUT, id_token_hint=tokens["id_token"], post_logout_redirect_uri=BACK)
    assert went_back(browser)
    assert not await is_signed_in(browser)


async def test_without_a_hint_the_person_is_asked_and_then_led_back(browser: Browser) -> None:
    await signed_in(browser)
    asked = {"client_id": CLIENT, "post_logout_redirect_uri": BACK, "state": "s"}
    page = await browser.get(LOGOUT, **asked)
    assert page.status_code == 200
    assert "owner@acme.test" in page.text
    assert "Acme &lt;Reports&gt;" in page.text
    assert "; form-action 'self' https://app.example; " in page.headers["content-security-policy"]
    assert await is_signed_in(browser), "a question ends nothing"
    browser.answer = page
    answer = await browser.send()
    assert went_back(browser, "s")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert not await is_signed_in(browser)


async def test_a_form_may_lead_to_an_application_on_a_phone(browser: Browser) -> None:
    await signed_in(browser)
    page = await browser.get(LOGOUT, client_id=CLIENT, post_logout_redirect_uri="com.example.app:/out")
    assert "; form-action 'self' com.example.app:; " in page.headers["content-security-policy"]
    assert (await browser.send()).headers["location"] == "com.example.app:/out"


async def test_a_hint_that_cannot_be_verified_costs_a_question(browser: Browser) -> None:
    """Forged, changed, of a removed key, no ID token at all, of another issuer, client or person."""
    suite = browser.suite
    tokens = await signed_in(browser)
    good = tokens["id_token"]
    head, body, signature = good.split(".")
    key = applications.SIGNING_KEYS["ES256"]
    kid = jwt.get_unverified_header(good)["kid"]
    signer = (await suite.do.keys.current()).signer
    said = claims(good)
    bad = (
        jwt.encode(said, key, algorithm="ES256", headers={"kid": kid}),
        jwt.encode(said, key, algorithm="ES256", headers={"kid": "another"}),
        jwt.encode(said, "", algorithm="none", headers={"kid": kid}),
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}",
        "e30.e30.e30",
        "W" * 4000 + ".x.y",
        "x" * 5000,
        "ü.ü.ü",
        tokens["access_token"],
        tokens["refresh_token"],
        signer.sign(msgspec.json.encode(said | {"iss": "https://other.example"}), "JWT"),
        signer.sign(msgspec.json.encode(said | {"aud": f"{ACME}.cli_none"}), "JWT"),
        signer.sign(msgspec.json.encode(said | {"aud": "energent-app"}), "JWT"),
        signer.sign(msgspec.json.encode({"sub": said["sub"]}), "JWT"),
    )
    for hint in bad:
        page = await browser.get(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=BACK)
        assert (page.status_code, "Sign out here" in page.text) == (200, True), hint[:80]
        assert "app.example" not in page.headers["content-security-policy"], hint[:80]
    assert await is_signed_in(browser)


async def test_a_hint_counts_as_long_as_its_key_is_published(browser: Browser) -> None:
    """Retiring as well as active; a removed key may be anybody's."""
    suite = browser.suite
    for gone in (False, True):
        hint = (await signed_in(browser))["id_token"]
        signed_by = jwt.get_unverified_header(hint)["kid"]
        await rotate(suite)
        assert jwt.get_unverified_header(await token(suite))["kid"] != signed_by
        if gone:
            await suite.do.key_rotation.remove(SIGNING_RING, signed_by, OPERATOR)
            suite.clock.move(60)
        await browser.get(LOGOUT, id_token_hint=hint)
        assert ("Sign out here" in browser.answer.text) is gone
        assert await is_signed_in(browser) is gone


async def test_two_requests_at_once_end_it_once(browser: Browser) -> None:
    suite = browser.suite
    query = {"id_token_hint": (await signed_in(browser))["id_token"], "post_logout_redirect_uri": BACK}
    suite.bus.messages.clear()
    both = await asyncio.gather(*(browser.client.get(LOGOUT, params=query) for _ in range(2)))
    assert [answer.headers["location"] for answer in both] == [BACK, BACK]
    assert len(suite.bus.events("session.revoked")) == 2, "the browser's and the application's"


async def test_somebody_elses_hint_signs_nobody_out(browser: Browser) -> None:
    """Of another person, another tenant, or a session that is none of that client's."""
    suite = browser.suite
    await suite.add_user("eve@acme.test", "member")
    eve = Browser(suite)
    await eve.authorize(CLIENT)
    await eve.sign_in("eve@acme.test")
    hers = (await eve.redeem(eve.answered()["code"], CLIENT)).json()["id_token"]
    mine = claims((await signed_in(browser))["id_token"])
    signer = (await suite.do.keys.current()).signer
    mixed = [
        {"sid": claims(hers)["sid"]},
        {"sid": "ses_none"},
        {"sid": "../x"},
        {"tid": "tnt_other"},
        {"sub": claims(hers)["sub"]},
    ]
    for hint in (hers, *(signer.sign(msgspec.json.encode(mine | each), "JWT") for each in mixed)):
        page = await browser.get(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=BACK)
        assert (page.status_code, "Sign out here" in page.text) == (200, True)
        assert await is_signed_in(browser)
        assert await is_signed_in(eve)
    browser.answer = page
    await browser.send()
    assert went_back(browser), "the client is proven, and the person has said yes"


async def test_a_client_id_that_is_not_the_hints_is_believed_as_little_as_the_hint(browser: Browser) -> None:
    other = await add_client(browser.suite, "cli_other", post_logout_redirect_uris=(BACK,))
    hint = (await signed_in(browser))["id_token"]
    page = await browser.get(LOGOUT, id_token_hint=hint, client_id=other, post_logout_redirect_uri=BACK)
    assert "Sign out here" in page.text
    assert "Acme" not in page.text
    assert "Signed out" in (await browser.send()).text


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/signed-out",
        "https://app.example/signed-out?from=us&x=1",
        "https://APP.example/signed-out?from=us",
        "https://evil.example/",
        "//evil.example",
        CALLBACK,
        "javascript:alert(1)",
        "",
    ],
)
async def test_the_browser_goes_to_registered_addresses_only(browser: Browser, uri: str) -> None:
    hint = (await signed_in(browser))["id_token"]
    page = await browser.get(LOGOUT, client_id=CLIENT, post_logout_redirect_uri=uri)
    assert ("has not registered the address" in page.text) is bool(uri)
    assert "Signed out" in (await browser.send()).text
    for _ in range(2):
        page = await browser.get(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=uri, state="s")
        assert (page.status_code, "Signed out" in page.text) == (200, True)
        assert ("has not registered the address" in page.text) is bool(uri)
        assert "<a" not in page.text
        await browser.code(CLIENT)


async def test_without_a_client_there_is_no_way_back(browser: Browser) -> None:
    """Nobody says it, nobody knows it, or it is disabled."""
    await add_client(
        browser.suite, "cli_over", status="disabled", post_logout_redirect_uris=("https://over.example/",)
    )
    for client in ("", "nobody", client_ids.of(ACME, "cli_over"), client_ids.of("tnt_other", "cli_web")):
        for uri in (BACK, "https://over.example/"):
            page = await browser.get(LOGOUT, client_id=client, post_logout_redirect_uri=uri)
            assert (page.status_code, "<a" in page.text) == (200, False)


async def test_where_nobody_is_signed_in_an_id_token_leads_back_and_a_name_offers_to(
    browser: Browser,
) -> None:
    """§3: without an ID token nothing says that the person comes from there, so it takes a click."""
    hint = (await signed_in(browser))["id_token"]
    stranger = Browser(browser.suite)
    await stranger.get(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=BACK, state="s")
    assert went_back(stranger, "s")
    assert "set-cookie" not in stranger.answer.headers
    page = await stranger.get(LOGOUT, client_id=CLIENT, post_logout_redirect_uri=BACK)
    assert page.status_code == 200
    assert f'<a class="button" href="{BACK}">Back to Acme &lt;Reports&gt;</a>' in page.text
    assert "set-cookie" not in page.headers
    assert await is_signed_in(browser), "a hint in another browser ends nothing"


async def test_a_clients_form_becomes_a_get_with_which_our_cookies_come(browser: Browser) -> None:
    """§2: GET and POST. With another site's form no cookie of ours comes (SameSite=Lax)."""
    hint = (await signed_in(browser))["id_token"]
    form = {"id_token_hint": hint, "post_logout_redirect_uri": BACK, "state": "a b", "else": "x"}
    crossing = {"sec-fetch-site": "cross-site", "origin": "https://app.example"}
    async with Browser(browser.suite).client as without_cookies:
        sent = await without_cookies.post(LOGOUT, data=form, headers=crossing)
    assert sent.status_code == 303
    target = sent.headers["location"]
    assert target.startswith(f"{LOGOUT}?")
    assert query_of(target) == {name: value for name, value in form.items() if name != "else"}
    await browser.get(target)
    assert query_of(browser.answer.headers["location"])["state"] == "a b"
    assert not await is_signed_in(browser)


async def test_other_sites_end_nothing_without_a_hint(browser: Browser) -> None:
    await signed_in(browser)
    await browser.get(LOGOUT)
    own = browser.form()
    crossing = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    assert (await browser.client.post(LOGOUT, data=own, headers=crossing)).status_code == 403
    attacker = Browser(browser.suite)
    attacker.client.cookies.update(browser.client.cookies)
    attacker.client.cookies.delete("__Host-energent-browser")
    await attacker.get(LOGOUT, client_id=CLIENT, post_logout_redirect_uri=BACK)
    answer = await browser.client.post(LOGOUT, data=attacker.form())
    assert (answer.status_code, answer.headers["location"]) == (303, LOGOUT)
    assert await is_signed_in(browser)


async def test_a_request_that_two_could_read_differently_is_refused(browser: Browser) -> None:
    hint = (await signed_in(browser))["id_token"]
    for query in (
        f"id_token_hint={hint}&id_token_hint={hint}",
        f"id_token_hint={hint}&state=" + "s" * (MAX_STATE + 1),
        "client_id=a&client_id=b",
    ):
        page = await browser.get(f"{LOGOUT}?{query}")
        assert (page.status_code, "That did not work" in page.text) == (400, True)
    assert await is_signed_in(browser)
