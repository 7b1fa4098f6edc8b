"""Events that auth answers to: parse, then a use-case."""

from functions.auth.invitation_mail import InvitationMail, MailRequested
from functions.auth.invitations import Invitations
from shared.audit import Actor
from shared.envelope import Delivery
from shared.errors import Invalid
from shared.event_door import EventHandler, Rejected, data_of, ignored
from shared.events import CloudEvent
from shared.ids import is_id
from shared.outbox import Outbox


def table(invitations: Invitations, mail: InvitationMail, outbox: Outbox) -> dict[str, EventHandler]:
    """Short event name to handler. Suspending and resuming need nothing: the tenant's document says it."""

    async def tenant_activated(event: CloudEvent, delivery: Delivery) -> None:
        if not is_id(event.subject):
            raise Rejected("unknown_tenant", "There is no such tenant.")
        actor = Actor("system", "tenant.activated", event.subject, event.id)
        try:
            await invitations.invite_owner(event.subject, actor)
        except Invalid as wrong:
            raise Rejected("invalid_owner_email", wrong.detail) from None

    async def mail_requested(event: CloudEvent, delivery: Delivery) -> None:
        await mail.send(event.subject, data_of(event, MailRequested), event.id)

    async def outbox_sweep(event: CloudEvent, delivery: Delivery) -> None:
        await outbox.sweep()

    return {
        "tenant.created": ignored,
        "tenant.activated": tenant_activated,
        "tenant.suspended": ignored,
        "tenant.resumed": ignored,
        "user.invited": ignored,
        "user.created": ignored,
        "session.revoked": ignored,
        "security.refresh_token_reused": ignored,
        "mail.requested": mail_requested,
        "outbox.sweep": outbox_sweep,
    }
