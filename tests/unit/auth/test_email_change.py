"""People change their address, their name and see where they are signed in."""

import asyncio
import re

import msgspec
import pytest

from functions.auth.domain import device_label
from functions.auth.domain.one_time_link import OneTimeLink
from tests.unit.auth.people import People, Person
from tests.unit.auth.suite import ACME, PASSWORD, Suite

pytestmark = pytest.mark.anyio

ADA, NEW = "ada@acme.test", "countess@acme.test"
EMAIL, VERIFY = "/v1/me/email", "/v1/auth/email/verify"


async def asked(ada: Person, email: str = NEW, password: str = PASSWORD) -> tuple[int, str]:
    return await ada.code("POST", EMAIL, {"email": email, "password": password})


async def deliver_mails(suite: Suite) -> None:
    events = suite.bus.events("mail.requested")
    suite.bus.messages.clear()
    for event in events:
        await suite.deliver("mail.requested", msgspec.json.decode(event.data), event.subject, event.id)


async def tokens(suite: Suite) -> list[str]:
    await deliver_mails(suite)
    texts = [part.get_content() for mail in suite.mails() if (part := mail.get_body(("plain",)))]
    return [found[1] for text in texts if (found := re.search(r"/verify-email#token=(\S+)", text))]


async def verified(people: People, token: str) -> tuple[int, str]:
    answer = await people.post(VERIFY, {"token": token})
    return answer.status_code, answer.json()["code"] if answer.content else ""


async def test_a_new_address_counts_once_its_link_was_used(suite: Suite, people: People, ada: Person) -> None:
    assert await asked(ada, "Countess@ACME.test") == (202, "")
    (token,) = await tokens(suite)
    assert sorted(mail["To"] for mail in suite.mails()) == [ADA, NEW]
    assert (await people.signed_in(ADA)).tokens.access_token, "not before"
    assert await verified(people, token) == (204, "")
    assert (await ada.get("/v1/me/profile"))["email"] == NEW
    assert (await people.signed_in(NEW)).tokens.access_token
    assert await ada.can_refresh(), "a change of address signs nobody out"
    old = await people.post("/v1/auth/login", {"tenant": "acme", "email": ADA, "password": PASSWORD})
    assert old.status_code == 401
    assert await verified(people, token) == (409, "link_used")
    assert (await people.added(ADA)).tokens.access_token, "the old address is free"
    assert {"user.request_email_change", "user.change_email"} <= set(await suite.audit())
    assert len(suite.bus.events("user.email_changed")) == 1


async def test_it_takes_the_password_and_not_just_a_token(suite: Suite, people: People, ada: Person) -> None:
    assert await asked(ada, password="wrong horse battery staple") == (403, "wrong_password")
    machine, secret = await suite.add_machine("usage:read")
    token = await suite.machine_token(machine, secret)
    body = {"email": NEW, "password": PASSWORD}
    refused = await people.client.post(EMAIL, json=body, headers={"Authorization": f"Bearer {token}"})
    assert (refused.status_code, refused.json()["code"]) == (403, "no_session")
    assert suite.bus.events("mail.requested") == []


async def test_only_the_newest_link_works_for_a_day(suite: Suite, people: People, ada: Person) -> None:
    await asked(ada)
    (first,) = await tokens(suite)
    await asked(ada, "other@acme.test")
    second = next(token for token in await tokens(suite) if token != first)
    assert await verified(people, first) == (422, "invalid_field")
    suite.clock.move(86_400)
    assert await verified(people, second) == (409, "link_expired")


async def test_an_address_that_somebody_has_is_told_to_nobody_and_not_given(
    suite: Suite, people: People, ada: Person
) -> None:
    """L3"""
    bob = await people.added("bob@acme.test")
    assert await asked(bob, ADA) == await asked(bob, "free@acme.test") == (202, "")
    await asked(bob, ADA)
    link = (await tokens(suite))[-1]
    assert await verified(people, link) == (409, "user_exists")
    assert (await bob.get("/v1/me/profile"))["email"] == "bob@acme.test"


