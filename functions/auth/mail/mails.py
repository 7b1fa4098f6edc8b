"""Sends mails that events ask for. Address and link are looked up only then."""

from datetime import datetime

import msgspec

from functions.auth import records
from functions.auth.domain import password_reset, people
from functions.auth.domain.email_change import EmailChange
from functions.auth.domain.one_time_link import LinkKind, OneTimeLink
from functions.auth.domain.password_reset import PasswordReset
from functions.auth.domain.people import Invitation, Login, User
from functions.auth.keyring.keys import KeyRoom
from functions.auth.mail.mail_rendering import Letter, render
from functions.auth.mail.mail_templates import TemplateName
from functions.auth.mail.mailbox import Mailer
from functions.auth.records import Found
from shared import audit, tenant
from shared.audit import Actor
from shared.event_door import Rejected
from shared.ids import Clock, is_id
from shared.store import Key, Store, until_not_stale
from shared.tenant import Tenant

_PAGE_OF: dict[LinkKind, str] = {
    "invitation": "invitation",
    "email_verification": "verify-email",
    "password_reset": "reset-password",
}
_ACTION_OF: dict[LinkKind, str] = {
    "invitation": "v1/auth/invitations/accept",
    "email_verification": "v1/auth/email/verify",
    "password_reset": "v1/auth/password/reset",
}


