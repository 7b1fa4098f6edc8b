"""The token endpoint (RFC 6749 §3.2): who the client is, and which grant is asked for."""

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote_plus

import msgspec

from functions.auth.domain import client_id
from functions.auth.service_accounts import ServiceAccounts, invalid_client
from functions.auth.sessions import Sessions
from functions.auth.tokens import Tokens
from shared.errors import OAuthError


class Client(msgspec.Struct, frozen=True):
    """What a client says of itself; a public one has no secret."""

    id: str | None = None
    secret: str | None = None


class TokenEndpoint:
    def __init__(self, sessions: Sessions, service_accounts: ServiceAccounts) -> None:
        self._sessions = sessions
        self._service_accounts = service_accounts

    async def answer(self, form: Mapping[str, str], authorization: str | None, request_id: str) -> Tokens:
        """Raises `OAuthError` with the codes of RFC 6749 §5.2."""
        client = _client(form, authorization)
        grant, scope = form.get("grant_type"), form.get("scope")
        if grant == "refresh_token":
            return await self._refresh(client, form.get("refresh_token"), scope, request_id)
        if grant == "client_credentials":
            if client.id is None or client.secret is None:
                raise invalid_client()
            return await self._service_accounts.token(client.id, client.secret, scope)
        if grant is None:
            raise OAuthError(400, "invalid_request", "grant_type is missing.")
        raise OAuthError(400, "unsupported_grant_type", "Use refresh_token or client_credentials.")

    async def _refresh(self, client: Client, token: str | None, scope: str | None, request_id: str) -> Tokens:
        """Refresh tokens belong to the first-party app, which has no secret and need not name itself."""
        if client.secret is not None:
            raise invalid_client()
        if client.id not in (None, client_id.APP):
            raise OAuthError(400, "invalid_grant", "The refresh token was issued to another client.")
        if token is None:
            raise OAuthError(400, "invalid_request", "refresh_token is missing.")
        return await self._sessions.refresh(token, scope, request_id)


def _client(form: Mapping[str, str], authorization: str | None) -> Client:
    """By HTTP Basic or in the form (§2.3.1), never both. Another scheme is not the client's: a gateway's."""
    in_form = Client(form.get("client_id"), form.get("client_secret"))
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return in_form
    basic = _basic(credentials.strip())
    if in_form.secret is not None or in_form.id not in (None, basic.id):
        raise OAuthError(400, "invalid_request", "Authenticate in one way: with Basic or in the form.")
    return basic


def _basic(credentials: str) -> Client:
    """RFC 7617, each half form-encoded as RFC 6749 §2.3.1 has it."""
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid_client() from None
    name, colon, secret = text.partition(":")
    if not colon:
        raise invalid_client()
    return Client(unquote_plus(name), unquote_plus(secret))
