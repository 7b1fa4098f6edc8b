"""The page for a forgotten password: the same for everybody, and a way back to where somebody came from."""

import re
from urllib.parse import urlencode

import httpx
import pytest

from functions.auth import records
from functions.auth.domain.page_token import LIFETIME
from functions.auth.guessing.source import Source
from functions.auth.guessing.throttle import PER_ADDRESS
from functions.auth.hosted import markup, pages
from shared.store import Create, Delete
from tests.unit.auth.browser import Browser, add_client
from tests.unit.auth.people import NEW_PASSWORD, People
from tests.unit.auth.suite import ACME, PASSWORD, Suite
from tests.unit.auth.test_mail import text
from tests.unit.auth.test_pages import masked

pytestmark = pytest.mark.anyio

ADA, OFF, NOBODY = "ada@acme.test", "off@acme.test", "nobody@acme.test"
INVITED = "invited@acme.test"
CLIENT = f"{ACME}.cli_web"
PATH = "/forgot-password"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def browser(suite: Suite) -> Browser:
    """With ada, an owner, in the suite; `OFF`, who is disabled; and `INVITED`, who has not accepted yet."""
    people = People(suite)
    ada = await people.added(ADA, "owner")
    off = await people.add(OFF)
    assert (await ada.ask("POST", f"/v1/users/{off.id}/disable")).status_code == 200
    await suite.invite(INVITED)
    await add_client(suite)
    suite.bus.messages.clear()
    return Browser(suite)


async def to_the_page(browser: Browser) -> None:
    """By the button of the sign-in page that is shown."""
    before, form, _ = browser.answer.text.partition(f'<form method="post" action="{PATH}">')
    browser.answer = httpx.Response(200, text=browser.answer.text.removeprefix(before))
    assert form
    await browser.send()
    assert (browser.answer.status_code, ">Forgot your password?</h1>" in browser.answer.text) == (200, True)


async def mailed(suite: Suite) -> list[tuple[str, str]]:
    """To whom a link goes now, and its code."""
    await suite.deliver_published("mail.requested")
    suite.bus.messages.clear()
    found = [(mail["To"], re.search(r"/reset-password#token=(\S+)", text(mail))) for mail in suite.mails()]
    return [(to, link[1]) for to, link in found if link]


async def test_who_forgot_the_password_on_the_way_to_an_application_gets_there(browser: Browser) -> None:
    """From a sign-in that failed as far as the tokens; the mail is opened elsewhere."""
    await browser.authorize(CLIENT)
    await browser.sign_in(ADA, "not that one either")
    await to_the_page(browser)
    assert "<strong>Acme</strong> account" in browser.answer.text
    assert browser.form().keys() == {"page", "email"}, "the client says which organisation"
    assert browser.form()["email"] == ADA
    page = await browser.send()
    assert (page.status_code, 'role="status"' in page.text) == (200, True)
    ((to, code),) = await mailed(browser.suite)
    assert to == ADA
    elsewhere = Browser(browser.suite)
    await elsewhere.get("/reset-password")
    chosen = await elsewhere.send(token=code, password=NEW_PASSWORD, password_again=NEW_PASSWORD)
    assert chosen.status_code == 200
    assert browser.form()["email"] == ADA
    await browser.send(password=NEW_PASSWORD)
    assert browser.answered()["state"] == "st&te=1"
    assert (await browser.redeem(browser.answered()["code"], CLIENT)).status_code == 200
    assert "password.request_reset" in await browser.suite.audit()


async def test_a_device_is_not_forgotten_either(browser: Browser) -> None:
    await browser.get("/device", user_code="BCDF-GHJK")
    await to_the_page(browser)
    await browser.send(organisation="acme", email=ADA)
    assert (browser.form()["organisation"], browser.form()["email"]) == ("acme", ADA)
    await browser.send(password=PASSWORD)
    assert browser.answer.headers["location"] == "/device?user_code=BCDFGHJK"


async def test_whoever_is_named_page_and_work_are_the_same(browser: Browser) -> None:
    """L3: bytes, headers, reads and writes."""
    seen, work = [], []
    store = browser.suite.store
    await browser.get(PATH)
    opened = browser.answer
    for email, slug in (
        (ADA, "acme"),
        (NOBODY, "acme"),
        (OFF, "acme"),
        (INVITED, "acme"),
        (ADA, "nobody"),
        (ADA, "../acme"),
        (ADA, "x" * 1000),
        (ADA, ""),
        (ADA, "\0\u00fc\u202e"),
    ):
        browser.answer = opened
        store.reads.clear()
        store.commits.clear()
        page = await browser.send(organisation=slug, email=email)
        headers = {name: value for name, value in page.headers.items() if name != "x-request-id"}
        seen.append((page.status_code, headers, page.content))
        shape = [[type(write).__name__ for write in commit] for commit in store.commits]
        work.append((len(store.reads), shape))
    assert (seen[0][0], "Check your mailbox" in page.text) == (200, True)
    assert all(one == seen[0] for one in seen)
    assert work[0][1]
    assert all(done == work[0] for done in work)
    assert [to for to, _ in await mailed(browser.suite)] == [ADA]


async def test_on_the_way_to_an_application_it_is_the_same_too(browser: Browser) -> None:
    """L3; nor does another organisation count than the application's."""
    await browser.authorize(CLIENT)
    await to_the_page(browser)
    opened = browser.answer
    seen = []
    for email in (ADA, NOBODY, OFF, INVITED):
        browser.answer = opened
        await browser.send(email=email, organisation="globex")
        seen.append(masked(browser, email))
    assert all(one == seen[0] for one in seen)
    assert [to for to, _ in await mailed(browser.suite)] == [ADA]


