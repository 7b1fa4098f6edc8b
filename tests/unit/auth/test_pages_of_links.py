"""The pages behind the links of mails: opening one does nothing, its form does it once."""

import asyncio
import re
from html import unescape

import httpx
import msgspec
import pytest

from functions.auth.domain.one_time_link import OneTimeLink
from functions.auth.domain.people import INVITATION_LIFETIME
from functions.auth.hosted import link_pages, markup, pages
from functions.auth.hosted.link_pages import LinkForm
from shared.audit import Actor
from shared.errors import Unavailable
from tests.unit.auth.browser import Browser, add_client
from tests.unit.auth.people import NEW_PASSWORD, People, Person
from tests.unit.auth.suite import ACME, PASSWORD, Suite, principal
from tests.unit.auth.test_mail import text

pytestmark = pytest.mark.anyio

ADA, BOB, COUNTESS = "ada@acme.test", "bob@acme.test", "countess@acme.test"
PAGES = ("/invitation", "/reset-password", "/verify-email")
FORM = {"content-type": "application/x-www-form-urlencoded"}
TWICE = {"password": NEW_PASSWORD, "password_again": NEW_PASSWORD}
ACCEPT = {"name": "Bob", **TWICE}
CALLER, ACTOR = principal("owner"), Actor("user", "usr_test", ACME)


@pytest.fixture
async def browser(suite: Suite) -> Browser:
    return Browser(suite)


async def link(suite: Suite) -> str:
    """The one that is mailed now, as the person gets it."""
    for sent in suite.mailbox.glob("*.eml"):
        sent.unlink()
    for event in suite.bus.events("mail.requested"):
        await suite.deliver("mail.requested", msgspec.json.decode(event.data), event.subject, event.id)
    suite.bus.messages.clear()
    found = [each for mail in suite.mails() for each in re.findall(r"https://\S+#token=\S+", text(mail))]
    assert len(found) == 1
    return str(found[0])


async def code(suite: Suite) -> str:
    return (await link(suite)).partition("#token=")[2]


async def opened(browser: Browser, path: str) -> httpx.Response:
    page = await browser.get(path)
    assert page.status_code == 200
    return page


def told(done: httpx.Response) -> list[str]:
    """What somebody types to sign in: organisation, its short name, address."""
    return re.findall(r"<dd>([^<]*)</dd>", done.text)


async def ada(browser: Browser) -> Person:
    return await People(browser.suite).added(ADA, "owner")


async def forgot(browser: Browser, email: str = ADA) -> None:
    asked = {"tenant": "acme", "email": email}
    assert (await browser.client.post("/v1/auth/password/forgot", json=asked)).status_code == 202


async def change_address(person: Person) -> None:
    asked = {"email": COUNTESS, "password": PASSWORD}
    assert await person.code("POST", "/v1/me/email", asked) == (202, "")


async def signs_in(browser: Browser, email: str, password: str) -> bool:
    """On the hosted page, for an application, as far as its tokens."""
    client_id = f"{ACME}.cli_web"
    another = Browser(browser.suite)
    assert (await another.authorize(client_id)).status_code == 200
    if (await another.sign_in(email, password)).status_code != 303:
        return False
    return (await another.redeem(another.answered()["code"], client_id)).status_code == 200


async def test_somebody_invited_accepts_on_a_page_and_signs_in_on_another(browser: Browser) -> None:
    await add_client(browser.suite)
    await browser.suite.invite(BOB)
    address = await link(browser.suite)
    page, _, token = address.partition("#token=")
    assert page == "https://api.example.test/invitation"
    assert not await signs_in(browser, BOB, NEW_PASSWORD)
    await opened(browser, "/invitation")
    done = await browser.send(token=token, **ACCEPT)
    assert done.status_code == 200
    assert told(done) == ["Acme", "acme", BOB]
    assert await signs_in(browser, BOB, NEW_PASSWORD)
    assert "invitation.accept" in await browser.suite.audit()


async def test_a_forgotten_password_is_replaced_on_a_page(browser: Browser) -> None:
    await add_client(browser.suite)
    person = await ada(browser)
    await forgot(browser)
    await opened(browser, "/reset-password")
    done = await browser.send(token=await code(browser.suite), **TWICE)
    assert (done.status_code, "Your new password is set" in done.text) == (200, True)
    assert told(done) == ["Acme", "acme"]
    assert not await person.can_refresh()
    assert not await signs_in(browser, ADA, PASSWORD)
    assert await signs_in(browser, ADA, NEW_PASSWORD)


