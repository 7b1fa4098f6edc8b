"""Which client asks: by secret, by a signed assertion, or a public one by name (RFC 6749 §2.3, RFC 7523)."""

from typing import Literal

import msgspec

from functions.auth.domain.machines import ServiceAccount
from functions.auth.domain.oauth_client import OAuthClient
from shared.tenant import Tenant

Method = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]


class AuthenticatedClient(msgspec.Struct, frozen=True):
    """`kind`: `client` has a `client`, `service_account` has an `account`, `app` is the first-party app.

    `owner` is the tenant of the first two, which is active; the app belongs to none (`tenant_id` is empty).
    """

    client_id: str
    tenant_id: str
    kind: Literal["client", "service_account", "app"]
    method: Method
    client: OAuthClient | None = None
    account: ServiceAccount | None = None
    owner: Tenant | None = None
