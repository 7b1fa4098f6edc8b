"""HTTP handlers for the secrets and keys of service accounts and OAuth clients."""

from functions.auth.credentials import credential_views as views
from functions.auth.credentials.holder_changes import CredentialKind, HolderChanges
from functions.auth.domain import client_id
from functions.auth.domain.machines import ServiceAccount
from functions.auth.domain.oauth_client import OAuthClient
from shared.http import NO_STORE, Call, Handler, Response, json_response
from shared.http.idempotency import Idempotency


class CredentialHandlers:
    """`parameter` is the name of the path parameter that holds the service account's or client's id."""

    def __init__(
        self,
        idempotency: Idempotency,
        changes: HolderChanges[ServiceAccount] | HolderChanges[OAuthClient],
        parameter: str,
    ) -> None:
        self._idempotency = idempotency
        self._changes = changes
        self._parameter = parameter

    async def add_secret(self, call: Call) -> Response:
        asked = await call.json(views.SecretRequest)
        own_id = call.params[self._parameter]
        named = client_id.of(call.principal.tenant_id, own_id)
        return await self._idempotency.answer(
            call,
            lambda once: self._changes.add_secret(call.principal, call.actor, own_id, asked.expires_at, once),
            show=lambda added: json_response(views.secret_added(added, named), 201, headers=NO_STORE),
            keep=lambda added: json_response(views.secret_added_before(added, named), 201, headers=NO_STORE),
        )

    async def add_key(self, call: Call) -> Response:
        asked = await call.json(views.KeyRequest)
        own_id = call.params[self._parameter]
        return await self._idempotency.answer(
            call,
            lambda once: self._changes.add_key(
                call.principal, call.actor, own_id, asked.jwk, asked.expires_at, once
            ),
            show=lambda key: json_response(views.key(key), 201),
        )

    def remove(self, kind: CredentialKind, parameter: str) -> Handler:
        """`parameter` is the name of the path parameter that holds the credential's id."""

        async def handler(call: Call) -> Response:
            own_id, credential_id = call.params[self._parameter], call.params[parameter]
            await self._changes.remove(call.principal, call.actor, own_id, kind, credential_id)
            return Response(204)

        return handler