async def test_a_new_address_is_confirmed_on_a_page(browser: Browser) -> None:
    await add_client(browser.suite)
    await change_address(await ada(browser))
    await opened(browser, "/verify-email")
    done = await browser.send(token=await code(browser.suite))
    assert (done.status_code, told(done)) == (200, ["Acme", "acme", COUNTESS])
    assert await signs_in(browser, COUNTESS, PASSWORD)
    assert not await signs_in(browser, ADA, PASSWORD)


@pytest.mark.parametrize("path", PAGES)
async def test_whoever_opens_a_link_sees_the_same_and_uses_nothing_up(browser: Browser, path: str) -> None:
    """L18: a mail scanner, a prefetch, a person; with the token where a server can see it, or without."""
    store = browser.suite.store
    store.reads.clear()
    store.commits.clear()
    first = await opened(browser, path)
    assert "set-cookie" not in first.headers
    token = await browser.suite.invite(BOB)
    store.reads.clear()
    store.commits.clear()
    for query in ({}, {"token": token}):
        again = await browser.client.get(path, params=query, headers={"purpose": "prefetch"})
        assert again.content == first.content
        head = await browser.client.head(path, params=query)
        assert (head.status_code, head.content) == (200, b"")
    assert (store.reads, store.commits) == ([], [])
    assert {line.path for line in browser.logged} == {path}
    await opened(browser, "/invitation")
    assert (await browser.send(token=token, **ACCEPT)).status_code == 200


async def test_a_link_that_does_not_work_looks_the_same_whatever_is_wrong_with_it(browser: Browser) -> None:
    suite = browser.suite
    used, expired = await suite.invite("used@acme.test"), await suite.invite("late@acme.test")
    revoked = await suite.invitations.invite(CALLER, ACTOR, "gone@acme.test", "member")
    renewed = await suite.invitations.invite(CALLER, ACTOR, "new@acme.test", "member")
    await suite.invitations.revoke(CALLER, ACTOR, revoked.id)
    await suite.invitations.accept(used, PASSWORD, "Used", "req_1")
    suite.clock.move(INVITATION_LIFETIME.total_seconds())
    await suite.invitations.resend(CALLER, ACTOR, renewed.id)
    links = [OneTimeLink("invitation", ACME, each.id) for each in (revoked, renewed)]
    forged = OneTimeLink("invitation", "tnt_globex", "inv_1")
    other_kind = suite.links.text(OneTimeLink("password_reset", ACME, revoked.id))
    ours = [used, expired, *(suite.links.text(each) for each in (*links, forged))]
    seen = []
    for token in (*ours, other_kind, used[:-1], "x", "", "x" * 5000):
        await opened(browser, "/invitation")
        page = await browser.send(token=token, **ACCEPT)
        kept = browser.form()
        assert (kept["token"], kept["name"]) == ((token, "Bob") if token in ours else ("", "")), token[:50]
        shown = page.text.replace(f'value="{token}"', 'value=""').replace('value="Bob"', 'value=""')
        seen.append((page.status_code, shown))
    assert seen[0][0] == 422
    assert "This link does not work" in seen[0][1]
    assert all(one == seen[0] for one in seen)


async def test_the_other_links_work_once_too(browser: Browser) -> None:
    async def statuses(path: str, **form: str) -> list[int]:
        found = []
        for _ in range(2):
            await opened(browser, path)
            found.append((await browser.send(**form)).status_code)
        assert "This link does not work" in browser.answer.text
        return found

    await change_address(await ada(browser))
    assert await statuses("/verify-email", token=await code(browser.suite)) == [200, 422]
    await forgot(browser, COUNTESS)
    assert await statuses("/reset-password", token=await code(browser.suite), **TWICE) == [200, 422]


