"""The invitation mail: asked for by event, rendered with its link only when it is sent."""

import html
from datetime import datetime
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTPUTF8

import msgspec

from functions.auth import records
from functions.auth.domain import people
from functions.auth.domain.one_time_link import OneTimeLink
from functions.auth.domain.people import Invitation
from functions.auth.keys import KeyRoom
from functions.auth.mailbox import Mailer
from shared import tenant
from shared.event_door import Rejected
from shared.ids import Clock, is_id
from shared.store import Store
from shared.tenant import Tenant

INVITATION = "invitation"
_SUBJECT = "You are invited"
_SENDER = Address("Energent", "no-reply", "energent.example.com")
_HEADERS = ["Subject", "From", "To", "Date", "Message-ID", "MIME-Version", "Content-Type"]

_TEXT = """\
You are invited to join {tenant} as {role}.

Open this link, choose a password and you are in:

{link}

The link works once, until {expires}. Programs send its token with POST {accept}
If you did not expect this mail, do nothing.
"""

_HTML = """\
<!doctype html>
<html lang="en"><body>
<p>You are invited to join <b>{tenant}</b> as {role}.</p>
<p><a href="{link}">Choose a password</a> and you are in.</p>
<p>The link works once, until {expires}. If you did not expect this mail, do nothing.</p>
</body></html>
"""


class MailRequested(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`mail.requested`. To whom and with which link is looked up and derived: neither is in an event."""

    template: str
    invitation_id: str


class InvitationMail:
    def __init__(self, store: Store, keys: KeyRoom, mailer: Mailer, clock: Clock, public_url: str) -> None:
        self._store = store
        self._keys = keys
        self._mailer = mailer
        self._clock = clock
        self._public_url = public_url

    async def send(self, tenant_id: str, asked: MailRequested, mail_id: str) -> None:
        """Nothing for an invitation that is accepted or expired. `mail_id` is the event's, so that a
        redelivery sends the same mail. A suspended tenant's is sent too: it works once the tenant is resumed.

        Raises `Rejected` for an unknown template, tenant or invitation, and what `render` raises.
        """
        if asked.template != INVITATION:
            raise Rejected("unknown_template", "There is no such mail.")
        if not (is_id(tenant_id) and is_id(asked.invitation_id)):
            raise Rejected("unknown_invitation", "There is no such invitation.")
        tenant_doc, invitation_doc = await self._store.read(
            tenant.key(self._store, tenant_id),
            records.invitation_key(self._store, tenant_id, asked.invitation_id),
        )
        owner, invitation = records.found(tenant_doc, Tenant), records.found(invitation_doc, Invitation)
        if owner is None or invitation is None:
            raise Rejected("unknown_invitation", "There is no such invitation.")
        if people.status(invitation.value, self._clock()) == "pending":
            keys = await self._keys.current()
            token = keys.links.text(OneTimeLink("invitation", tenant_id, invitation.value.id))
            link = f"{self._public_url}/invitation#token={token}"
            accept = f"{self._public_url}/v1/auth/invitations/accept"
            await self._mailer.send(mail_id, render(owner.value, invitation.value, link, accept))


def render(owner: Tenant, invitation: Invitation, link: str, accept: str) -> bytes:
    """The same bytes each time. What people chose stands in the text only, but for the address.

    Raises `Rejected` `unsafe_mail` where the header would not say exactly what is meant.
    """
    local, _, domain = invitation.email.rpartition("@")
    words = {
        "tenant": " ".join(owner.name.split()),
        "role": invitation.role.replace("_", " "),
        "link": link,
        "accept": accept,
        "expires": _day(invitation.expires_at),
    }
    mail = EmailMessage(policy=SMTPUTF8)
    mail["Subject"] = _SUBJECT
    mail["From"] = _SENDER
    mail["To"] = Address(username=local, domain=domain)
    mail["Date"] = invitation.created_at
    mail["Message-ID"] = f"<{invitation.id}@energent.example.com>"
    mail.set_content(_TEXT.format(**words), cte="8bit")
    mail.add_alternative(
        _HTML.format(**{name: html.escape(word) for name, word in words.items()}),
        subtype="html",
        cte="8bit",
    )
    mail.set_boundary(f"=={invitation.id}")
    message = mail.as_bytes()
    _require_meant(message, invitation.email)
    return message


def _require_meant(message: bytes, recipient: str) -> None:
    """Reads what was written again, undecoded: `email` decodes some of what it is given and writes that."""
    written = list(message_from_bytes(message, policy=SMTPUTF8).raw_items())
    headers = {name: value.encode("ascii", "surrogateescape").decode() for name, value in written}
    meant = {"Subject": _SUBJECT, "From": str(_SENDER), "To": recipient}
    if [name for name, _ in written] != _HEADERS or not meant.items() <= headers.items():
        raise Rejected("unsafe_mail", "The header of the mail would say something else.")


def _day(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")
