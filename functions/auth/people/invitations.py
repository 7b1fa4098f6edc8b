"""Invitations: somebody is asked into a tenant by mail, and becomes a user of it by accepting."""

from functions.auth import caller_in_force, records, standing
from functions.auth.domain import email as email_rules
from functions.auth.domain import one_time_link, people
from functions.auth.domain.one_time_link import OneTimeLink
from functions.auth.domain.people import Invitation, Login, User
from functions.auth.domain.roles import Role
from functions.auth.keyring.keys import KeyRoom
from functions.auth.mail.mails import MailRequested
from functions.auth.people import invitations_of_address
from functions.auth.records import Found
from functions.auth.roles.roles_of_tenant import Roles
from functions.auth.sign_in import password_policy
from functions.auth.sign_in.password_policy import PasswordPolicy
from functions.auth.sign_in.passwords import Passwords
from shared import audit, tenant
from shared.audit import Actor
from shared.errors import Conflict, NotFound
from shared.event_door import Rejected
from shared.http.idempotency import EACH_TIME, Once
from shared.http.pagination import Listing
from shared.identity import Principal
from shared.ids import Clock, new_id
from shared.outbox import Outbox
from shared.store import AlreadyExists, Create, Store, until_not_stale
from shared.tenant import Tenant


class Invitations:
    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        passwords: Passwords,
        policy: PasswordPolicy,
        keys: KeyRoom,
        roles: Roles,
        clock: Clock,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._passwords = passwords
        self._policy = policy
        self._keys = keys
        self._roles = roles
        self._clock = clock

    async def invite(
        self,
        principal: Principal,
        actor: Actor,
        email: str,
        role: Role,
        once: Once[Invitation] = EACH_TIME,
    ) -> Invitation:
        """Invites somebody; the mail is sent by an event. An open invitation does not prevent another one.

        Raises `Invalid`, `Forbidden` `role_not_grantable`, `Conflict` `user_exists`, `TooManyRequests`
        `too_many_invitations` of the address, and what
        `standing.of_caller` and `caller_in_force.checks` raise.
        """
        address = email_rules.canonical(email)

        async def attempt() -> Invitation:
            tenant_key = tenant.key(self._store, principal.tenant_id)
            login_key = records.login_key(self._store, principal.tenant_id, people.login_id(address))
            tenant_doc, login_doc = await self._store.read(tenant_key, login_key)
            owner = standing.of_caller(tenant_doc, principal)
            if login_doc is not None:
                raise _user_exists()
            await invitations_of_address.require_room(self._store, owner.value.id, address, self._clock)
            invitation = people.invite(new_id("inv"), address, role, self._clock())
            giving = await self._roles.giving(principal, role)
            giving += await caller_in_force.checks(self._store, principal, self._clock, giving)
            writes = self._writes(owner.value.id, invitation, actor)
            await self._store.commit(*writes, *giving, owner.check(), *once.writes(invitation))
            return invitation

        return await once.run(attempt)

    async def get(self, tenant_id: str, invitation_id: str) -> Invitation:
        """Raises `NotFound` `invitation_not_found`, for another tenant's as for nobody's."""
        return (await self._known(tenant_id, invitation_id)).value

    async def resend(self, principal: Principal, actor: Actor, invitation_id: str) -> Invitation:
        """Sends another mail with a new link, valid for seven days; the link before stops working.

        Raises `NotFound`, `Forbidden` `role_not_grantable`, `Conflict` where the invitation is over.
        """

        async def attempt() -> Invitation:
            owner = await standing.read(self._store, principal)
            found = await self._known(principal.tenant_id, invitation_id)
            giving = await self._roles.giving(principal, found.value.role)
            again = people.resend(found.value, self._clock())
            address = found.value.email
            await invitations_of_address.require_room(self._store, owner.value.id, address, self._clock)
            tenant_id, mail = principal.tenant_id, MailRequested("invitation", again.id)
            giving += await caller_in_force.checks(self._store, principal, self._clock, giving)
            await self._store.commit(
                found.replace(again),
                *giving,
                *self._outbox.entries("mail.requested", tenant_id, mail),
                self._recorded(tenant_id, actor, "invitation.resend", again),
                owner.check(),
            )
            return again

        return await until_not_stale(attempt)

    async def revoke(self, principal: Principal, actor: Actor, invitation_id: str) -> None:
        """Revokes an invitation; a second call does nothing. Raises `NotFound`, `Forbidden`, `Conflict`
        `invitation_used`.
        """

        async def attempt() -> None:
            owner = await standing.read(self._store, principal)
            found = await self._known(principal.tenant_id, invitation_id)
            await self._roles.require_over(principal, found.value.role)
            over = people.revoke(found.value)
            if over is found.value:
                return
            revoked = {"invitation_id": over.id}
            await self._store.commit(
                found.replace(over),
                *self._outbox.entries("user.invitation_revoked", principal.tenant_id, revoked),
                self._recorded(principal.tenant_id, actor, "invitation.revoke", over),
                owner.check(),
            )

        await until_not_stale(attempt)

    async def page(self, tenant_id: str, limit: int, cursor: str | None) -> Listing[Invitation]:
        """Oldest first. Raises `BadRequest` `invalid_cursor`."""
        return await records.listed(self._store, tenant_id, records.INVITATIONS, Invitation, limit, cursor)

    async def invite_owner(self, tenant_id: str, actor: Actor) -> None:
        """Invites a tenant's first owner, once: the audit record's id is fixed. Raises `Rejected` if that is
        impossible.
        """
        owner = await records.read(self._store, tenant.key(self._store, tenant_id), Tenant)
        if owner is None:
            raise Rejected("unknown_tenant", "There is no such tenant.")
        address = email_rules.canonical(owner.value.owner_email, "/owner_email")
        invitation = people.invite(people.owner_invitation_id(tenant_id), address, "owner", self._clock())
        try:
            await self._store.commit(*self._writes(tenant_id, invitation, actor))
        except AlreadyExists:
            return

    async def accept(self, token: str, password: str, name: str, request_id: str, address: str = "") -> User:
        """Makes the user and uses up the invitation. `address` is where the request comes from.

        Raises `Invalid` (`/token` `invalid_token` for whatever is no link of ours, or not the newest one);
        `Conflict` `invitation_used`, `_revoked`, `_expired`, `user_exists`; `Forbidden` `tenant_suspended`,
        `tenant_not_active`; `Unavailable` when too many passwords wait to be hashed.
        """
        link = (await self._keys.current()).links.read("invitation", token)
        if link is None:
            raise one_time_link.refusal()
        shown_name = people.display_name(name)
        owner, invitation, *_ = await self._accepted(link, shown_name)  # refused before a hash is paid for
        words = password_policy.words_of(owner.value, invitation.value.email, shown_name)
        secret = await self._policy.new(password, path="/password", words=words, second_factor=False)
        password_hash = await self._passwords.hash(secret)
        return await until_not_stale(
            lambda: self._attempt(link, password_hash, shown_name, request_id, address)
        )

    async def _attempt(
        self, link: OneTimeLink, password_hash: str, name: str, request_id: str, address: str
    ) -> User:
        owner, invitation, accepted, user = await self._accepted(link, name)
        tenant_id = owner.value.id
        login_key = records.login_key(self._store, tenant_id, people.login_id(user.email))
        try:
            await self._store.commit(
                records.create(records.user_key(self._store, tenant_id, user.id), user),
                records.create(login_key, Login(user.id, password_hash)),
                invitation.replace(accepted),
                owner.check(),
                *self._outbox.entries("user.created", tenant_id, {"user_id": user.id, "role": user.role}),
                audit.record(
                    self._store,
                    tenant_id,
                    actor=Actor("user", user.id, tenant_id, request_id, address),
                    action="invitation.accept",
                    target=accepted.id,
                    at=user.created_at,
                ),
            )
        except AlreadyExists:
            raise _user_exists() from None
        return user

    async def _accepted(
        self, link: OneTimeLink, name: str
    ) -> tuple[Found[Tenant], Found[Invitation], Invitation, User]:
        """The documents of a link, and what accepting it now makes of them."""
        tenant_doc, invitation_doc = await self._store.read(
            tenant.key(self._store, link.tenant_id),
            records.invitation_key(self._store, link.tenant_id, link.document_id),
        )
        owner, invitation = records.found(tenant_doc, Tenant), records.found(invitation_doc, Invitation)
        if owner is None or invitation is None:
            raise one_time_link.refusal()
        standing.require_active(owner.value)
        if link.issue != str(invitation.value.sent):
            raise one_time_link.refusal()
        accepted, user = people.accept(invitation.value, new_id("usr"), name, self._clock())
        return owner, invitation, accepted, user

    def _writes(self, tenant_id: str, invitation: Invitation, actor: Actor) -> list[Create]:
        mail = MailRequested("invitation", invitation.id)
        invited = {"invitation_id": invitation.id, "role": invitation.role}
        return [
            records.create(records.invitation_key(self._store, tenant_id, invitation.id), invitation),
            *self._outbox.entries("user.invited", tenant_id, invited),
            *self._outbox.entries("mail.requested", tenant_id, mail),
            self._recorded(tenant_id, actor, "user.invite", invitation),
        ]

    def _recorded(self, tenant_id: str, actor: Actor, action: str, invitation: Invitation) -> Create:
        return audit.record(
            self._store,
            tenant_id,
            actor=actor,
            action=action,
            target=invitation.id,
            at=self._clock(),
            detail={"role": invitation.role},
            once=f"{action} {invitation.id}" if action == "user.invite" else "",
        )

    async def _known(self, tenant_id: str, invitation_id: str) -> Found[Invitation]:
        key_of = records.invitation_key
        found = await records.by_id(self._store, key_of, tenant_id, invitation_id, Invitation)
        if found is None:
            raise NotFound(
                "invitation_not_found", "There is no such invitation. GET /v1/invitations lists them."
            )
        return found


def _user_exists() -> Conflict:
    return Conflict(
        "user_exists", "Somebody with this e-mail address is in the tenant already. Use another one."
    )