async def test_two_who_send_one_link_at_once_do_not_both_get_in(browser: Browser) -> None:
    token = await browser.suite.invite(BOB)
    sent = [browser.client.post("/invitation", data={"token": token, **ACCEPT}) for _ in range(2)]
    answers = await asyncio.gather(*sent)
    first, second = sorted(answer.status_code for answer in answers)
    assert first == 200
    assert second in (409, 422), "as it is met: somebody is there already, or the link is used"


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"password": "short", "password_again": "short"}, "password", "at least 15 characters"),
        ({"password": BOB * 3, "password_again": BOB * 3}, "password", "a name that belongs to the account"),
        ({"password": "x" * 2000, "password_again": "x" * 2000}, "password", "at most 1024 bytes"),
        ({"password": "", "password_again": ""}, "password", "Give a password"),
        ({"password_again": NEW_PASSWORD + "x"}, "password", "not the same"),
        ({"password_again": ""}, "password", "not the same"),
        ({"name": " "}, "name", "1 to 200 printable"),
        ({"name": "a\nb"}, "name", "1 to 200 printable"),
        ({"name": "x" * 201}, "name", "1 to 200 printable"),
    ],
)
async def test_what_is_refused_says_why_and_keeps_the_code(
    browser: Browser, changes: dict[str, str], field: str, reason: str
) -> None:
    token = await browser.suite.invite(BOB)
    await opened(browser, "/invitation")
    page = await browser.send(token=token, **(ACCEPT | changes))
    assert page.status_code == 422
    assert reason in unescape(page.text)
    kept = browser.form()
    assert (kept["token"], kept["name"]) == (token, (ACCEPT | changes)["name"])
    assert (kept["password"], kept["password_again"]) == ("", "")
    (wrong,) = re.findall(r'<input id="(\w+)"[^>]* aria-invalid="true"[^>]* autofocus', page.text)
    assert wrong == field
    assert (await browser.send(**ACCEPT)).status_code == 200, "with the code that the page kept"


async def test_what_a_tenant_or_another_account_is_shows_to_who_has_the_link_only(browser: Browser) -> None:
    token = await browser.suite.invite(BOB)
    await browser.suite.set_status("suspended")
    await opened(browser, "/invitation")
    page = await browser.send(token=token, **ACCEPT)
    assert (page.status_code, "suspended" in page.text, browser.form()["token"]) == (403, True, token)
    await browser.suite.set_status("active")
    await People(browser.suite).add(BOB)
    page = await browser.send(**ACCEPT)
    assert (page.status_code, "is in the tenant already" in page.text) == (409, True)
    assert browser.form()["token"] == token


async def test_an_outage_is_a_page_that_says_when_to_try_again(browser: Browser) -> None:
    suite = browser.suite
    token = await suite.invite(BOB)
    await opened(browser, "/invitation")
    places, suite.passwords._places = suite.passwords._places, 0
    page = await browser.send(token=token, **ACCEPT)
    suite.passwords._places = places
    assert (page.status_code, page.headers["retry-after"]) == (503, "1")
    assert "Too many sign-ins at once" in page.text
    suite.store.down = True
    page = await browser.send(**ACCEPT)
    assert (page.status_code, page.headers["retry-after"]) == (503, "1")
    suite.store.down = False
    assert (await browser.send(**ACCEPT)).status_code == 200


@pytest.mark.parametrize("path", PAGES)
async def test_whatever_is_sent_is_refused_and_uses_nothing_up(browser: Browser, path: str) -> None:
    token = await browser.suite.invite(BOB)
    good = f"token={token}&name=Bob&password={'x' * 16}&password_again={'x' * 16}".encode()
    for status, body, headers in (
        (415, good, {"content-type": "application/json"}),
        (415, good, {}),
        (415, good, FORM | {"content-encoding": "gzip"}),
        (415, good, {"content-type": "application/x-www-form-urlencoded; charset=latin-1"}),
        (413, good + b"&a=" + b"x" * 65_536, FORM),
        (400, good + b"&token=x", FORM),
        (400, good.replace(b"Bob", b"%ff"), FORM),
        (400, good.replace(b"Bob", b"\xff"), FORM),
        (400, good + b"&a=" * 101, FORM),
        (403, good, FORM | {"sec-fetch-site": "cross-site"}),
        (403, good, FORM | {"origin": "https://evil.example"}),
        (422, b"", FORM),
        (422, b"&&=x", FORM),
        (422, good.replace(b"inv1_", b"%00"), FORM),
    ):
        answer = await browser.client.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8"), (
            body[-40:],
            headers,
        )
        assert "x" * 16 not in answer.text
    assert browser.suite.passwords.hashed == 0
    await opened(browser, "/invitation")
    sent = await browser.client.post(
        "/invitation",
        data={"token": token, **ACCEPT},
        headers={"origin": "null", "sec-fetch-site": "same-origin"},
    )
    assert sent.status_code == 200


