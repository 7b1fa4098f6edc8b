"""Passwords that are forgotten, and those that are changed."""

import asyncio
import re
import statistics
import time
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from functions.auth import records
from functions.auth.domain.email_change import EmailChange
from functions.auth.domain.one_time_link import OneTimeLink
from functions.auth.domain.people import login_id
from shared.envelope import Delivery
from shared.events import make
from tests.unit.auth.people import NEW_PASSWORD, People, Person
from tests.unit.auth.suite import ACME, PASSWORD, Suite

pytestmark = pytest.mark.anyio

ADA = "ada@acme.test"
FORGOT, RESET, CHANGE = (f"/v1/auth/password/{what}" for what in ("forgot", "reset", "change"))


async def forgot(people: People, email: str = ADA, tenant: str = "acme") -> Any:
    answer = await people.post(FORGOT, {"tenant": tenant, "email": email})
    return answer.status_code, answer.content, sorted(answer.headers.items())


async def deliver_mails(suite: Suite) -> None:
    events = suite.bus.events("mail.requested")
    suite.bus.messages.clear()
    for event in events:
        data = msgspec.json.decode(event.data)
        await suite.deliver("mail.requested", data, event.subject, event.id)


def tokens_in(suite: Suite) -> list[str]:
    texts = [part.get_content() for mail in suite.mails() if (part := mail.get_body(("plain",)))]
    return [found[1] for text in texts if (found := re.search(r"/reset-password#token=(\S+)", text))]


async def token(suite: Suite, people: People) -> str:
    """That of the mail that is sent now."""
    before = set(tokens_in(suite)) if suite.mailbox.exists() else set()
    await forgot(people)
    await deliver_mails(suite)
    (new,) = set(tokens_in(suite)) - before
    return new


async def reset(people: People, text: str, password: str = NEW_PASSWORD) -> tuple[int, str]:
    answer = await people.post(RESET, {"token": text, "password": password})
    problem = answer.json() if answer.content else {}
    return answer.status_code, problem.get("errors", [{}])[0].get("code", problem.get("code", ""))


async def test_a_forgotten_password_is_replaced_and_every_session_ends(
    suite: Suite, people: People, ada: Person
) -> None:
    """L18"""
    text = await token(suite, people)
    assert await reset(people, text) == (204, "")
    assert not await ada.can_refresh()
    assert (await people.signed_in(ADA, NEW_PASSWORD)).tokens.access_token
    old = await people.post("/v1/auth/login", {"tenant": "acme", "email": ADA, "password": PASSWORD})
    assert old.status_code == 401
    assert not await ada.is_let_in()
    assert await reset(people, text) == (422, "invalid_token"), "a link works once"
    await deliver_mails(suite)
    assert sorted(mail["Subject"] for mail in suite.mails()) == [
        "Choose a new password",
        "Your password was changed",
    ]
    assert {"password.request_reset", "password.reset"} <= set(await suite.audit())


async def test_whoever_is_named_the_answer_is_the_same_and_so_is_the_work(
    suite: Suite, people: People, ada: Person
) -> None:
    """L3: bytes, reads and writes; the mail is decided upon later."""
    disabled = await people.add("off@acme.test")
    await ada.ask("POST", f"/v1/users/{disabled.id}/disable")
    answers, work = [], []
    for email, tenant in [
        (ADA, "acme"),
        ("nobody@acme.test", "acme"),
        (disabled.email, "acme"),
        (ADA, "nobody"),
        (ADA, "../x"),
    ]:
        suite.store.reads.clear()
        suite.store.commits.clear()
        answers.append(await forgot(people, email, tenant))
        shape = [[type(write).__name__ for write in commit] for commit in suite.store.commits]
        work.append((len(suite.store.reads), shape))
    assert answers[0][:2] == (202, b"{}")
    assert all(answer == answers[0] for answer in answers)
    assert all(done == work[0] for done in work)
    await deliver_mails(suite)
    assert [mail["To"] for mail in suite.mails()] == [ADA]


async def test_it_takes_as_long_for_unknown_people_as_for_known_ones(people: People, ada: Person) -> None:
    """L3: medians, so that a slow machine fails nobody; 5 % in tests/slow/test_password_reset_timing.py."""
    took: dict[str, list[float]] = {ADA: [], "nobody@acme.test": []}
    for _ in range(40):
        for email, times in took.items():
            started = time.perf_counter()
            await forgot(people, email)
            times.append(time.perf_counter() - started)
    known, unknown = (statistics.median(times) for times in took.values())
    assert 0.6 < known / unknown < 1.6


async def test_no_event_holds_address_or_link(suite: Suite, people: People, ada: Person) -> None:
    text = await token(suite, people)
    await forgot(people)
    published = b"".join(message.data for _, message in suite.bus.messages)
    assert ADA.encode() not in published
    assert text.encode() not in published


