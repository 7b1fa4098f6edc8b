"""Introspection (RFC 7662): whether a token of the caller's tenant is good now, and what it says."""

from collections.abc import Mapping

import msgspec

from functions.auth import records
from functions.auth.domain import claims, people
from functions.auth.domain import refresh_token as refresh_tokens
from functions.auth.domain import session as session_rules
from functions.auth.domain.assurance import Acr, acr_of
from functions.auth.domain.people import User
from functions.auth.domain.refresh_token import RefreshToken
from functions.auth.domain.session import Repeated, Rotated, Session
from functions.auth.keyring.keys import KeyRoom
from functions.auth.oauth.client_authentication import AuthenticatedClient, ClientAuthentication
from functions.auth.oauth.presented_client import invalid_client
from shared import tenant
from shared.errors import Forbidden, OAuthError, Unauthenticated
from shared.identity import Principal, Verifier
from shared.ids import Clock
from shared.store import Store
from shared.tenant import Tenant


class Introspected(msgspec.Struct, frozen=True, omit_defaults=True):
    """§2.2; `tid` is the tenant, `sid` the session. Times are seconds since 1970."""

    active: bool
    scope: str | None = None
    client_id: str | None = None
    token_type: str | None = None
    exp: int | None = None
    iat: int | None = None
    sub: str | None = None
    aud: str | None = None
    iss: str | None = None
    jti: str | None = None
    tid: str | None = None
    sid: str | None = None
    auth_time: int | None = None
    acr: Acr | None = None
    amr: tuple[str, ...] = ()


INACTIVE = Introspected(False)
"""The whole answer about a token that is invalid, over, or another tenant's."""


class Introspection:
    """`verifier` accepts tokens for any audience. Suspensions and revocations are seen after at most 25 s."""

    def __init__(
        self, store: Store, clients: ClientAuthentication, verifier: Verifier, keys: KeyRoom, clock: Clock
    ) -> None:
        self._store = store
        self._clients = clients
        self._verifier = verifier
        self._keys = keys
        self._clock = clock

    async def answer(
        self, form: Mapping[str, str], authorization: str | None, request_id: str, address: str = ""
    ) -> Introspected:
        """Raises `OAuthError`: `invalid_client` for a caller that has not proven to be a client, and
        `invalid_request`.
        """
        caller = await self._clients.recently(form, authorization, request_id, address)
        if caller.method == "none":
            raise invalid_client()
        token = form.get("token")
        if token is None:
            raise OAuthError(400, "invalid_request", "Give token.")
        if token.startswith(refresh_tokens.PREFIX):
            return await self._refresh_token(caller, token)
        return await self._access_token(caller, token)

    async def _access_token(self, caller: AuthenticatedClient, token: str) -> Introspected:
        try:
            principal = await self._verifier.verify(token)
        except (Unauthenticated, Forbidden):
            return INACTIVE
        return (
            _said(principal, self._verifier.issuer) if principal.tenant_id == caller.tenant_id else INACTIVE
        )

    async def _refresh_token(self, caller: AuthenticatedClient, text: str) -> Introspected:
        """Read-only: presenting a token here never moves the session on and never counts as reuse."""
        token = (await self._keys.current()).refresh_tokens.read(text)
        if token is None or token.tenant_id != caller.tenant_id:
            return INACTIVE
        session = await self._live(token)
        if session is None:
            return INACTIVE
        return Introspected(
            active=True,
            scope=claims.scope_text(session.scopes),
            client_id=session.client_id,
            exp=int(session_rules.expires_at(session).timestamp()),
            iat=int(session.used_at.timestamp()),
            sub=session.user_id,
            iss=self._verifier.issuer,
            tid=caller.tenant_id,
            sid=session.id,
        )

    async def _live(self, token: RefreshToken) -> Session | None:
        tenant_doc, session_doc, user_doc = await self._store.read(
            tenant.key(self._store, token.tenant_id),
            records.session_key(self._store, token.tenant_id, token.session_id),
            records.user_key(self._store, token.tenant_id, token.user_id),
        )
        owner, session = records.found(tenant_doc, Tenant), records.found(session_doc, Session)
        user = records.found(user_doc, User)
        if owner is None or session is None or user is None or owner.value.status != "active":
            return None
        if not people.is_in_force(user.value, session.value):
            return None
        valid_after = owner.value.tokens_valid_after
        outcome = session_rules.present(session.value, token.generation, self._clock(), valid_after)
        return session.value if isinstance(outcome, Rotated | Repeated) else None


def _said(principal: Principal, issuer: str) -> Introspected:
    signed_in = principal.authenticated_at
    return Introspected(
        active=True,
        scope=claims.scope_text(principal.scopes),
        client_id=principal.client_id,
        token_type="Bearer",  # noqa: S106 - a type
        exp=int(principal.expires_at.timestamp()),
        iat=int(principal.issued_at.timestamp()),
        sub=principal.subject,
        aud=principal.audience,
        iss=issuer,
        jti=principal.token_id,
        tid=principal.tenant_id,
        sid=principal.session_id,
        auth_time=None if signed_in is None else int(signed_in.timestamp()),
        acr=None if signed_in is None else acr_of(principal.amr),
        amr=principal.amr,
    )