class MailRequested(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data of `mail.requested`. It holds neither address nor link, since events are stored and logged.

    `document_id` is the id of an invitation, a login (`password_reset`) or a user.
    """

    template: TemplateName
    document_id: str


class Mails:
    """Sends each mail at least once: after a crash right behind the hand-over the same mail is sent again."""

    def __init__(self, store: Store, keys: KeyRoom, mailer: Mailer, clock: Clock, public_url: str) -> None:
        self._store = store
        self._keys = keys
        self._mailer = mailer
        self._clock = clock
        self._public_url = public_url

    async def send(self, tenant_id: str, asked: MailRequested, mail_id: str, at: datetime) -> None:
        """`mail_id` and `at` are the event's, so that a redelivery sends the same mail.

        Sends nothing if the mail has become pointless: the invitation is over, the change is made, nobody has
        the login, or there were too many requests for it. Mails of a suspended tenant are sent. Raises
        `Rejected` for a mail that can never be sent, and what the mailer raises.
        """
        if not (is_id(tenant_id) and is_id(asked.document_id)):
            raise Rejected("unknown_document", "No document has such an id.")
        owner = await self._read(tenant.key(self._store, tenant_id), Tenant)
        if owner is None:
            if asked.template == "password_reset":
                return
            raise Rejected("unknown_tenant", "There is no such tenant.")
        letter = await self._letter(owner.value, asked, mail_id, at)
        if letter is not None:
            message = render(letter, mail_id, self._mailer.sender)
            await self._mailer.send(mail_id, letter.to, message)

    async def _letter(self, owner: Tenant, asked: MailRequested, mail_id: str, at: datetime) -> Letter | None:
        if asked.template == "invitation":
            return await self._invitation(owner, asked.document_id, at)
        if asked.template == "password_reset":
            return await self._password_reset(owner, asked.document_id, mail_id, at)
        if asked.template == "password_changed":
            return await self._password_changed(owner, asked.document_id, at)
        return await self._email_change(owner, asked.template, asked.document_id, at)

    async def _invitation(self, owner: Tenant, invitation_id: str, at: datetime) -> Letter | None:
        found = await self._read(records.invitation_key(self._store, owner.id, invitation_id), Invitation)
        if found is None:
            raise Rejected("unknown_invitation", "There is no such invitation.")
        invitation = found.value
        if people.status(invitation, self._clock()) != "pending":
            return None
        link = OneTimeLink("invitation", owner.id, invitation.id, str(invitation.sent))
        words = await self._words(owner, link, invitation.expires_at)
        words["role"] = invitation.role.replace("_", " ")
        return Letter("invitation", invitation.email, at, words)

    async def _password_reset(
        self, owner: Tenant, login_id: str, request_id: str, at: datetime
    ) -> Letter | None:
        """The account is looked up here and not in the request, which so cannot reveal whether it exists."""
        if not is_id(request_id):
            raise Rejected("unknown_request", "No event of ours has such an id.")
        login = await self._read(records.login_key(self._store, owner.id, login_id), Login)
        if login is None or self._clock() >= at + password_reset.LINK_LIFETIME:
            return None
        user = await self._read(records.user_key(self._store, owner.id, login.value.user_id), User)
        if user is None or user.value.status != "active" or user.value.created_at > at:
            return None  # a request from before this user is of whoever had the address then
        # Never later than our clock: a request with a time in the future would block others until then.
        asked_at = min(at, self._clock())
        expires_at = await self._requested(owner.id, login_id, login.value, request_id, asked_at)
        if expires_at is None:
            return None
        link = OneTimeLink("password_reset", owner.id, login_id, request_id)
        return Letter("password_reset", user.value.email, at, await self._words(owner, link, expires_at))

    async def _requested(
        self, tenant_id: str, login_id: str, login: Login, request_id: str, at: datetime
    ) -> datetime | None:
        """Records the request. Returns when its link expires; None if there were too many requests."""
        key = records.link_key(self._store, tenant_id, login_id)

        async def attempt() -> datetime | None:
            known = await self._read(key, PasswordReset)
            before = known.value if known else None
            after = password_reset.request(before, request_id, login.password_set_at, at)
            if after is None:
                return None
            if after != before:
                recorded = audit.record(
                    self._store,
                    tenant_id,
                    actor=Actor("anonymous", "", tenant_id, request_id),
                    action="password.request_reset",
                    target=login.user_id,
                    at=at,
                )
                written = known.replace(after) if known else records.create(key, after)
                await records.commit(self._store, written, recorded)
            return password_reset.expires_at(after, request_id)

        return await until_not_stale(attempt)

    async def _password_changed(self, owner: Tenant, user_id: str, at: datetime) -> Letter | None:
        user = await self._read(records.user_key(self._store, owner.id, user_id), User)
        return None if user is None else Letter("password_changed", user.value.email, at, self._of(owner))

    async def _email_change(
        self, owner: Tenant, template: TemplateName, user_id: str, at: datetime
    ) -> Letter | None:
        if not user_id.startswith("usr_"):  # the same collection holds password resets, by login id
            raise Rejected("unknown_document", "No change of address has such an id.")
        change = await self._read(records.link_key(self._store, owner.id, user_id), EmailChange)
        if change is None or self._clock() >= change.value.expires_at:
            return None
        if template == "email_change_requested":
            return Letter(
                template, change.value.old_email, at, self._of(owner) | {"new_email": change.value.email}
            )
        if change.value.used:
            return None
        link = OneTimeLink("email_verification", owner.id, user_id, change.value.id)
        words = await self._words(owner, link, change.value.expires_at)
        return Letter(template, change.value.email, at, words)

    async def _words(self, owner: Tenant, link: OneTimeLink, expires_at: datetime) -> dict[str, str]:
        token = (await self._keys.current()).links.text(link)
        return self._of(owner) | {
            "link": f"{self._public_url}/{_PAGE_OF[link.kind]}#token={token}",
            "code": token,
            "action": f"{self._public_url}/{_ACTION_OF[link.kind]}",
            "expires": expires_at.strftime("%Y-%m-%d %H:%M UTC"),
        }

    def _of(self, owner: Tenant) -> dict[str, str]:
        return {
            "tenant": " ".join(owner.name.split()),
            "slug": owner.slug,
            "forgot": f"{self._public_url}/forgot-password",
        }

    async def _read(self, key: Key, kind: type[records.T]) -> Found[records.T] | None:
        return records.found((await self._store.read(key))[0], kind)
