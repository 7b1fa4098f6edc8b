"""The grants of the token endpoint that involve no browser: refresh token and client credentials."""

from collections.abc import Mapping

from functions.auth.domain import authorization_request, oauth_client, roles
from functions.auth.oauth.client_authentication import AuthenticatedClient
from functions.auth.oauth.presented_client import invalid_client
from functions.auth.oauth.sessions import Sessions
from functions.auth.oauth.tokens import AccessTokens, Tokens
from shared.errors import OAuthError


class RefreshTokenGrant:
    """RFC 6749 §6."""

    def __init__(self, sessions: Sessions, issuer: str) -> None:
        self._sessions = sessions
        self._issuer = issuer

    async def redeem(self, client: AuthenticatedClient, form: Mapping[str, str], request_id: str) -> Tokens:
        """Libraries repeat the scope of their first request, so `offline_access` is dropped here too.

        Raises `OAuthError` as `Sessions.refresh` does, and `invalid_request`, `invalid_target`.
        """
        token = form.get("refresh_token")
        if token is None:
            raise OAuthError(400, "invalid_request", "Give refresh_token.")
        scope = authorization_request.api_scope(form.get("scope"))
        audience = audience_of(client, form, self._issuer)
        return await self._sessions.refresh(client, token, request_id, scope=scope, audience=audience)


class ClientCredentialsGrant:
    """RFC 6749 §4.4: service accounts, and clients that registered it."""

    def __init__(self, access_tokens: AccessTokens, issuer: str) -> None:
        self._access_tokens = access_tokens
        self._issuer = issuer

    async def redeem(self, client: AuthenticatedClient, form: Mapping[str, str], request_id: str) -> Tokens:
        """Raises `OAuthError`: `invalid_client` for a public client, `invalid_scope`, `invalid_target`."""
        holder = client.account or client.client
        if client.method == "none" or holder is None or client.owner is None:
            raise invalid_client()
        return await self._access_tokens.issue(
            client.owner,
            holder.id,
            client.client_id,
            scopes=roles.narrowed(oauth_client.of_machines(holder.scopes), form.get("scope")),
            roles=client.account.roles if client.account else (),
            audience=audience_of(client, form, self._issuer),
            at=client.as_of,
        )


def audience_of(client: AuthenticatedClient, form: Mapping[str, str], issuer: str) -> str | None:
    """The API that a token is asked for (RFC 8707); None if none is named. Raises `OAuthError`
    `invalid_target` for one that the client is not registered for.
    """
    resource = form.get("resource")
    if resource in (None, issuer):
        return resource
    if client.client is None or resource not in client.client.resources:
        raise oauth_client.unregistered_resource()
    return resource
