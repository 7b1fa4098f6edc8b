"""The token endpoint (RFC 6749 §3.2): finds the grant, authenticates the client, checks that it may."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from functions.auth.domain import oauth_client
from functions.auth.oauth.client_authentication import AuthenticatedClient, ClientAuthentication
from functions.auth.oauth.presented_client import invalid_client
from functions.auth.oauth.tokens import Tokens
from shared.errors import OAuthError
from shared.metrics import Counts

_OF_THE_APP = ("refresh_token",)
_OF_MACHINES = ("client_credentials",)
"""For these grants the client may come from the cache (`ClientAuthentication.recently`): the token's `iat` is
the moment at which the client was read."""


class Grant(Protocol):
    """One `grant_type`."""

    async def redeem(self, client: AuthenticatedClient, form: Mapping[str, str], request_id: str) -> Tokens:
        """Raises `OAuthError` with the codes of RFC 6749 §5.2 and of the grant's own specification."""


class TokenEndpoint:
    """`grants` maps each supported `grant_type` to what redeems it; discovery lists the same."""

    def __init__(self, clients: ClientAuthentication, grants: Mapping[str, Grant]) -> None:
        self._clients = clients
        self._grants = grants
        self.answered = Counts(
            "energent_token_requests", "Requests for tokens, by grant and result.", "grant_type", "result"
        )

    @property
    def grant_types(self) -> tuple[str, ...]:
        return tuple(self._grants)

    async def answer(
        self, form: Mapping[str, str], authorization: str | None, request_id: str, address: str = ""
    ) -> Tokens:
        """Raises `OAuthError` with the codes of RFC 6749 §5.2."""
        grant_type = form.get("grant_type")
        if grant_type is None:
            raise OAuthError(400, "invalid_request", f"Give grant_type: {', '.join(self._grants)}.")
        grant = self._grants.get(grant_type)
        if grant is None:
            raise OAuthError(400, "unsupported_grant_type", f"Use one of {', '.join(self._grants)}.")
        with self.answered.result(grant_type):
            prove = self._clients.recently if grant_type in _OF_MACHINES else self._clients.authenticate
            client = await prove(form, authorization, request_id, address)
            if grant_type not in _allowed(client):
                if client.kind == "app":
                    raise invalid_client()
                raise oauth_client.unregistered_grant()
            return await grant.redeem(client, form, request_id)


def _allowed(client: AuthenticatedClient) -> Sequence[str]:
    if client.client is not None:
        return client.client.grant_types
    return _OF_MACHINES if client.kind == "service_account" else _OF_THE_APP
