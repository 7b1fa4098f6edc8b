"""People change the address that they sign in with: it takes effect when a link in a mail to it is opened."""

from functions.auth import records, standing
from functions.auth.domain import email as email_rules
from functions.auth.domain import email_change, one_time_link, people
from functions.auth.domain.email_change import EmailChange
from functions.auth.domain.one_time_link import OneTimeLink
from functions.auth.domain.people import Login, User
from functions.auth.guessing.source import Source
from functions.auth.keyring.keys import KeyRoom
from functions.auth.mail.mails import MailRequested
from functions.auth.people import invitations_of_address
from functions.auth.people.own_password import OwnPassword
from shared import audit, tenant
from shared.audit import Actor
from shared.errors import Conflict
from shared.identity import Principal
from shared.ids import Clock, new_id
from shared.outbox import Outbox
from shared.store import AlreadyExists, Create, Delete, Store, until_not_stale
from shared.tenant import Tenant


class EmailChanges:
    def __init__(self, store: Store, outbox: Outbox, keys: KeyRoom, own: OwnPassword, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._keys = keys
        self._own = own
        self._clock = clock

    async def request(
        self, principal: Principal, actor: Actor, email: str, password: str, source: Source
    ) -> None:
        """A link goes to the new address and a notice to the old one. Whether somebody else has the new one
        is not said here.

        Raises what `OwnPassword.proven` does, `Invalid`, `Conflict` `email_unchanged`, `TooManyRequests`.
        """
        address = email_rules.canonical(email)

        async def attempt() -> None:
            first = await self._own.proven(principal, password, source)
            user, tenant_id = first.user.value, principal.tenant_id
            key = records.link_key(self._store, tenant_id, user.id)
            known = await records.read(self._store, key, EmailChange)
            change = email_change.ask(
                known.value if known else None, new_id("chg"), address, user.email, self._clock()
            )
            await records.commit(
                self._store,
                known.replace(change) if known else records.create(key, change),
                *self._mailed(tenant_id, user.id),
                self._recorded(actor, "user.request_email_change", user.id),
                first.user.check(),
                first.owner.check(),
                *first.writes,
            )

        await until_not_stale(attempt)

    async def confirm(self, token: str, request_id: str, address: str = "") -> User:
        """Makes the change. Sessions go on; invitations and password resets of the old address are deleted.
        `address` is where the request comes from.

        Raises `Invalid` (`/token` `invalid_token`), `Conflict` `link_used`, `link_expired` or `user_exists`,
        `Forbidden` `tenant_suspended` or `tenant_not_active`.
        """
        link = (await self._keys.current()).links.read("email_verification", token)
        if link is None:
            raise one_time_link.refusal()
        return await until_not_stale(lambda: self._confirmed(link, request_id, address))

    async def _confirmed(self, link: OneTimeLink, request_id: str, address: str) -> User:
        tenant_id, user_id = link.tenant_id, link.document_id
        actor = Actor("user", user_id, tenant_id, request_id, address)
        tenant_doc, change_doc, user_doc = await self._store.read(
            tenant.key(self._store, tenant_id),
            records.link_key(self._store, tenant_id, user_id),
            records.user_key(self._store, tenant_id, user_id),
        )
        owner, user = records.found(tenant_doc, Tenant), records.found(user_doc, User)
        change = records.found(change_doc, EmailChange)
        if owner is None or user is None or change is None or change.value.id != link.issue:
            raise one_time_link.refusal()
        standing.require_active(owner.value)
        over = email_change.confirm(change.value, self._clock())
        after = people.with_email(user.value, over.email)
        old_id = people.login_id(user.value.email)
        old_key = records.login_key(self._store, tenant_id, old_id)
        login = await records.read(self._store, old_key, Login)
        if login is None or user.value.status != "active":
            raise one_time_link.refusal()
        new_key = records.login_key(self._store, tenant_id, people.login_id(after.email))
        try:
            await self._store.commit(
                user.replace(after),
                change.replace(over),
                Delete(login.key, login.version),
                records.create(new_key, login.value),
                Delete(records.link_key(self._store, tenant_id, old_id)),
                *await invitations_of_address.gone(self._store, tenant_id, user.value.email),
                *self._outbox.entries("user.email_changed", tenant_id, {"user_id": user_id}),
                self._recorded(actor, "user.change_email", user_id),
                owner.check(),
            )
        except AlreadyExists:
            detail = "Somebody with this e-mail address is in the tenant already. Use another one."
            raise Conflict("user_exists", detail) from None
        return after

    def _mailed(self, tenant_id: str, user_id: str) -> list[Create]:
        link = MailRequested("email_verification", user_id)
        notice = MailRequested("email_change_requested", user_id)
        return [
            *self._outbox.entries("mail.requested", tenant_id, link),
            *self._outbox.entries("mail.requested", tenant_id, notice),
        ]

    def _recorded(self, actor: Actor, action: str, user_id: str) -> Create:
        return audit.record(
            self._store, actor.tenant_id, actor=actor, action=action, target=user_id, at=self._clock()
        )
