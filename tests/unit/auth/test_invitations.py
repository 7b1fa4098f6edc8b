"""Invitations: one mail, one use, one person."""

import asyncio
import re
from datetime import timedelta

import msgspec
import pytest

from functions.auth.domain.one_time_link import OneTimeLink
from functions.auth.domain.people import INVITATION_LIFETIME, MAX_MAILS, owner_invitation_id
from functions.auth.domain.roles import Role
from shared.audit import Actor
from shared.errors import Conflict, Error, Forbidden, Invalid, NotFound, TooManyRequests, Unavailable
from shared.event_door import Rejected
from tests.unit.auth.people import add_old_invitations
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite, principal

pytestmark = pytest.mark.anyio

ACTOR = Actor("user", "usr_test", ACME)


async def refusal(suite: Suite, token: str, password: str = PASSWORD, name: str = "Bob") -> Error:
    with pytest.raises(Error) as refused:
        await suite.invitations.accept(token, password, name, "req_1")
    return refused.value


async def test_somebody_invited_gets_a_mail_accepts_and_signs_in(suite: Suite) -> None:
    invitation = await suite.invitations.invite(principal("owner"), ACTOR, "Bob@ACME.test", "billing")
    assert (invitation.email, invitation.status) == ("bob@acme.test", "pending")
    await suite.deliver_published("mail.requested")
    (mail,) = suite.mails()
    assert (mail["To"], mail["Subject"]) == ("bob@acme.test", "You are invited")
    bodies = [mail.get_body((kind,)) for kind in ("plain", "html")]
    links = [re.findall(r"#token=(inv1_[A-Za-z0-9_-]+)", body.get_content()) for body in bodies if body]
    assert links[0] == links[1] != []
    user = await suite.invitations.accept(links[0][0], PASSWORD, " Bob ", "req_1")
    assert (user.email, user.name, user.role, user.status) == ("bob@acme.test", "Bob", "billing", "active")
    assert (await suite.login("bob@acme.test")).access_token
    assert [event.subject for event in suite.bus.events("user.created")] == [ACME]
    assert sorted(await suite.audit()) == ["invitation.accept", "session.create", "user.invite"]


async def test_an_address_is_not_written_to_without_end(suite: Suite) -> None:
    """Neither by new invitations nor by the same one again, nor by those that were revoked meanwhile."""
    caller = principal("owner")
    invited = await suite.invitations.invite(caller, ACTOR, "bob@acme.test", "member")
    for _ in range(5):
        await suite.invitations.resend(caller, ACTOR, invited.id)
    for _ in range(4):
        again = await suite.invitations.invite(caller, ACTOR, "BOB@acme.test", "member")
        await suite.invitations.revoke(caller, ACTOR, again.id)
    for refused in (
        suite.invitations.invite(caller, ACTOR, "bob@acme.test", "member"),
        suite.invitations.resend(caller, ACTOR, invited.id),
    ):
        with pytest.raises(TooManyRequests, match="too_many_invitations"):
            await refused
    assert len(suite.bus.events("mail.requested")) == MAX_MAILS
    await suite.invitations.invite(caller, ACTOR, "eve@acme.test", "member")
    suite.clock.move(INVITATION_LIFETIME.total_seconds())
    await suite.invitations.invite(caller, ACTOR, "bob@acme.test", "member")


async def test_an_address_that_had_hundreds_over_the_years_gets_no_more_than_another(suite: Suite) -> None:
    await add_old_invitations(suite, "bob@acme.test", 250)
    for _ in range(MAX_MAILS):
        await suite.invitations.invite(principal("owner"), ACTOR, "bob@acme.test", "member")
    with pytest.raises(TooManyRequests, match="too_many_invitations"):
        await suite.invitations.invite(principal("owner"), ACTOR, "bob@acme.test", "member")


async def test_a_link_works_once(suite: Suite) -> None:
    token = await suite.invite("bob@acme.test")
    await suite.invitations.accept(token, PASSWORD, "Bob", "req_1")
    hashed = suite.passwords.hashed
    refused = await refusal(suite, token)
    assert (type(refused), refused.code) == (Conflict, "invitation_used")
    assert suite.passwords.hashed == hashed


async def test_of_many_who_accept_at_once_one_becomes_a_user(suite: Suite) -> None:
    token = await suite.invite("bob@acme.test")

    async def accept(number: int) -> str:
        try:
            return (await suite.invitations.accept(token, f"{PASSWORD} {number}", f"Bob {number}", "r")).name
        except Conflict as lost:
            return lost.code

    answers = await asyncio.gather(*(accept(number) for number in range(16)))
    (name,) = [answer for answer in answers if answer.startswith("Bob")]
    assert set(answers) - {name} <= {"invitation_used", "user_exists"}
    assert [user.name for user in (await suite.users.page(ACME, 20, None)).items] == [name]
    assert len(suite.bus.events("user.created")) == 1
    number = name.removeprefix("Bob ")
    assert (await suite.login("bob@acme.test", f"{PASSWORD} {number}")).access_token


