"""People, roles and machines under attack: by applications, races, leftovers, and events that are none."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from functions.auth.domain import people as people_rules
from functions.auth.domain.one_time_link import OneTimeLink
from functions.auth.factors.factor_proofs import Answer
from functions.auth.oauth.tokens import Tokens
from shared.envelope import Delivery
from shared.errors import Conflict, Forbidden, Invalid
from shared.event_door import Rejected
from shared.events import make
from tests.unit.auth.browser import Browser, add_client
from tests.unit.auth.people import NEW_PASSWORD, People, Person
from tests.unit.auth.second_factor import SOURCE, person
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ada(people: People) -> Person:
    return await people.added(OWNER, "owner")


async def application(suite: Suite, people: People, scope: str) -> Person:
    """What an application has that `ada` signed in to."""
    client_id = await add_client(suite, scopes=tuple(scope.split()))
    browser = Browser(suite)
    code = await browser.code(client_id, scope=scope)
    answer = (await browser.redeem(code, client_id)).json()
    return Person(people, msgspec.convert(answer, Tokens))


OWN = [
    ("GET", "/v1/me/profile", None),
    ("PATCH", "/v1/me/profile", {"name": "Somebody Else"}),
    ("GET", "/v1/me/sessions", None),
    ("DELETE", "/v1/me/sessions", None),
    ("POST", "/v1/me/email", {"email": "else@acme.test", "password": PASSWORD}),
    (
        "POST",
        "/v1/auth/password/change",
        {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
    ),
    ("PUT", "/v1/security-policy", {"second_factor": "required", "methods": ["passkey"]}),
]


async def test_an_application_changes_nothing_of_the_person_it_acts_for(
    suite: Suite, people: People, ada: Person
) -> None:
    app = await application(suite, people, "openid security:write users:write")
    for method, path, body in OWN:
        assert await app.code(method, path, body) == (403, "first_party_only"), path
    (session, *_) = (await ada.get("/v1/me/sessions"))["items"]
    refused = (403, "first_party_only")
    assert await app.code("DELETE", f"/v1/me/sessions/{session['id']}") == refused
    bob = await people.add("bob@acme.test")
    assert await app.code("DELETE", f"/v1/users/{bob.id}/factors") == refused
    assert await ada.can_refresh()
    assert (await app.ask("GET", "/v1/me")).status_code == 200


async def test_password_and_token_alone_move_nobody_who_has_a_second_factor(suite: Suite) -> None:
    bob = await person(suite, "bob@acme.test", "member")
    who = await bob.enrol_totp()
    suite.clock.move(3600)
    later, do = await bob.principal_later(who), suite.do

    async def moved() -> None:
        await do.email_changes.request(later, bob.actor, "else@acme.test", PASSWORD, SOURCE)
        await do.password_changes.change(
            later, bob.actor, PASSWORD, NEW_PASSWORD, SOURCE, keep_other_sessions=False
        )

    with pytest.raises(Forbidden, match="step_up_required"):
        await moved()
    with pytest.raises(Forbidden, match="step_up_required"):
        await do.password_changes.change(
            later, bob.actor, PASSWORD, NEW_PASSWORD, SOURCE, keep_other_sessions=True
        )
    await do.step_up.by_factor(later, bob.actor, Answer(totp=bob.code()))
    await moved()


async def test_two_changes_of_address_at_once_are_no_outage(
    suite: Suite, people: People, ada: Person
) -> None:
    async def meanwhile() -> None:
        first = {"email": "first@acme.test", "password": PASSWORD}
        answer = await asyncio.create_task(ada.ask("POST", "/v1/me/email", first))
        assert answer.status_code == 202

    suite.store.before_commit = meanwhile
    asked = {"email": "second@acme.test", "password": PASSWORD}
    assert (await ada.ask("POST", "/v1/me/email", asked)).status_code == 202


async def test_a_role_that_an_invitation_gives_just_now_is_not_deleted(
    suite: Suite, people: People, ada: Person
) -> None:
    """Between the two looks, at users and at invitations, the one becomes the other."""
    await ada.ask("POST", "/v1/roles", {"name": "auditor", "scopes": ["audit:read"]})
    token = await suite.invite("bob@acme.test", "auditor")
    asked, run = [], suite.store.run

    async def meanwhile(query: Any, *more: Any) -> Any:
        page = await run(query, *more)
        asked.append(query.name)
        if len(asked) == 1:
            await suite.invitations.accept(token, PASSWORD, "Bob", "req_1")
        return page

    suite.store.run = meanwhile  # type: ignore[method-assign]
    assert await ada.code("DELETE", "/v1/roles/auditor") == (409, "role_in_use")
    assert asked


async def test_nobody_who_was_deleted_comes_back_by_an_older_invitation(
    suite: Suite, people: People, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_rules, "MAX_MAILS", 102)
    tokens = [await suite.invite("bob@acme.test", "admin") for _ in range(102)]
    bob = await suite.invitations.accept(tokens[0], PASSWORD, "Bob", "req_1")
    assert await ada.code("DELETE", f"/v1/users/{bob.id}") == (204, "")
    for token in tokens:
        with pytest.raises((Conflict, Invalid)):
            await suite.invitations.accept(token, PASSWORD, "Bob", "req_1")


async def test_an_owner_who_was_deleted_is_not_invited_by_the_same_message_again(
    suite: Suite, people: People
) -> None:
    await suite.deliver("tenant.activated", None)
    link = OneTimeLink("invitation", ACME, people_rules.owner_invitation_id(ACME))
    first = await suite.invitations.accept(suite.links.text(link), PASSWORD, "First", "req_1")
    ada = await people.added("ada@acme.test", "owner")
    assert await ada.code("DELETE", f"/v1/users/{first.id}") == (204, "")
    await suite.deliver("tenant.activated", None)
    assert (await ada.get("/v1/invitations"))["items"] == []
    assert len(suite.bus.events("mail.requested")) == 1


async def test_who_may_less_than_an_account_brings_nothing_of_it_back(
    suite: Suite, people: People, ada: Person
) -> None:
    scopes = ["service_accounts:read", "service_accounts:write"]
    await ada.ask("POST", "/v1/roles", {"name": "janitor", "scopes": scopes})
    eve = await people.added("eve@acme.test", "janitor")
    client, _ = await suite.add_machine("users:write")
    path = f"/v1/service-accounts/{client.partition('.')[2]}"
    (secret,) = (await ada.get(path))["secrets"]

    def until(hours: int) -> dict[str, str]:
        return {"expires_at": (suite.clock() + timedelta(hours=hours)).isoformat()}

    assert await eve.code("PATCH", f"{path}/secrets/{secret['id']}", until(2)) == (200, "")
    refused = (403, "scope_not_grantable")
    assert await eve.code("PATCH", f"{path}/secrets/{secret['id']}", until(3)) == refused
    assert await ada.code("PATCH", f"{path}/secrets/{secret['id']}", until(3)) == (200, "")
    assert await eve.code("PATCH", path, {"status": "disabled"}) == (200, "")
    assert await eve.code("PATCH", path, {"status": "active"}) == refused
    assert await ada.code("PATCH", path, {"status": "active"}) == (200, "")


@pytest.mark.parametrize("role", ["", "x" * 5000, "a\0", "Owner"])
@pytest.mark.parametrize("tenant_id", [ACME, "", "x" * 3000, "a/b"])
async def test_an_event_about_what_can_be_no_role_is_set_aside(
    suite: Suite, role: str, tenant_id: str
) -> None:
    with pytest.raises(Rejected):
        await suite.deliver("role.updated", {"role": role}, tenant_id)


@pytest.mark.parametrize("template", ["email_verification", "email_change_requested"])
async def test_a_mail_about_another_kind_of_document_is_set_aside(
    suite: Suite, people: People, ada: Person, template: str
) -> None:
    await people.post("/v1/auth/password/forgot", {"tenant": "acme", "email": OWNER})
    await suite.deliver_published("mail.requested")
    asked = {"template": template, "document_id": people_rules.login_id(OWNER)}
    with pytest.raises(Rejected) as rejected:
        await suite.deliver("mail.requested", asked)
    assert rejected.value.reason == "unknown_document"


async def test_two_deliveries_of_one_request_for_a_password_at_once_send_one_link(
    suite: Suite, people: People, ada: Person
) -> None:
    await people.post("/v1/auth/password/forgot", {"tenant": "acme", "email": OWNER})
    (event,) = suite.bus.events("mail.requested")
    again = make(
        "mail.requested",
        event_id=event.id,
        source=event.source,
        subject=event.subject,
        time=event.time,
        data=msgspec.json.decode(event.data),
    )

    async def meanwhile() -> None:
        await suite.handlers["mail.requested"](again, Delivery("msg_1", b"", {}))

    suite.store.before_commit = meanwhile
    await suite.handlers["mail.requested"](event, Delivery("msg_2", b"", {}))
    assert len(suite.mails()) == 1
