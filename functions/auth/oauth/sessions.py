"""The tokens of a session, and the refresh that renews them or ends the session (RFC 6749 §6)."""

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
from functions.auth.domain.session import Outcome, Refused, Repeated, Reused, Rotated, Session
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
    """A refresh reads the session and the user, and takes the tenant from a cache of 25 s. That is safe: the
    commit checks that the tenant is unchanged, and an answer without a commit reads the tenant again.
    """

    def __init__(
        self,
        store: Store,
        access_tokens: AccessTokens,
        id_tokens: IdTokens,
        keys: KeyRoom,
        roles: Roles,
        session_end: SessionEnd,
        clock: Clock,
    ) -> None:
        self._store = store
        self._access_tokens = access_tokens
        self._id_tokens = id_tokens
        self._keys = keys
        self._roles = roles
        self._session_end = session_end
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

        A token that is too old for a second answer (`session.present`) ends the session, with the event
        `security.refresh_token_reused`. Raises `OAuthError`: `invalid_grant` for whatever is no live token of
        this client (the token of another client is not used up by that); `invalid_scope`; `invalid_target`
        for another API than the one that the session was begun for.
        """
        token = (await self._keys.current()).refresh_tokens.read(text)
        if token is None or client.tenant_id not in ("", token.tenant_id):
            raise _invalid_grant()
        actor = Actor("user", token.user_id, token.tenant_id, request_id)
        attempt = functools.partial(self._attempt, client, token, actor, scope, audience)
        tries = itertools.count()
        # After a lost race the tenant is read at once: the answer will be the winner's token, and no commit.
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
        """The tokens of a session as it stands: an access token with those of `scopes` that the user's role
        includes now; an ID token with `nonce` if `openid` is among them; the newest refresh token, if
        `refreshable`.
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
        """`scopes` were looked up at `at`. `generation` is that of the refresh token; None: without one."""
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
        if isinstance(outcome, Reused):
            await self._session_end.commit(token.tenant_id, session, outcome.session, actor)
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
    ) -> tuple[Found[Tenant], Rotated | Repeated | Reused]:
        """What presenting `token` means, and the tenant that this was decided by.

        The tenant in the cache is good enough where the session moves on, since that commit checks it. For
        any other outcome the tenant is read again, unless it has just been (`fresh`).
        """
        owner = fresh or await self._tenants.get(token.tenant_id)
        outcome = self._presented(owner, session, token.generation)
        if fresh is None and not isinstance(outcome, Rotated):
            owner = await self._tenants.refetch(token.tenant_id)
            outcome = self._presented(owner, session, token.generation)
        if owner is None or isinstance(outcome, Refused):
            raise _invalid_grant()
        return owner, outcome

    def _presented(self, owner: Found[Tenant] | None, session: Session, generation: int) -> Outcome:
        if owner is None or owner.value.status != "active":
            return Refused("tenant_not_active")
        return session_rules.present(session, generation, self._clock(), owner.value.tokens_valid_after)

    async def _fetch_tenant(self, tenant_id: str) -> Found[Tenant] | None:
        return await records.read(self._store, tenant.key(self._store, tenant_id), Tenant)

    async def _move_on(
        self, owner: Found[Tenant], session: Found[Session], moved: Session, actor: Actor
    ) -> None:
        """Stores the new generation. Raises `Stale` where the session or the tenant has changed meanwhile:
        whatever ends a user's sessions or changes the role writes to the sessions as well.
        """
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
