"""The invitation mail: rendered when it is sent, the same for each delivery of its event."""

from email.message import EmailMessage

import pytest

from functions.auth.domain.email import canonical
from functions.auth.mail.mail_templates import TEMPLATES
from functions.auth.mail.mailbox import MailboxFolder, NoTransport
from functions.auth.mail.mails import MailRequested
from shared.audit import Actor
from shared.event_door import Rejected
from tests.unit.auth.people import NEW_PASSWORD, People
from tests.unit.auth.suite import ACME, PASSWORD, Suite, principal
from tests.unit.auth.test_password_reset import deliver_mails

pytestmark = pytest.mark.anyio


async def invited(suite: Suite, email: str = "bob@acme.test") -> MailRequested:
    invitation = await suite.invitations.invite(principal("owner"), Actor("user", "u"), email, "read_only")
    return MailRequested("invitation", invitation.id)


def text(mail: EmailMessage, kind: str = "plain") -> str:
    body = mail.get_body((kind,))
    assert body is not None
    content = body.get_content()
    assert isinstance(content, str)
    return content


async def test_a_redelivered_request_overwrites_the_same_file_with_the_same_mail(suite: Suite) -> None:
    asked = await invited(suite)
    await suite.deliver("mail.requested", asked)
    (first,) = suite.mailbox.iterdir()
    content = first.read_bytes()
    await suite.deliver("mail.requested", asked)
    (second,) = suite.mailbox.iterdir()
    assert (first, content) == (second, second.read_bytes())
    assert first.name == "evt_1.eml"


async def test_event_ids_that_are_no_file_names_are_no_way_out_of_the_folder(suite: Suite) -> None:
    asked = await invited(suite)
    for event_id in ("../../escaped", "/etc/passwd", "a\0b", "x" * 5000, ".."):
        await suite.deliver("mail.requested", asked, event_id=event_id)
    assert len(suite.mails()) == 5
    assert not list(suite.folder.parent.rglob("*escaped*"))


async def test_a_tenants_name_is_text_in_the_page_and_one_line_in_the_header(suite: Suite) -> None:
    await suite.change_tenant(name="<b>Ac\u00e9me</b>\r\nBcc: eve@x.test")
    await suite.deliver("mail.requested", await invited(suite))
    (mail,) = suite.mails()
    assert mail["Bcc"] is None
    assert "<b>Ac" not in text(mail, "html")
    assert "&lt;b&gt;Ac\u00e9me&lt;/b&gt;" in text(mail, "html")
    assert "as read only" in text(mail)


async def test_every_mail_says_what_the_organisation_is_called_where_one_signs_in(suite: Suite) -> None:
    """In both halves; and where it is of use now, the page that asks for it."""
    people = People(suite)
    ada = await people.added("ada@acme.test", "owner")
    await suite.invite("bob@acme.test")
    asked = {"email": "countess@acme.test", "password": PASSWORD}
    assert await ada.code("POST", "/v1/me/email", asked) == (202, "")
    await people.client.post("/v1/auth/password/forgot", json={"tenant": "acme", "email": "ada@acme.test"})
    await deliver_mails(suite)
    changed = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert await ada.code("POST", "/v1/auth/password/change", changed) == (204, "")
    await deliver_mails(suite)
    mails = {mail["Subject"]: mail for mail in suite.mails()}
    assert mails.keys() == {template.subject for template in TEMPLATES.values()}
    for mail in mails.values():
        assert "Acme" in text(mail)
        assert "<b>Acme</b>" in text(mail, "html")
        assert "acme" in text(mail).split()
        assert "<b>acme</b>" in text(mail, "html")
    for subject in ("Your password was changed", "Your address is about to change"):
        page = "https://api.example.test/forgot-password"
        assert page in text(mails[subject]).splitlines()
        assert f'<a href="{page}">' in text(mails[subject], "html")


@pytest.mark.parametrize(
    "email",
    ["\u044f\u043d@\u043f\u0440\u0438\u043c\u0435\u0440.test", "o'neil+x@acme.test", "a&b{c}@acme.test"],
)
async def test_unusual_addresses_get_their_mail(suite: Suite, email: str) -> None:
    await suite.deliver("mail.requested", await invited(suite, email))
    (file,) = suite.mailbox.iterdir()
    assert f"To: {canonical(email)}\r\n".encode() in file.read_bytes()


async def test_nothing_is_sent_for_an_invitation_that_is_used_or_expired(suite: Suite) -> None:
    token = await suite.invite("bob@acme.test")
    late = await invited(suite, "eve@acme.test")
    await suite.invitations.accept(token, PASSWORD, "Bob", "req_1")
    suite.clock.move(8 * 86_400)
    await suite.deliver_published("mail.requested")
    await suite.deliver("mail.requested", late)
    assert not suite.mailbox.exists()


async def test_a_suspended_tenants_mail_is_sent(suite: Suite) -> None:
    asked = await invited(suite)
    await suite.set_status("suspended")
    await suite.deliver("mail.requested", asked)
    assert len(suite.mails()) == 1


@pytest.mark.parametrize(
    ("data", "tenant_id", "reason"),
    [
        ({"template": "invitation", "document_id": "inv_none"}, ACME, "unknown_invitation"),
        ({"template": "invitation", "document_id": "../x"}, ACME, "unknown_document"),
        ({"template": "invitation", "document_id": "inv_none"}, "tnt_none", "unknown_tenant"),
        ({"template": "invitation", "document_id": "inv_none"}, "", "unknown_document"),
        ({"template": "lottery", "document_id": "inv_none"}, ACME, "invalid_data"),
        ({"template": "invitation"}, ACME, "invalid_data"),
        ({"template": "invitation", "document_id": 7}, ACME, "invalid_data"),
        (None, ACME, "invalid_data"),
        ([], ACME, "invalid_data"),
    ],
)
async def test_a_request_that_can_never_be_met_is_quarantined(
    suite: Suite, data: object, tenant_id: str, reason: str
) -> None:
    with pytest.raises(Rejected) as rejected:
        await suite.deliver("mail.requested", data, tenant_id)
    assert rejected.value.reason == reason


async def test_a_mail_is_whole_or_not_there(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        await MailboxFolder(suite.mailbox).send("evt_1", "bob@acme.test", b"x")
    assert list(suite.mailbox.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "tenant.created",
        "tenant.suspended",
        "tenant.resumed",
        "user.invited",
        "user.created",
        "session.revoked",
    ],
)
async def test_what_passes_by_changes_nothing(suite: Suite, name: str) -> None:
    before = list(suite.store.commits)
    await suite.deliver(name, {"anything": True})
    assert suite.store.commits == before


async def test_a_sweep_publishes_what_a_silent_bus_left_over(suite: Suite) -> None:
    suite.bus.down = True
    await invited(suite)
    assert suite.bus.messages == []
    suite.bus.down = False
    suite.clock.move(6)
    await suite.deliver("outbox.sweep", None)
    assert len(suite.bus.events("mail.requested")) == 1


async def test_where_nothing_sends_mail_a_request_is_kept_to_be_replayed() -> None:
    with pytest.raises(Rejected) as kept:
        await NoTransport().send("evt_1", "bob@acme.test", b"mail")
    assert kept.value.reason == "no_mail_transport"
