"""Password reset by a mailed link, and password change. Both end the sessions that began with the old one."""

import msgspec

from functions.auth import records, standing
from functions.auth.domain import email as email_rules
from functions.auth.domain import factors as factor_rules
from functions.auth.domain import login as logins
from functions.auth.domain import one_time_link, password_reset, people
from functions.auth.domain import password as password_rules
from functions.auth.domain.one_time_link import OneTimeLink
from functions.auth.domain.password_reset import PasswordReset
from functions.auth.domain.people import Login, User
from functions.auth.factors import factor_documents
from functions.auth.guessing.source import Source
from functions.auth.keyring.keys import KeyRoom
from functions.auth.mail.mails import MailRequested
from functions.auth.people.own_password import OwnPassword
from functions.auth.people.user_sessions import UserSessions
from functions.auth.records import Found
from functions.auth.sign_in import password_policy
from functions.auth.sign_in.password_policy import PasswordPolicy
from functions.auth.sign_in.passwords import Passwords
from shared import audit, tenant
from shared.audit import Actor
from shared.identity import Principal
from shared.ids import Clock
from shared.outbox import Outbox
from shared.store import Delete, Store, Write, until_not_stale
from shared.tenant import Tenant


class _New(msgspec.Struct, frozen=True):
    """A password that was accepted."""

    hash: str
    is_short: bool


class PasswordChanges:
    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        passwords: Passwords,
        policy: PasswordPolicy,
        keys: KeyRoom,
        own: OwnPassword,
        sessions: UserSessions,
        clock: Clock,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._passwords = passwords
        self._policy = policy
        self._keys = keys
        self._own = own
        self._sessions = sessions
        self._clock = clock

    async def forgot(self, slug: str, email: str) -> None:
        """Requests a mail with a link. The work is the same for known and unknown addresses: the event's
        handler finds out whether there is a user.

        Raises `Invalid` for what is no address.
        """
        address = email_rules.canonical(email)
        tenant_id = await records.tenant_of_slug(self._store, slug)
        mail = MailRequested("password_reset", people.login_id(address))
        await self._store.commit(*self._outbox.entries("mail.requested", tenant_id, mail))

    async def reset(self, token: str, password: str, request_id: str, address: str = "") -> None:
        """Sets a new password by a link. Uses up all links that were sent, ends all sessions, and is possible
        even while sign-ins are delayed because of guesses.
        `address` is where the request comes from.

        Raises `Invalid` (`/token` `invalid_token` for whatever does not work, or no more), `Forbidden`
        `tenant_suspended` or `tenant_not_active`, `Unavailable` when too many passwords wait to be hashed.
        """
        link = (await self._keys.current()).links.read("password_reset", token)
        if link is None:
            raise one_time_link.refusal()
        owner, _, _, user = await self._opened(link)
        new = await self._new(owner.value, user.value, password, "/password")
        actor = Actor("user", user.value.id, link.tenant_id, request_id, address)

        async def attempt() -> None:
            owner, reset, login, user = await self._opened(link)
            await self._store.commit(
                *self._changed(owner, login, user, people.signed_out(user.value), new),
                *await self._sessions.overtaken(link.tenant_id, user.value.id),
                *_used(reset),
                *self._told(actor, user.value.id, "password.reset"),
            )

        await until_not_stale(attempt)
        await self._sessions.end_those_over(link.tenant_id, user.value.id, actor)

    async def change(
        self,
        principal: Principal,
        actor: Actor,
        current: str,
        new: str,
        source: Source,
        *,
        keep_other_sessions: bool,
    ) -> None:
        """Changes the caller's password. The caller's session goes on; the others end, unless
        `keep_other_sessions`.

        Raises what `OwnPassword.proven` does, and `Invalid`.
        """

        async def attempt() -> None:
            first = await self._own.proven(principal, current, source)
            user = first.user.value
            hashed = await self._new(first.owner.value, user, new, "/new_password")
            after = user if keep_other_sessions else people.signed_out(user, principal.session_id or "")
            reset_key = records.link_key(self._store, principal.tenant_id, first.login.key.id)
            reset = await records.read(self._store, reset_key, PasswordReset)
            await self._store.commit(
                *self._changed(first.owner, first.login, first.user, after, hashed),
                *(
                    []
                    if keep_other_sessions
                    else await self._sessions.overtaken(principal.tenant_id, user.id)
                ),
                *_used(reset),
                *self._told(actor, user.id, "password.change"),
            )

        await until_not_stale(attempt)
        await self._sessions.end_those_over(principal.tenant_id, principal.subject, actor)

    async def _opened(
        self, link: OneTimeLink
    ) -> tuple[Found[Tenant], Found[PasswordReset], Found[Login], Found[User]]:
        """The documents that a link is about. Raises `Invalid` if it does not work, and what `require_active`
        raises.
        """
        tenant_doc, reset_doc, login_doc = await self._store.read(
            tenant.key(self._store, link.tenant_id),
            records.link_key(self._store, link.tenant_id, link.document_id),
            records.login_key(self._store, link.tenant_id, link.document_id),
        )
        owner, login = records.found(tenant_doc, Tenant), records.found(login_doc, Login)
        reset = records.found(reset_doc, PasswordReset)
        if owner is None or login is None or reset is None:
            raise one_time_link.refusal()
        if not password_reset.opens(reset.value, link.issue, login.value.password_set_at, self._clock()):
            raise one_time_link.refusal()
        user_key = records.user_key(self._store, link.tenant_id, login.value.user_id)
        user = await records.read(self._store, user_key, User)
        if user is None or user.value.status != "active":
            raise one_time_link.refusal()
        standing.require_active(owner.value)
        return owner, reset, login, user

    async def _new(self, owner: Tenant, user: User, text: str, path: str) -> _New:
        """Checks and hashes a new password. It may be short if there is a second factor; without that factor,
        later, it only allows to enrol another one. Raises `Invalid`, `Unavailable`.
        """
        factors = (await factor_documents.of_user(self._store, owner.id, user.id)).value
        accepted = await self._policy.new(
            text,
            path=path,
            words=password_policy.words_of(owner, user.email, user.name),
            second_factor=bool(factor_rules.usable(factors)),
        )
        return _New(await self._passwords.hash(accepted), password_rules.is_short(accepted))

    def _changed(
        self, owner: Found[Tenant], login: Found[Login], user: Found[User], after: User, new: _New
    ) -> tuple[Write, ...]:
        """The writes of a new password. They also cancel a change of address begun with the old one."""
        return (
            login.replace(logins.with_password(login.value, new.hash, self._clock(), is_short=new.is_short)),
            user.check() if after is user.value else user.replace(after),
            Delete(records.link_key(self._store, owner.value.id, after.id)),
            owner.check(),
        )

    def _told(self, actor: Actor, user_id: str, action: str) -> tuple[Write, ...]:
        """Event, notice and audit record."""
        tenant_id = actor.tenant_id
        notice = MailRequested("password_changed", user_id)
        return (
            *self._outbox.entries("user.password_changed", tenant_id, {"user_id": user_id}),
            *self._outbox.entries("mail.requested", tenant_id, notice),
            audit.record(
                self._store, tenant_id, actor=actor, action=action, target=user_id, at=self._clock()
            ),
        )


def _used(reset: Found[PasswordReset] | None) -> tuple[Write, ...]:
    """Marks all reset links as used. The document stays, so that a redelivered request makes no new link."""
    return () if reset is None else (reset.replace(password_reset.used(reset.value)),)