async def test_of_two_who_take_one_address_at_once_one_gets_it(
    suite: Suite, people: People, ada: Person
) -> None:
    bob = await people.added("bob@acme.test")
    await asked(ada)
    await asked(bob)
    links = set(await tokens(suite))
    answers = await asyncio.gather(*(verified(people, link) for link in links))
    assert sorted(answers) == [(204, ""), (409, "user_exists")]


async def test_a_suspension_ahead_of_the_commit_stops_it(suite: Suite, people: People, ada: Person) -> None:
    """R8, T10: the asking and the link alike."""

    async def suspend() -> None:
        await suite.set_status("suspended")

    await asked(ada)
    (token,) = await tokens(suite)
    suite.store.before_commit = suspend
    assert await verified(people, token) == (403, "tenant_suspended")
    await suite.set_status("active")
    suite.clock.move(1)
    again = await people.signed_in(ADA)
    suite.store.before_commit = suspend
    assert await asked(again, "other@acme.test") == (403, "tenant_suspended")
    assert suite.bus.events("mail.requested") == suite.bus.events("user.email_changed") == []


async def test_changes_are_begun_three_times_an_hour(suite: Suite, people: People, ada: Person) -> None:
    for number in range(3):
        assert await asked(ada, f"new{number}@acme.test") == (202, "")
    refused = await ada.ask("POST", EMAIL, {"email": NEW, "password": PASSWORD})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_email_changes")
    assert refused.headers["retry-after"] == "3600"
    assert await asked(ada, ADA) == (409, "email_unchanged")
    suite.clock.move(3600)
    assert await asked(await people.signed_in(ADA)) == (202, "")


async def test_links_of_other_kinds_and_people_verify_nothing(
    suite: Suite, people: People, ada: Person
) -> None:
    await asked(ada)
    (token,) = await tokens(suite)
    link = suite.links.read("email_verification", token)
    assert link is not None
    for wrong in (
        OneTimeLink("email_verification", "tnt_globex", link.document_id, link.issue),
        OneTimeLink("email_verification", ACME, "usr_none", link.issue),
        OneTimeLink("email_verification", ACME, link.document_id, "chg_other"),
        OneTimeLink("password_reset", ACME, link.document_id, link.issue),
    ):
        assert await verified(people, suite.links.text(wrong)) == (422, "invalid_field")
    assert await verified(people, token) == (204, "")


async def test_a_mail_that_is_redelivered_is_the_same_mail(suite: Suite, people: People, ada: Person) -> None:
    await asked(ada)
    events = suite.bus.events("mail.requested")
    await suite.deliver_published("mail.requested")
    before = [mail.as_bytes() for mail in suite.mails()]
    await suite.deliver_published("mail.requested")
    assert [mail.as_bytes() for mail in suite.mails()] == before
    assert len(before) == len(events) == 2
    published = b"".join(message.data for _, message in suite.bus.messages)
    assert NEW.encode() not in published


async def test_people_change_their_name(suite: Suite, ada: Person) -> None:
    changed = await ada.ask("PATCH", "/v1/me/profile", {"name": " Countess "})
    assert changed.json()["name"] == "Countess"
    assert await ada.code("PATCH", "/v1/me/profile", {"name": "a\nb"}) == (422, "invalid_field")
    assert (await ada.get("/v1/me/profile")) == changed.json()
    await ada.ask("PATCH", "/v1/me/profile", {"name": "Countess"})
    assert len(suite.bus.events("user.updated")) == 1


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/140.0 Safari/537 Edg/140.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19 Safari/604", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/140.0 Mobile Safari/537", "Chrome on Android"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("x" * 300, "x" * 40),
        ("a\x1bb", ""),
        ("", ""),
    ],
)
def test_a_device_is_called_what_its_person_calls_it(user_agent: str, label: str) -> None:
    assert device_label.of(user_agent) == label
