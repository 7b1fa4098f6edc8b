"""The event door of auth: parses an event's data and calls a use-case."""

import re

import msgspec

from functions.auth.domain.roles import PLATFORM_TENANT
from functions.auth.keyring.key_rings import SECRETS
from functions.auth.keyring.key_rotation import KeyRotation
from functions.auth.mail.mails import MailRequested
from functions.auth.sessions.session_kills import RevokeRequested
from functions.auth.use_cases import UseCases
from shared.audit import Actor
from shared.envelope import Delivery
from shared.errors import Invalid
from shared.event_door import EventHandler, NotificationHandler, Rejected, data_of, ignored, noted
from shared.events import CloudEvent, short_name
from shared.ids import is_id
from shared.secrets.cached import CachedSecrets

_SECRET = re.compile(r"projects/[^/]+/secrets/([A-Za-z0-9_-]{1,255})")
_VERSION = re.compile(r"projects/[^/]+/secrets/([A-Za-z0-9_-]{1,255})/versions/([1-9][0-9]{0,8})")

_IGNORED = (
    "tenant.created",
    "tenant.suspended",
    "tenant.resumed",
    "user.invited",
    "user.created",
    "user.invitation_revoked",
    "user.updated",
    "user.role_changed",
    "user.enabled",
    "user.email_changed",
    "role.created",
    "role.deleted",
    "session.revoked",
    "security.refresh_token_reused",
    "security.sign_in_failures",
    "service_account.created",
    "service_account.deleted",
    "client.created",
    "client.updated",
    "client.deleted",
    "api_key.created",
    "api_key.updated",
    "api_key.revoked",
    "security.key_rotated",
    "user.factor_added",
    "user.factor_removed",
    "user.factor_renamed",
    "user.factors_reset",
    "session.stepped_up",
    "user.recovery_codes_replaced",
    "user.recovery_code_used",
    "security.policy_changed",
    "security.second_factor_refused",
    "security.passkey_copied",
)
"""Events for others on the topic: auth itself has nothing to do for them."""


class _User(msgspec.Struct, frozen=True):
    """The user that an event is about."""

    user_id: str


class _Role(msgspec.Struct, frozen=True):
    """The custom role that an event is about."""

    role: str


class _Account(msgspec.Struct, frozen=True):
    """The service account that an event is about. `access` is `ended` if the change ended access tokens."""

    service_account_id: str
    access: str = ""


class _Handlers:
    def __init__(self, do: UseCases) -> None:
        self._do = do

    async def tenant_activated(self, event: CloudEvent, delivery: Delivery) -> None:
        if not is_id(event.subject):
            raise Rejected("unknown_tenant", "There is no such tenant.")
        actor = Actor("system", "tenant.activated", event.subject, event.id)
        try:
            await self._do.invitations.invite_owner(event.subject, actor)
        except Invalid as wrong:
            raise Rejected("invalid_owner_email", wrong.detail) from None

    async def mail_requested(self, event: CloudEvent, delivery: Delivery) -> None:
        asked = data_of(event, MailRequested)
        await self._do.mails.send(event.subject, asked, event.id, event.time)

    async def user_sessions_over(self, event: CloudEvent, delivery: Delivery) -> None:
        about = data_of(event, _User)
        actor = Actor("system", short_name(event.type) or "", event.subject, event.id)
        await self._do.user_sessions.end_those_over(event.subject, about.user_id, actor)

    async def role_updated(self, event: CloudEvent, delivery: Delivery) -> None:
        await self._do.roles.end_access_of(event.subject, data_of(event, _Role).role)

    async def service_account_updated(self, event: CloudEvent, delivery: Delivery) -> None:
        about = data_of(event, _Account)
        if about.access == "ended":
            await self._do.service_account_changes.end_access_of(event.subject, about.service_account_id)

    async def session_revoke_requested(self, event: CloudEvent, delivery: Delivery) -> None:
        actor = Actor("system", event.source, event.subject, event.id)
        await self._do.session_kills.revoke(event.subject, data_of(event, RevokeRequested), actor)

    async def outbox_sweep(self, event: CloudEvent, delivery: Delivery) -> None:
        try:
            await self._do.key_rotation.sweep()
        finally:
            await self._do.outbox.sweep()


def table(do: UseCases) -> dict[str, EventHandler]:
    """Handlers by short event name.

    Suspending and resuming a tenant need no handler: every sign-in, refresh and verification reads the
    tenant's document. Nor would a deletion, for which there is no event yet: without that document nobody
    gets in and no token is accepted.
    """
    on = _Handlers(do)
    handlers: dict[str, EventHandler] = dict.fromkeys(_IGNORED, ignored)
    return handlers | {
        "tenant.activated": on.tenant_activated,
        "user.disabled": on.user_sessions_over,
        "user.deleted": on.user_sessions_over,
        "user.password_changed": on.user_sessions_over,
        "role.updated": on.role_updated,
        "service_account.updated": on.service_account_updated,
        "session.revoke.requested": on.session_revoke_requested,
        "mail.requested": on.mail_requested,
        "outbox.sweep": on.outbox_sweep,
    }


def notifications(
    secrets: CachedSecrets, prefix: str, rotation: KeyRotation
) -> dict[str, NotificationHandler]:
    """Handlers by Secret Manager's `eventType`. The ids of our secrets begin with `prefix`.

    A version that has changed is fetched again at once: one that was disabled is refused from then on.
    """
    ring_of = {prefix + secret: ring for ring, secret in SECRETS.items()}

    async def rotation_due(delivery: Delivery) -> None:
        found = _SECRET.fullmatch(delivery.attributes.get("secretId", ""))
        if found is None:
            raise Rejected("invalid_notification", "secretId is not the name of a secret.")
        ring = ring_of.get(found[1])
        if ring is not None:
            actor = Actor("system", "secret_manager.rotate", PLATFORM_TENANT, delivery.message_id)
            await rotation.asked_for(ring, delivery.publish_time, actor)

    async def version_changed(delivery: Delivery) -> None:
        found = _VERSION.fullmatch(delivery.attributes.get("versionId", ""))
        if found is None:
            raise Rejected("invalid_notification", "versionId is not the name of a secret's version.")
        secrets.forget(found[1].removeprefix(prefix), int(found[2]))

    return {
        "TOPIC_CONFIGURED": noted,
        "SECRET_CREATE": noted,
        "SECRET_UPDATE": noted,
        "SECRET_DELETE": noted,
        "SECRET_ROTATE": rotation_due,
        "SECRET_VERSION_ADD": version_changed,
        "SECRET_VERSION_ENABLE": version_changed,
        "SECRET_VERSION_DISABLE": version_changed,
        "SECRET_VERSION_DESTROY": version_changed,
        "SECRET_VERSION_DESTROY_SCHEDULED": version_changed,
    }