async def test_links_work_for_half_an_hour_and_no_longer(suite: Suite, people: People, ada: Person) -> None:
    """L18"""
    text = await token(suite, people)
    suite.clock.move(29 * 60)
    later = await token(suite, people)
    suite.clock.move(60)
    assert await reset(people, text) == (422, "invalid_token")
    assert await reset(people, later) == (204, "")


async def test_a_password_that_was_changed_kills_the_links_of_before(
    suite: Suite, people: People, ada: Person
) -> None:
    """L18"""
    first, second = await token(suite, people), await token(suite, people)
    assert await reset(people, second) == (204, "")
    assert await reset(people, first) == (422, "invalid_token")
    known = set(tokens_in(suite))
    await forgot(people)
    requests = suite.bus.events("mail.requested")
    await deliver_mails(suite)
    (third,) = set(tokens_in(suite)) - known
    ada = await people.signed_in(ADA, NEW_PASSWORD)
    change = {"current_password": NEW_PASSWORD, "new_password": PASSWORD}
    assert (await ada.ask("POST", CHANGE, change)).status_code == 204
    assert await reset(people, third) == (422, "invalid_token")
    for event in requests:
        await suite.deliver("mail.requested", msgspec.json.decode(event.data), ACME, event.id)
    assert await reset(people, third) == (422, "invalid_token"), "a redelivery brings it back"


async def test_of_many_who_use_a_link_at_once_one_sets_the_password(
    suite: Suite, people: People, ada: Person
) -> None:
    """L18"""
    text = await token(suite, people)
    passwords = [f"{NEW_PASSWORD} {number}" for number in range(4)]
    answers = await asyncio.gather(*(reset(people, text, password) for password in passwords))
    assert sorted(answers) == [(204, "")] + [(422, "invalid_token")] * 3
    winner = passwords[answers.index((204, ""))]
    assert (await people.signed_in(ADA, winner)).tokens.access_token


async def test_no_more_than_three_mails_an_hour_and_each_of_them_once_for_each_event(
    suite: Suite, people: People, ada: Person
) -> None:
    for _ in range(5):
        await forgot(people)
    events = suite.bus.events("mail.requested")
    for event in (*events, *events):
        data = msgspec.json.decode(event.data)
        await suite.deliver("mail.requested", data, event.subject, event.id)
    assert len(suite.mails()) == 3
    assert (await suite.audit()).count("password.request_reset") == 3
    assert len({mail["Message-ID"] for mail in suite.mails()}) == 3
    suite.clock.move(3600)
    suite.bus.messages.clear()
    await token(suite, people)
    assert len(suite.mails()) == 4


async def test_requests_from_the_future_are_in_nobodys_way_once_their_hour_is_over(
    suite: Suite, people: People, ada: Person
) -> None:
    """Whoever may publish to the topic says when an event was. Three of 2036 kept mails off until then."""
    asked = {"template": "password_reset", "document_id": login_id(ADA)}
    for number in range(3):
        event = make(
            "mail.requested",
            event_id=f"evt_{number}",
            source="//junk",
            subject=ACME,
            time=suite.clock() + timedelta(days=3650),
            data=asked,
        )
        await suite.handlers["mail.requested"](event, Delivery("msg_1", b"", {}))
    links = set(tokens_in(suite))
    suite.clock.move(3660)
    for link in links:
        assert await reset(people, link) == (422, "invalid_token")
    assert await reset(people, await token(suite, people)) == (204, "")


async def test_a_request_that_is_delivered_late_sends_nothing(
    suite: Suite, people: People, ada: Person
) -> None:
    await forgot(people)
    suite.clock.move(31 * 60)
    await suite.deliver_published("mail.requested")
    assert not suite.mailbox.exists()


@pytest.mark.parametrize(
    "text", ["x", "pwr1_", "pwr1_" + "A" * 90, "rt1_AAAA", "\u00e9", "a" * 512, "inv1_AAAA", "emv1_AAAA"]
)
async def test_what_is_no_link_of_ours_asks_no_store(suite: Suite, people: People, text: str) -> None:
    suite.store.reads.clear()
    assert await reset(people, text) == (422, "invalid_token")
    assert suite.store.reads == []


async def test_links_of_other_kinds_tenants_and_people_open_nothing(
    suite: Suite, people: People, ada: Person
) -> None:
    """L18: a link is bound to tenant and user."""
    text = await token(suite, people)
    link = suite.links.read("password_reset", text)
    assert link is not None
    assert (link.tenant_id, link.document_id) == (ACME, login_id(ADA))
    await people.add("bob@acme.test")
    for wrong in (
        OneTimeLink("password_reset", "tnt_globex", link.document_id, link.issue),
        OneTimeLink("password_reset", ACME, login_id("bob@acme.test"), link.issue),
        OneTimeLink("password_reset", ACME, link.document_id, "evt_other"),
        OneTimeLink("invitation", ACME, link.document_id, link.issue),
        OneTimeLink("email_verification", ACME, link.document_id, link.issue),
    ):
        assert await reset(people, suite.links.text(wrong)) == (422, "invalid_token")


