"""The tokens of a session, and how it goes on by refresh, or ends when one comes too late (RFC 6749 §6)."""

import functools
import itertools
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from functions.auth import records
from functions.auth.domain import oauth_client, people, roles
from functions.auth.domain import session as session_rules
from functions.auth.domain.refresh_token import RefreshToken
from functions.auth.domain.session import Outcome, Refused, Reused, Rotated, Session
from functions.auth.keyring.keys import KeyRoom
from functions.auth.oauth.client_authentication import AuthenticatedClient
from functions.auth.oauth.id_tokens import IdTokens
from functions.auth.oauth.session_turns import Seen, SessionTurns
from functions.auth.oauth.tokens import AccessTokens, Tokens
from functions.auth.records import Found
from functions.auth.roles.roles_of_tenant import Roles
from functions.auth.sessions.session_end import SessionEnd
from shared import audit, tenant
from shared.audit import Actor
from shared.cache import Cache, CacheLimits
from shared.errors import OAuthError
from shared.ids import Clock
from shared.metrics import Counts
from shared.store import Stale, Store, until_not_stale
from shared.tenant import Tenant

_KEPT_TENANTS = CacheLimits(ttl=timedelta(seconds=25), stale=timedelta(0), size=10_000)

_REFRESHES = (
    "Refresh tokens of live sessions: rotated, repeated (the same successor again), reused (the end)."
)

_log = logging.getLogger(__name__)


