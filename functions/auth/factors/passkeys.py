"""A user's own passkeys: registered, renamed, removed."""

import msgspec

from functions.auth import records
from functions.auth.domain import challenge as challenges
from functions.auth.domain import factors as factor_rules
from functions.auth.domain import passkeys, people
from functions.auth.domain.passkeys import MAX_PASSKEYS, Credential, Passkey
from functions.auth.factors import factor_documents, own_account
from functions.auth.factors.factor_log import FactorLog
from functions.auth.factors.own_account import OwnAccount
from functions.auth.factors.passkey_ceremonies import PasskeyCeremonies, Registration
from functions.auth.factors.passkey_challenges import PasskeyChallenges
from shared.audit import Actor
from shared.errors import Conflict, Invalid, NotFound, invalid
from shared.identity import Principal
from shared.ids import Clock, new_id
from shared.store import AlreadyExists, Delete, Key, Stale, Store, Write, until_not_stale


class OwnPasskeys:
    def __init__(
        self,
        store: Store,
        challenges: PasskeyChallenges,
        ceremonies: PasskeyCeremonies,
        log: FactorLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._challenges = challenges
        self._ceremonies = ceremonies
        self._log = log
        self._clock = clock

    async def options(self, principal: Principal) -> msgspec.Raw:
        """For `navigator.credentials.create()`; good for five minutes, in this session, once.

        Raises `Conflict` `method_not_allowed`, `too_many_passkeys`; `Forbidden` `step_up_required`; and what
        `own_account.read` raises.
        """
        account = await self._account(principal)
        session_id = account.session.value.id
        text = await self._challenges.new(principal.tenant_id, "registration", session_id)
        return self._ceremonies.creation_options(account.user.value, text, account.factors.value.passkeys)

    async def register(self, principal: Principal, actor: Actor, name: str, given: Registration) -> Passkey:
        """Raises `Invalid` for what does not answer the options; `Conflict` `passkey_exists`; and what
        `options` raises.
        """
        shown_name, session_id = people.display_name(name), principal.session_id or ""
        asked = await self._challenges.answered(given, principal.tenant_id, "registration", session_id)
        made = await self._ceremonies.registered(given, asked.text) if asked is not None else None
        if asked is None or made is None:
            raise _refusal()
        passkey = Passkey(
            id=new_id("psk"),
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            bound_to_device=made.bound_to_device,
            transports=given.response.transports,
            name=shown_name,
            created_at=self._clock(),
        )
        used = factor_documents.challenge_key(self._store, principal.tenant_id, asked.id)
        await until_not_stale(lambda: self._add(principal, actor, passkey, used))
        return passkey

    async def rename(self, principal: Principal, actor: Actor, passkey_id: str, name: str) -> Passkey:
        """Raises `Invalid`, `NotFound` `passkey_not_found`, and what `own_account.read` raises."""
        shown_name = people.display_name(name)

        async def attempt() -> Passkey:
            account = await own_account.read(self._store, principal)
            renamed = msgspec.structs.replace(_known(account, passkey_id), name=shown_name)
            after = factor_rules.with_passkey(account.factors.value, renamed)
            told = self._told(principal, actor, "factor.rename", "user.factor_renamed", passkey_id)
            await self._store.commit(*told, account.factors.write(after), *account.checks())
            return renamed

        return await until_not_stale(attempt)

    async def remove(self, principal: Principal, actor: Actor, passkey_id: str) -> None:
        """Raises `NotFound` `passkey_not_found`; `Conflict` `last_factor`; `Forbidden` `step_up_required`."""

        async def attempt() -> None:
            account, at = await own_account.read(self._store, principal), self._clock()
            account.require_recent(at)
            known = _known(account, passkey_id)
            after = factor_rules.without_passkey(account.factors.value, passkey_id)
            account.require_another(after)
            await self._store.commit(
                *self._told(principal, actor, "factor.remove", "user.factor_removed", passkey_id),
                account.factors.write(after),
                Delete(self._credential_key(principal, known.credential_id)),
                *account.checks(),
            )

        await until_not_stale(attempt)

    async def _account(self, principal: Principal) -> OwnAccount:
        account = await own_account.read(self._store, principal)
        account.require_recent(self._clock())
        account.require_allowed("passkey")
        if len(account.factors.value.passkeys) >= MAX_PASSKEYS:
            raise Conflict("too_many_passkeys", f"{MAX_PASSKEYS} passkeys are all one can have. Remove one.")
        return account

    async def _add(self, principal: Principal, actor: Actor, passkey: Passkey, used: Key) -> None:
        account, at = await self._account(principal), self._clock()
        after = msgspec.structs.replace(
            account.factors.value, passkeys=(*account.factors.value.passkeys, passkey)
        )
        credential = self._credential_key(principal, passkey.credential_id)
        amr = passkeys.amr(passkey, user_verified=True)
        try:
            await self._store.commit(
                records.create(used, challenges.answered(None, at)),
                records.create(credential, Credential(principal.subject)),
                *self._told(principal, actor, "factor.add", "user.factor_added", passkey.id),
                *account.enrolled(after, amr, at),
            )
        except AlreadyExists as there:
            if there.key == used:
                raise _refusal() from None
            if there.key == credential:
                raise Conflict(
                    "passkey_exists", "This passkey is registered already. Use it, or take another one."
                ) from None
            raise Stale from there

    def _told(
        self, principal: Principal, actor: Actor, action: str, event: str, passkey_id: str
    ) -> tuple[Write, ...]:
        return self._log.writes(
            principal.tenant_id,
            principal.subject,
            action,
            event,
            actor,
            self._clock(),
            method="passkey",
            passkey_id=passkey_id,
        )

    def _credential_key(self, principal: Principal, credential_id: str) -> Key:
        document_id = passkeys.credential_document_id(credential_id)
        return factor_documents.credential_key(self._store, principal.tenant_id, document_id)


def _known(account: OwnAccount, passkey_id: str) -> Passkey:
    known = factor_rules.passkey(account.factors.value, passkey_id)
    if known is None:
        raise NotFound("passkey_not_found", "There is no such passkey. GET /v1/me/factors lists yours.")
    return known


def _refusal() -> Invalid:
    detail = "This does not answer the options that were given last. Ask for new ones and try again."
    return invalid("/credential", "wrong_credential", detail)
