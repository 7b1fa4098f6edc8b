"""Sessions go on by refresh and end by logout, or when a token of theirs turns up twice."""

from functions.auth import records
from functions.auth.domain import roles
from functions.auth.domain import session as session_rules
from functions.auth.domain.refresh_token import RefreshToken
from functions.auth.domain.session import Refused, Reused, Rotated, Session
from functions.auth.keys import KeyRoom
from functions.auth.records import Found
from functions.auth.tokens import AccessTokens, Tokens
from shared import audit, tenant
from shared.audit import Actor
from shared.errors import Forbidden, OAuthError
from shared.identity import Principal
from shared.ids import Clock
from shared.outbox import Outbox
from shared.store import Store, until_not_stale
from shared.tenant import Tenant


class Sessions:
    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        access_tokens: AccessTokens,
        keys: KeyRoom,
        clock: Clock,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._access_tokens = access_tokens
        self._keys = keys
        self._clock = clock

    async def refresh(self, text: str, scope: str | None, request_id: str) -> Tokens:
        """A new access token and the session's newest refresh token.

        Raises `OAuthError` `invalid_grant` for whatever is not the newest token or its predecessor, and
        `invalid_scope`. Anything older than these ends the session: `security.refresh_token_reused`.
        """
        token = (await self._keys.current()).refresh_tokens.read(text)
        if token is None:
            raise _invalid_grant()
        return await until_not_stale(lambda: self._attempt(token, scope, request_id))

    async def logout(self, principal: Principal, actor: Actor) -> None:
        """Ends the caller's session, once; again is fine. Raises `Forbidden` `no_session` for a machine."""
        session_id = principal.session_id
        if session_id is None:
            raise Forbidden("no_session", "A service account has no session to end.")

        async def attempt() -> None:
            key = records.session_key(self._store, principal.tenant_id, session_id)
            session = records.found((await self._store.read(key))[0], Session)
            if session is not None and session.value.revoked_at is None:
                over = session_rules.revoke(session.value, self._clock(), "logout")
                await self._end(principal.tenant_id, session, over, actor, "session.revoked")

        await until_not_stale(attempt)

    async def tokens(self, owner: Tenant, session: Session, scopes: tuple[str, ...]) -> Tokens:
        """An access token with `scopes`, and the session's newest refresh token."""
        keys = await self._keys.current()
        newest = RefreshToken(owner.id, session.id, session.generation)
        return await self._access_tokens.issue(
            owner,
            session.user_id,
            session.client_id,
            scopes=scopes,
            roles=session.roles,
            session_id=session.id,
            refresh_token=keys.refresh_tokens.text(newest),
        )

    async def _attempt(self, token: RefreshToken, scope: str | None, request_id: str) -> Tokens:
        session_doc, tenant_doc = await self._store.read(
            records.session_key(self._store, token.tenant_id, token.session_id),
            tenant.key(self._store, token.tenant_id),
        )
        session, owner = records.found(session_doc, Session), records.found(tenant_doc, Tenant)
        if session is None or owner is None or owner.value.status != "active":
            raise _invalid_grant()
        actor = Actor("user", session.value.user_id, token.tenant_id, request_id)
        now, valid_after = self._clock(), owner.value.tokens_valid_after
        outcome = session_rules.present(session.value, token.generation, now, valid_after)
        if isinstance(outcome, Refused):
            raise _invalid_grant()
        if isinstance(outcome, Reused):
            await self._end(token.tenant_id, session, outcome.session, actor, "security.refresh_token_reused")
            raise _invalid_grant()
        scopes = roles.narrowed(session.value.scopes, scope)
        if isinstance(outcome, Rotated):
            await self._move_on(owner, session, outcome.session, actor)
        return await self.tokens(owner.value, outcome.session, scopes)

    async def _move_on(
        self, owner: Found[Tenant], session: Found[Session], moved: Session, actor: Actor
    ) -> None:
        await self._store.commit(
            audit.record(
                self._store,
                owner.value.id,
                actor=actor,
                action="session.refresh",
                target=moved.id,
                at=moved.used_at,
            ),
            session.replace(moved),
            owner.check(),
        )

    async def _end(
        self, tenant_id: str, session: Found[Session], over: Session, actor: Actor, event: str
    ) -> None:
        """Revokes with the event that says why."""
        data = {"session_id": over.id, "user_id": over.user_id}
        await self._store.commit(
            session.replace(over),
            *self._outbox.entries(event, tenant_id, data),
            audit.record(
                self._store,
                tenant_id,
                actor=actor,
                action="session.revoke",
                target=over.id,
                at=self._clock(),
                detail={"because": over.revoked_because},
            ),
        )


def _invalid_grant() -> OAuthError:
    return OAuthError(400, "invalid_grant", "The refresh token is no longer valid. Sign in again.")