async def test_a_refused_password_uses_nothing_up(suite: Suite, people: People, ada: Person) -> None:
    """L14, L18"""
    text = await token(suite, people)
    assert await reset(people, text, "short") == (422, "password_too_short")
    assert await reset(people, text, "ada ada ada ada ada") == (422, "password_from_context")
    assert (await people.client.get(f"/reset-password#token={text}")).status_code == 200
    assert await reset(people, text) == (204, "")


async def test_a_link_opens_nothing_once_its_user_is_disabled_or_its_tenant_suspended(
    suite: Suite, people: People, ada: Person
) -> None:
    bob = await people.add("bob@acme.test")
    await forgot(people, "bob@acme.test")
    await deliver_mails(suite)
    (text,) = tokens_in(suite)
    await ada.ask("POST", f"/v1/users/{bob.id}/disable")
    assert await reset(people, text) == (422, "invalid_token")
    await ada.ask("POST", f"/v1/users/{bob.id}/enable")
    await suite.set_status("suspended")
    assert await reset(people, text) == (403, "tenant_suspended")


async def test_a_changed_password_ends_the_other_sessions_and_keeps_this_one(
    suite: Suite, people: People, ada: Person
) -> None:
    """L18, R8"""
    other = await people.signed_in(ADA)
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await ada.ask("POST", CHANGE, change)).status_code == 204
    assert not await other.can_refresh()
    assert await ada.can_refresh()
    assert not await other.is_let_in()
    assert await ada.is_let_in()
    assert (await people.signed_in(ADA, NEW_PASSWORD)).tokens.access_token
    assert "password.change" in await suite.audit()


async def test_other_sessions_may_be_kept(people: People, ada: Person) -> None:
    other = await people.signed_in(ADA)
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "keep_other_sessions": True}
    assert (await ada.ask("POST", CHANGE, change)).status_code == 204
    assert await other.can_refresh()


async def test_an_access_token_alone_changes_no_password_and_guesses_are_slowed_down(
    suite: Suite, people: People, ada: Person
) -> None:
    """L18, L6"""
    wrong = {"current_password": "wrong horse battery staple", "new_password": NEW_PASSWORD}
    for _ in range(10):
        assert await ada.code("POST", CHANGE, wrong) == (403, "wrong_password")
    right = wrong | {"current_password": PASSWORD}
    assert await ada.code("POST", CHANGE, right) == (403, "wrong_password"), "too early a try"
    assert await reset(people, await token(suite, people)) == (204, ""), "no delay is in the way of a reset"


async def test_a_crash_between_commit_and_end_of_sessions_is_made_good_by_the_event(
    suite: Suite, people: People, ada: Person
) -> None:
    """R8: refresh is dead with the commit; access tokens end when the event is handled."""
    other = await people.signed_in(ADA)
    text = await token(suite, people)

    async def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(suite.do.session_end, "end_all", crash)
        with pytest.raises(KeyboardInterrupt):
            await suite.do.password_changes.reset(text, NEW_PASSWORD, "req_1")
    assert not await other.can_refresh()
    for _ in range(2):
        await suite.deliver_published("user.password_changed")
    assert not await other.is_let_in()


async def test_a_reset_stops_a_change_of_address_that_was_begun(
    suite: Suite, people: People, ada: Person
) -> None:
    text = await token(suite, people)
    await ada.ask("POST", "/v1/me/email", {"email": "eve@evil.test", "password": PASSWORD})
    user_id = (await ada.get("/v1/me"))["subject"]
    key = records.link_key(suite.store, ACME, user_id)
    change = records.found((await suite.store.inner.read(key))[0], EmailChange)
    assert change is not None
    assert await reset(people, text) == (204, "")
    link = suite.links.text(OneTimeLink("email_verification", ACME, user_id, change.value.id))
    assert (await people.post("/v1/auth/email/verify", {"token": link})).status_code == 422


async def test_a_request_is_nothing_to_whoever_has_the_address_since(
    suite: Suite, people: People, ada: Person
) -> None:
    """Its event comes again after the person was deleted and somebody else was invited to the address."""
    owner = await people.added("owner@acme.test", "owner")
    await forgot(people)
    (event,) = (each for each in suite.bus.events("mail.requested") if b"password_reset" in bytes(each.data))
    await suite.handlers["mail.requested"](event, Delivery("msg_1", b"", {}))
    (text,) = tokens_in(suite)
    ada_id = (await ada.get("/v1/me"))["subject"]
    suite.clock.move(60)
    assert (await owner.ask("DELETE", f"/v1/users/{ada_id}")).status_code == 204
    await people.add(ADA, "member")
    await suite.handlers["mail.requested"](event, Delivery("msg_2", b"", {}))
    assert await reset(people, text) == (422, "invalid_token")