async def test_a_link_expires_after_seven_days(suite: Suite) -> None:
    token = await suite.invite("bob@acme.test")
    suite.clock.move((INVITATION_LIFETIME - timedelta(seconds=1)).total_seconds())
    other = await suite.invite("eve@acme.test")
    assert (await suite.invitations.accept(token, PASSWORD, "Bob", "req_1")).id
    suite.clock.move(INVITATION_LIFETIME.total_seconds())
    assert (await refusal(suite, other)).code == "invitation_expired"


@pytest.mark.parametrize("token", ["", "inv1_", "x" * 512, "inv1_" + "A" * 90, "\ud800", "rt1_AAAA", "\0"])
async def test_what_is_no_link_of_ours_is_refused_without_asking_the_store(suite: Suite, token: str) -> None:
    suite.store.reads.clear()
    refused = await refusal(suite, token)
    assert [(field.path, field.code) for field in refused.fields] == [("/token", "invalid_token")]
    assert suite.store.reads == []
    assert suite.passwords.hashed == 0


async def test_a_link_to_nothing_is_refused_as_a_forged_one_is(suite: Suite) -> None:
    unknown = suite.links.text(OneTimeLink("invitation", ACME, "inv_none"))
    foreign = suite.links.text(OneTimeLink("invitation", "tnt_none", "inv_none"))
    answers = {str(await refusal(suite, token)) for token in (unknown, foreign, "forged")}
    assert len(answers) == 1


async def test_a_refused_password_or_name_uses_nothing_up(suite: Suite) -> None:
    """L14"""
    token = await suite.invite("bob@acme.test")
    assert (await refusal(suite, token, PASSWORD[:14])).fields[0].code == "password_too_short"
    assert (await refusal(suite, token, name="a\nb")).fields[0].path == "/name"
    assert (await suite.invitations.accept(token, PASSWORD[:15], "Bob", "req_1")).id


async def test_two_invitations_of_one_address_make_one_user(suite: Suite) -> None:
    first, second = await suite.invite("bob@acme.test"), await suite.invite("BOB@acme.test", "admin")
    await suite.invitations.accept(first, PASSWORD, "Bob", "req_1")
    assert (await refusal(suite, second)).code == "user_exists"
    with pytest.raises(Conflict):
        await suite.invite("bob@acme.test")


async def test_nobody_joins_a_suspended_tenant(suite: Suite) -> None:
    token = await suite.invite("bob@acme.test")
    await suite.set_status("suspended")
    refused = await refusal(suite, token)
    assert (type(refused), refused.code) == (Forbidden, "tenant_suspended")
    await suite.set_status("active")
    assert (await suite.invitations.accept(token, PASSWORD, "Bob", "req_1")).id


async def test_a_suspension_while_the_password_is_hashed_wins(suite: Suite) -> None:
    """R8"""
    token = await suite.invite("bob@acme.test")

    async def suspend() -> None:
        await suite.set_status("suspended")

    suite.store.before_commit = suspend
    assert (await refusal(suite, token)).code == "tenant_suspended"
    assert (await suite.users.page(ACME, 20, None)).items == []


@pytest.mark.parametrize(
    ("granter", "role"),
    [("admin", "owner"), ("member", "member"), ("owner", "operator"), ("operator", "operator")],
)
async def test_nobody_gives_a_role_they_cannot_give(suite: Suite, granter: Role, role: Role) -> None:
    who = principal(granter)
    if granter == "member":
        role = "billing"
    with pytest.raises(Forbidden) as refused:
        await suite.invitations.invite(who, ACTOR, "bob@acme.test", role)
    assert refused.value.code == "role_not_grantable"
    assert suite.bus.messages == []


async def test_an_address_that_is_none_is_named(suite: Suite) -> None:
    with pytest.raises(Invalid) as refused:
        await suite.invite("bob at acme.test")
    assert refused.value.fields[0].path == "/email"


async def test_a_tenants_activation_invites_its_owner_once_however_often_it_is_delivered(
    suite: Suite,
) -> None:
    for event_id in ("evt_1", "evt_1", "evt_2"):
        await suite.deliver("tenant.activated", None, event_id=event_id)
    await asyncio.gather(*(suite.deliver("tenant.activated", None, event_id=f"e{i}") for i in range(8)))
    (invitation,) = (await suite.invitations.page(ACME, 20, None)).items
    assert (invitation.id, invitation.email, invitation.role) == (owner_invitation_id(ACME), OWNER, "owner")
    assert len(suite.bus.events("mail.requested")) == 1
    token = suite.links.text(OneTimeLink("invitation", ACME, invitation.id))
    await suite.invitations.accept(token, PASSWORD, "Ada", "req_1")
    await suite.deliver("tenant.activated", None, event_id="evt_late")
    assert (await refusal(suite, token)).code == "invitation_used"