async def test_a_code_is_read_as_it_was_copied(browser: Browser) -> None:
    """Broken into lines by a mail program; or the whole link."""
    for email, around in (
        ("a@acme.test", "{}"),
        ("b@acme.test", "https://api.example.test/invitation#token={}"),
    ):
        token = around.format(await browser.suite.invite(email))
        await opened(browser, "/invitation")
        done = await browser.send(token=f" {token[:30]}\r\n{token[30:]}\t", **ACCEPT)
        assert done.status_code == 200, email


async def test_what_cannot_be_told_in_the_end_is_not_begun(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The organisation is looked up first: an outage there uses the link up for nothing."""
    await browser.suite.change_tenant(name="<Acme> & Co")

    async def down(_: str) -> None:
        raise Unavailable("store_unavailable", "The store did not answer. Try again.")

    token = await browser.suite.invite(BOB)
    await opened(browser, "/invitation")
    with monkeypatch.context() as patch:
        patch.setattr(browser.suite.do.organisations, "find", down)
        assert (await browser.send(token=token, **ACCEPT)).status_code == 503
    assert told(await browser.send(**ACCEPT)) == ["&lt;Acme&gt; &amp; Co", "acme", BOB]


async def test_a_dead_link_for_a_password_leads_to_a_new_one(browser: Browser) -> None:
    await opened(browser, "/reset-password")
    page = await browser.send(token="junk", **TWICE)
    assert '<a href="/forgot-password">' in page.text


async def test_a_mail_shows_link_and_code_in_both_halves(browser: Browser) -> None:
    await browser.suite.invite(BOB)
    address = await link(browser.suite)
    token = address.partition("#token=")[2]
    (mail,) = browser.suite.mails()
    lines, page = text(mail).splitlines(), text(mail, "html")
    assert (lines.count(address), lines.count(token)) == (1, 1)
    assert f'<a href="{address}">' in page
    assert f"<code>{token}</code>" in page


@pytest.mark.parametrize("path", PAGES)
async def test_one_script_runs_there_and_no_other(browser: Browser, path: str) -> None:
    for page in (await opened(browser, path), await browser.send(token="junk")):
        policy = page.headers["content-security-policy"].split("; ")
        assert policy == [
            "default-src 'none'",
            f"script-src {markup.source(link_pages.SCRIPT)}",
            f"style-src {markup.source(markup.STYLE)}",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ]
        assert page.text.count("<script>") == 1
        assert f"<script>{link_pages.SCRIPT}</script>" in page.text
        assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")
        shown = page.text.replace(link_pages.SCRIPT, "").replace(markup.STYLE, "")
        for never in ("javascript:", " on", "style=", "http:", "https:", "src="):
            assert never not in re.sub(r">[^<]*<", "><", shown), never
    await browser.get("/device")
    assert "script-src" not in browser.answer.headers["content-security-policy"]


def test_whatever_is_shown_is_text() -> None:
    bad = "<b>&\"'"
    form = LinkForm(bad, bad, bad, "name")
    for page in (link_pages.invitation, link_pages.password_reset, link_pages.email_verification):
        shown = page(form)
        assert "<b>" not in shown
        assert f'value="{bad}"' not in shown
        assert "&amp;&quot;&#x27;" in shown
    assert "<b>" not in pages.notice("Done", bad)


def test_fields_are_labelled_and_say_what_they_are() -> None:
    page = link_pages.invitation(LinkForm())
    inputs = re.findall(r'<input id="(\w+)" name="(\w+)" required [^>]*autocomplete="([\w-]+)"', page)
    assert inputs == [
        ("name", "name", "name"),
        ("password", "password", "new-password"),
        ("password_again", "password_again", "new-password"),
        ("token", "token", "off"),
    ]
    assert all(f'<label for="{name}">' in page for name, _, _ in inputs)