class Sessions:
    """A refresh reads the session and its user. The tenant is kept for 25 s: the commit holds only if it is
    still what it was, and where nothing is committed it is read again.
    """

    def __init__(
        self,
        store: Store,
        access_tokens: AccessTokens,
        id_tokens: IdTokens,
        keys: KeyRoom,
        roles: Roles,
        ends: SessionEnd,
        clock: Clock,
    ) -> None:
        self._store = store
        self._access_tokens = access_tokens
        self._id_tokens = id_tokens
        self._keys = keys
        self._roles = roles
        self._ends = ends
        self._clock = clock
        self.refreshes = Counts("energent_refreshes", _REFRESHES, "token")
        self._tenants = Cache("tenant of a refresh", self._fetch_tenant, clock, _KEPT_TENANTS)
        self._turns = SessionTurns(store, clock)

    async def refresh(
        self,
        client: AuthenticatedClient,
        text: str,
        request_id: str,
        *,
        scope: str | None = None,
        audience: str | None = None,
    ) -> Tokens:
        """A new access token, and the successor of the refresh token `text`.

        Raises `OAuthError`: `invalid_grant` for whatever is no live token of this client (another client's
        stays what it was), `invalid_scope`, and `invalid_target` for another API than the session is for.
        A token that is older than `session.present` allows ends the session:
        `security.refresh_token_reused`.
        """
        token = (await self._keys.current()).refresh_tokens.read(text)
        if token is None or client.tenant_id not in ("", token.tenant_id):
            raise _invalid_grant()
        actor = Actor("user", token.user_id, token.tenant_id, request_id)
        attempt = functools.partial(self._attempt, client, token, actor, scope, audience)
        tries = itertools.count()
        # Whoever lost a race reads the tenant too, at once: the winner's token is what comes next.
        return await until_not_stale(lambda: self._turns.take(token, attempt, with_tenant=next(tries) > 0))

    async def tokens(
        self,
        owner: Tenant,
        session: Session,
        scopes: Sequence[str],
        *,
        refreshable: bool = True,
        nonce: str | None = None,
    ) -> Tokens:
        """An access token with those of `scopes` that the role stands for, an ID token where `openid` is one
        of them (with `nonce`), and the newest refresh token unless it is not `refreshable`.
        """
        at = self._clock()
        stands_for = await self._roles.scopes_of(owner.id, session.roles[0])
        generation = session.generation if refreshable else None
        return await self._issued(
            owner, session, roles.held(scopes, stands_for), at=at, generation=generation, nonce=nonce
        )

    async def _issued(
        self,
        owner: Tenant,
        session: Session,
        scopes: tuple[str, ...],
        *,
        at: datetime,
        generation: int | None,
        audience: str | None = None,
        nonce: str | None = None,
    ) -> Tokens:
        """`scopes` as they were looked up, not before `at`; `generation`: of the refresh token, if any."""
        issued = await self._access_tokens.issue(
            owner,
            session.user_id,
            session.client_id,
            scopes=scopes,
            roles=session.roles,
            session=session,
            audience=audience or session.resource,
            at=at,
        )
        if generation is not None:
            keys = await self._keys.current()
            successor = RefreshToken(owner.id, session.user_id, session.id, generation)
            issued = msgspec.structs.replace(issued, refresh_token=keys.refresh_tokens.text(successor))
        if "openid" in scopes:
            id_token = await self._id_tokens.issue(owner.id, session, issued.access_token, nonce)
            issued = msgspec.structs.replace(issued, id_token=id_token)
        return issued

    async def _attempt(
        self,
        client: AuthenticatedClient,
        token: RefreshToken,
        actor: Actor,
        scope: str | None,
        audience: str | None,
        seen: Seen,
    ) -> Tokens:
        session, user = seen.session, seen.user
        if session is None or user is None or not people.is_in_force(user.value, session.value):
            raise _invalid_grant()
        if session.value.client_id != client.client_id:
            _log.warning("a refresh token of session %s was sent by another client", session.value.id)
            raise _invalid_grant()
        if audience is not None and session.value.resource not in (None, audience):
            raise OAuthError(
                400, "invalid_target", "The sign-in was for another resource. Sign in again for this one."
            )
        current = session_rules.of_user(session.value, user.value.role)
        owner, outcome = await self._judged(token, current, seen.tenant)
        if isinstance(outcome, Refused):
            raise _invalid_grant()
        if isinstance(outcome, Reused):
            await self._ends.commit(token.tenant_id, session, outcome.session, actor)
            self.refreshes.add("reused")
            raise _invalid_grant()
        stands_for = await self._roles.scopes_of(token.tenant_id, user.value.role)
        granted = oauth_client.still_granted(client.client, roles.held(current.scopes, stands_for))
        scopes = roles.narrowed(granted, scope)
        if isinstance(outcome, Rotated):
            await self._move_on(owner, session, outcome.session, actor)
        self.refreshes.add("rotated" if isinstance(outcome, Rotated) else "repeated")
        return await self._issued(
            owner.value,
            outcome.session,
            scopes,
            at=seen.at,
            generation=token.generation + 1,
            audience=audience,
        )

    async def _judged(
        self, token: RefreshToken, session: Session, fresh: Found[Tenant] | None
    ) -> tuple[Found[Tenant], Outcome]:
        """What is kept of the tenant is enough to go on, and for nothing else."""
        if fresh is not None and fresh.value.status == "active":
            valid_after = fresh.value.tokens_valid_after
            return fresh, session_rules.present(session, token.generation, self._clock(), valid_after)
        for find in (self._tenants.get, self._tenants.refetch):
            owner = await find(token.tenant_id)
            if owner is not None and owner.value.status == "active":
                valid_after = owner.value.tokens_valid_after
                outcome = session_rules.present(session, token.generation, self._clock(), valid_after)
                if isinstance(outcome, Rotated):
                    break
        if owner is None or owner.value.status != "active":
            raise _invalid_grant()
        return owner, outcome

    async def _fetch_tenant(self, tenant_id: str) -> Found[Tenant] | None:
        return await records.read(self._store, tenant.key(self._store, tenant_id), Tenant)

    async def _move_on(
        self, owner: Found[Tenant], session: Found[Session], moved: Session, actor: Actor
    ) -> None:
        """Whatever ends the sessions of a user or gives another role changes them too: a race is `Stale`."""
        try:
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
        except Stale:
            self._tenants.forget(owner.value.id)
            raise


def _invalid_grant() -> OAuthError:
    return OAuthError(400, "invalid_grant", "The refresh token is no longer valid. Sign in again.")