@pytest.mark.parametrize("tenant_id", ["tnt_none", "", "a/b", "\0"])
async def test_an_activation_of_no_tenant_is_quarantined(suite: Suite, tenant_id: str) -> None:
    with pytest.raises(Rejected) as rejected:
        await suite.deliver("tenant.activated", None, tenant_id)
    assert rejected.value.reason == "unknown_tenant"


async def test_an_owner_without_an_address_is_quarantined(suite: Suite) -> None:
    await suite.change_tenant(owner_email="nobody")
    with pytest.raises(Rejected) as rejected:
        await suite.deliver("tenant.activated", None)
    assert rejected.value.reason == "invalid_owner_email"
    assert "nobody" not in str(rejected.value)


async def test_an_outage_makes_the_event_come_again(suite: Suite) -> None:
    suite.store.down = True
    with pytest.raises(Unavailable):
        await suite.deliver("tenant.activated", None)


async def test_users_are_seen_in_their_own_tenant_only(suite: Suite) -> None:
    """T3, T4, T5, T6"""
    await suite.add_tenant("tnt_globex", "globex")
    user = await suite.add_user()
    assert await suite.users.get(ACME, user.id) == user
    answers = set()
    for tenant_id, user_id in [
        ("tnt_globex", user.id),
        (ACME, "usr_none"),
        (ACME, "../users/x"),
        (ACME, "__x__"),
        (ACME, "x" * 1501),
        (ACME, "a\0b"),
    ]:
        with pytest.raises(NotFound) as refused:
            await suite.users.get(tenant_id, user_id)
        answers.add(str(refused.value))
    assert len(answers) == 1
    assert (await suite.users.page("tnt_globex", 20, None)).items == []


async def test_an_invitation_is_sent_again_and_only_the_newest_link_works(suite: Suite) -> None:
    who = principal("owner")
    first = await suite.invite("bob@acme.test")
    (invitation,) = (await suite.invitations.page(ACME, 20, None)).items
    suite.clock.move(8 * 86_400)
    who = msgspec.structs.replace(who, issued_at=suite.clock())
    again = await suite.invitations.resend(who, ACTOR, invitation.id)
    assert again.expires_at == suite.clock() + INVITATION_LIFETIME
    assert await suite.invitations.get(ACME, invitation.id) == again
    assert len(suite.bus.events("mail.requested")) == 2
    assert (await refusal(suite, first)).fields[0].code == "invalid_token"
    newest = suite.links.text(OneTimeLink("invitation", ACME, invitation.id, "2"))
    assert (await suite.invitations.accept(newest, PASSWORD, "Bob", "req_1")).email == "bob@acme.test"
    with pytest.raises(Conflict, match="invitation_used"):
        await suite.invitations.resend(who, ACTOR, invitation.id)
    with pytest.raises(Conflict, match="invitation_used"):
        await suite.invitations.revoke(who, ACTOR, invitation.id)


async def test_a_revoked_invitation_opens_nothing_and_is_not_sent(suite: Suite) -> None:
    token = await suite.invite("bob@acme.test")
    (invitation,) = (await suite.invitations.page(ACME, 20, None)).items
    for _ in range(2):
        await suite.invitations.revoke(principal("admin"), ACTOR, invitation.id)
    assert (await refusal(suite, token)).code == "invitation_revoked"
    await suite.deliver_published("mail.requested")
    assert not suite.mailbox.exists()
    with pytest.raises(Conflict, match="invitation_revoked"):
        await suite.invitations.resend(principal("admin"), ACTOR, invitation.id)
    assert (await suite.audit()).count("invitation.revoke") == 1
    assert len(suite.bus.events("user.invitation_revoked")) == 1


async def test_an_owners_invitation_is_not_an_admins_to_take_back_or_send(suite: Suite) -> None:
    await suite.invite("bob@acme.test", "owner")
    (invitation,) = (await suite.invitations.page(ACME, 20, None)).items
    for change in (suite.invitations.revoke, suite.invitations.resend):
        with pytest.raises(Forbidden, match="role_not_grantable"):
            await change(principal("admin"), ACTOR, invitation.id)


async def test_anothers_and_nobodys_invitation_are_equally_unknown(suite: Suite) -> None:
    """T3, T5, T6"""
    await suite.add_tenant("tnt_globex", "globex")
    await suite.invite("eve@globex.test", tenant_id="tnt_globex")
    (foreign,) = (await suite.invitations.page("tnt_globex", 20, None)).items
    answers = set()
    for invitation_id in (foreign.id, "inv_none", "../x", "a\0b"):
        with pytest.raises(NotFound) as refused:
            await suite.invitations.get(ACME, invitation_id)
        answers.add(str(refused.value))
        for change in (suite.invitations.revoke, suite.invitations.resend):
            with pytest.raises(NotFound) as refused:
                await change(principal("owner"), ACTOR, invitation_id)
            answers.add(str(refused.value))
    assert len(answers) == 1
