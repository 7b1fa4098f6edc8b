"""Changes to OAuth clients: their fields and status. Secrets, keys and deletion are in `HolderChanges`."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from functions.auth import records
from functions.auth.credentials.holder_changes import HolderChanges, HolderKind
from functions.auth.domain import oauth_client, people
from functions.auth.domain.machines import Status
from functions.auth.domain.oauth_client import OAuthClient
from functions.auth.domain.people import Name
from functions.auth.oauth.oauth_clients import GrantTypes, Scopes, Uris, not_found
from shared.audit import Actor
from shared.identity import Principal
from shared.ids import Clock
from shared.outbox import Outbox
from shared.store import Store


class ClientChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field that is None or left out stays as it is."""

    name: Name | None = None
    redirect_uris: Uris | None = None
    post_logout_redirect_uris: Uris | None = None
    grant_types: GrantTypes | None = None
    scopes: Scopes | None = None
    resources: Uris | None = None
    status: Status | None = None


class OAuthClientChanges(HolderChanges[OAuthClient]):
    """A client that is disabled or deleted gets no more tokens, its sessions cannot be refreshed, and its
    access tokens end, including those it has for people.
    """

    def __init__(self, store: Store, outbox: Outbox, clock: Clock, forget: Callable[[str], None]) -> None:
        super().__init__(_CLIENTS, store, outbox, clock, forget)

    async def update(
        self, principal: Principal, actor: Actor, client_id: str, change: ClientChange
    ) -> OAuthClient:
        """Raises `Invalid`; `Forbidden` `scope_not_grantable`, also for a caller who lacks one of the
        client's scopes and changes where codes, tokens and people are sent, or by which grants tokens are
        got.
        """
        given = msgspec.structs.asdict(change).items()
        fields = {name: value for name, value in given if value is not None}
        if change.name is not None:
            fields["name"] = people.display_name(change.name)
        if change.scopes is not None:
            fields["scopes"] = oauth_client.grantable(change.scopes, principal.scopes, principal.tenant_id)

        def decide(client: OAuthClient, at: datetime) -> OAuthClient:
            changed = msgspec.structs.replace(client, **fields)
            oauth_client.check(changed)
            if changed.scopes != client.scopes:
                oauth_client.require_equal(client, principal.scopes)
            if oauth_client.is_led_elsewhere(client, changed):
                oauth_client.require_equal(changed, principal.scopes)
            return changed

        return await self._change(principal, actor, client_id, decide, lambda client: client)


def _require_credentials(client: OAuthClient, caller: Principal) -> None:
    oauth_client.require_credentials(client, caller.scopes)


_CLIENTS = HolderKind(
    "client", OAuthClient, records.client_key, not_found, _require_credentials, oauth_client.over_at
)