async def test_it_is_bounded_as_the_json_route_is(browser: Browser) -> None:
    """L5: what is refused has written nothing, and comes back filled in."""
    suite = browser.suite
    await browser.get(PATH)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(browser.client, "headers", {"x-forwarded-for": "192.0.2.1"})
        for _ in range(PER_ADDRESS.burst):
            await suite.do.throttle.spend("globex", Source("192.0.2.1"))
        commits = len(suite.store.commits)
        page = await browser.send(organisation="acme", email=ADA)
    assert (page.status_code, page.headers["retry-after"]) == (429, "6")
    assert "Too many tries" in page.text
    assert len(suite.store.commits) == commits
    assert (browser.form()["organisation"], browser.form()["email"]) == ("acme", ADA)
    assert (await browser.send()).status_code == 200, "from another address"


async def test_an_outage_is_a_page_that_says_when_to_try_again(browser: Browser) -> None:
    await browser.get(PATH)
    browser.suite.store.down = True
    page = await browser.send(organisation="acme", email=ADA)
    assert (page.status_code, page.headers["retry-after"]) == (503, "1")
    assert 'role="alert"' in page.text
    browser.suite.store.down = False
    assert (await browser.send()).status_code == 200


@pytest.mark.parametrize("email", ["", "no address", f"{'x' * 300}@acme.test", "a@b", '"><b>@acme.test'])
async def test_what_is_no_address_is_shown_again(browser: Browser, email: str) -> None:
    await browser.get(PATH)
    page = await browser.send(organisation="acme", email=email)
    assert (page.status_code, "This is not an e-mail address" in page.text) == (422, True)
    assert (browser.form()["organisation"], browser.form()["email"]) == ("acme", email)
    assert "<b>" not in page.text
    assert await mailed(browser.suite) == []


async def test_another_browsers_form_and_an_old_one_ask_for_nothing(browser: Browser) -> None:
    other = Browser(browser.suite)
    await other.get(PATH)
    stolen = other.form()["page"]
    await browser.get(PATH)
    assert (await browser.send(page=stolen, organisation="acme", email=ADA)).status_code == 400
    browser.suite.clock.move(LIFETIME.total_seconds())
    page = await browser.send()
    assert (page.status_code, "open for too long" in page.text) == (400, True)
    assert browser.suite.bus.events("mail.requested") == []
    assert (await browser.send()).status_code == 200, "the page that was shown instead works"


async def test_whatever_is_sent_is_refused_and_asks_for_nothing(browser: Browser) -> None:
    await browser.authorize(CLIENT)
    await browser.get("/device")
    await browser.sign_in(ADA, PASSWORD, organisation="acme")
    await browser.get("/device")
    device = browser.form()["page"]
    await browser.get(PATH)
    good = urlencode({**browser.form(), "organisation": "acme", "email": ADA}).encode()
    commits = len(browser.suite.store.commits)
    for status, body, headers in (
        (415, good, {"content-type": "application/json"}),
        (415, good, {}),
        (413, good + b"&a=" + b"x" * 65_536, FORM),
        (400, good + b"&email=x", FORM),
        (400, good + b"&x=%ff", FORM),
        (400, good + b"&a=" * 101, FORM),
        (400, b"", FORM),
        (400, good.replace(b"page=", b"page=A"), FORM),
        (400, urlencode({"page": device, "organisation": "acme", "email": ADA}).encode(), FORM),
        (403, good, FORM | {"sec-fetch-site": "cross-site"}),
        (403, good, FORM | {"origin": "https://evil.example"}),
    ):
        answer = await browser.client.post(PATH, content=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8"), (
            body[-40:],
            headers,
        )
    assert len(browser.suite.store.commits) == commits
    own = FORM | {"origin": "null", "sec-fetch-site": "same-origin"}
    assert (await browser.client.post(PATH, content=good, headers=own)).status_code == 200


async def test_no_form_for_a_password_signs_anybody_in_and_a_client_that_is_gone_is_told_of(
    browser: Browser,
) -> None:
    await browser.authorize(CLIENT)
    await to_the_page(browser)
    page = {**browser.form(), "email": ADA, "password": PASSWORD}
    assert (await browser.client.post("/oauth2/sign-in", data=page)).status_code == 400
    store = browser.suite.store
    audit = Create(store.tenant(ACME).key("audit", "aud_deleted"), {})
    await store.inner.commit(audit, Delete(records.client_key(store, ACME, "cli_web")))
    gone = await browser.send(email=ADA)
    assert (gone.status_code, "no such application" in gone.text) == (400, True)
    assert browser.suite.bus.events("mail.requested") == []


async def test_no_script_runs_there_and_fields_are_labelled(browser: Browser) -> None:
    page = await browser.get(PATH)
    assert page.headers["content-security-policy"].split("; ") == [
        "default-src 'none'",
        f"style-src {markup.source(markup.STYLE)}",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    assert "<script" not in page.text
    assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")
    inputs = re.findall(r'<input id="(\w+)" name="(\w+)" required [^>]*autocomplete="([\w-]+)"', page.text)
    assert inputs == [("organisation", "organisation", "organization"), ("email", "email", "username")]
    assert all(f'<label for="{name}">' in page.text for name, _, _ in inputs)
    assert page.text.count(" autofocus") == 1


def test_whatever_is_shown_is_text() -> None:
    bad = "<b>&\"'"
    for shown in (
        pages.forgot_password(pages.SignInForm(bad, bad, bad, bad, bad, bad)),
        pages.forgot_password(pages.SignInForm(token=bad, slug=bad)),
        pages.sign_in(pages.SignInForm(token=bad, slug=bad, done=bad)),
    ):
        assert "<b>" not in shown
        assert "&amp;&quot;&#x27;" in shown
