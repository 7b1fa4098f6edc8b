"""Which client asks: by secret, by a signed assertion, or a public one by name (RFC 6749 §2.3, RFC 7523)."""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from functions.auth import records
from functions.auth.domain import client_id as client_ids
from functions.auth.domain import credentials
from functions.auth.domain.machines import ServiceAccount
from functions.auth.domain.oauth_client import OAuthClient
from functions.auth.guessing.refused_credentials import Kind, Refused, RefusedCredentials
from functions.auth.guessing.source import Source
from functions.auth.oauth.client_assertion import Assertion, NotAnAssertion
from functions.auth.oauth.presented_client import Method, Presented, invalid_client, presented
from shared import tenant
from shared.errors import OAuthError
from shared.ids import Clock
from shared.store import AlreadyExists, Store
from shared.tenant import Tenant

_WHY: Mapping[Method, str] = {
    "client_secret_basic": "wrong_secret",
    "client_secret_post": "wrong_secret",
    "private_key_jwt": "wrong_assertion",
    "none": "no_proof",
}
"""Why a client was refused, in the words of the audit log."""

KEPT_FOR = timedelta(seconds=25)
MAX_KEPT = 1_000
"""Entries: a client that sends another secret, or the same one in another way, is another entry."""

_log = logging.getLogger(__name__)


class AuthenticatedClient(msgspec.Struct, frozen=True):
    """A client that has proven itself, or one that is public and only named.

    By `kind`, either `client` or `account` is set; the first-party app has neither. `owner` is the tenant of
    a client or account, and is active; the app belongs to no tenant (`tenant_id` is empty). `as_of` is when
    all of this was read from the store; None for the app.
    """

    client_id: str
    tenant_id: str
    kind: Literal["client", "service_account", "app"]
    method: Method
    client: OAuthClient | None = None
    account: ServiceAccount | None = None
    owner: Tenant | None = None
    as_of: datetime | None = None


APP = AuthenticatedClient(client_ids.APP, "", "app", "none")


class _Kept(msgspec.Struct, frozen=True):
    client: AuthenticatedClient
    until: datetime


class ClientAuthentication:
    """Unknown clients, disabled clients and wrong secrets all get the same answer."""

    def __init__(self, store: Store, refused: RefusedCredentials, issuer: str, clock: Clock) -> None:
        self._store = store
        self._refused = refused
        self._audiences = (issuer, f"{issuer}/oauth2/token")
        self._clock = clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._forgotten = 0

    async def authenticate(
        self, form: Mapping[str, str], authorization: str | None, request_id: str, address: str = ""
    ) -> AuthenticatedClient:
        """Costs one read, and one commit for an assertion. A request that names no client is the first-party
        app's. `address` is where the request comes from, for the aggregated record of refusals.

        Raises `OAuthError`: `invalid_request` for two methods at once; `invalid_client`;
        `unauthorized_client` for a proven client whose tenant is not active.
        """
        said = presented(form, authorization)
        if said.client_id in (None, client_ids.APP):
            if said.method != "none":
                raise invalid_client()
            return APP
        ids = client_ids.parse(said.client_id or "")
        if ids is None:
            raise invalid_client()
        try:
            return await self._proven(said, *ids, Source(address, request_id=request_id))
        except OAuthError as refusal:
            _log.info("client %s.%s was refused: %s (%s)", *ids, refusal.code, request_id)
            raise

    async def recently(
        self, form: Mapping[str, str], authorization: str | None, request_id: str, address: str = ""
    ) -> AuthenticatedClient:
        """The same from a cache: a secret that was right less than `KEPT_FOR` ago is believed.

        Only for answers that hold no token, and for tokens whose `iat` is `as_of`: then any revocation since
        ends them too. Refusals are not cached, so a new secret works at once.
        """
        if "client_assertion" in form:
            return await self.authenticate(form, authorization, request_id, address)
        said = (authorization, form.get("client_id"), form.get("client_secret"))
        proof = hashlib.sha256(msgspec.json.encode(said)).digest()
        kept = self._kept.get(proof)
        if kept is not None and self._clock() < kept.until:
            return kept.client
        forgotten = self._forgotten
        client = await self.authenticate(form, authorization, request_id, address)
        until = _until(client)
        if until is not None and forgotten == self._forgotten:  # else it may have changed since it was read
            self._kept[proof] = _Kept(client, until)
            self._kept.move_to_end(proof)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return client

    def forget(self, own_id: str) -> None:
        """Drops a service account or client from the cache of this process, because it has changed."""
        self._forgotten += 1
        gone = [proof for proof, kept in self._kept.items() if kept.client.client_id.endswith(f".{own_id}")]
        for proof in gone:
            del self._kept[proof]

    async def _proven(
        self, said: Presented, tenant_id: str, own_id: str, source: Source
    ) -> AuthenticatedClient:
        as_of = self._clock()
        is_account = own_id.startswith("sa_")
        key_of = records.service_account_key if is_account else records.client_key
        doc, tenant_doc = await self._store.read(
            key_of(self._store, tenant_id, own_id), tenant.key(self._store, tenant_id)
        )
        owner = records.found(tenant_doc, Tenant)
        account = records.found(doc, ServiceAccount) if is_account else None
        client = None if is_account else records.found(doc, OAuthClient)
        holder = account or client
        if owner is None or holder is None:
            raise invalid_client()
        try:
            await self._prove(said, holder.value, tenant_id)
        except OAuthError:
            why = _WHY[said.method] if holder.value.status == "active" else holder.value.status
            kind: Kind = "service_account" if is_account else "client"
            await self._refused.note(Refused(kind, tenant_id, own_id, why), source)
            raise
        if owner.value.status != "active":
            raise OAuthError(
                400,
                "unauthorized_client",
                "The tenant of this client is not active. Ask its owner or the operator.",
            )
        return AuthenticatedClient(
            client_id=client_ids.of(tenant_id, own_id),
            tenant_id=tenant_id,
            kind="service_account" if is_account else "client",
            method=said.method,
            client=client.value if client else None,
            account=account.value if account else None,
            owner=owner.value,
            as_of=as_of,
        )

    async def _prove(self, said: Presented, holder: ServiceAccount | OAuthClient, tenant_id: str) -> None:
        """Raises `OAuthError` `invalid_client` unless the client is active and what it presents is right."""
        is_public = isinstance(holder, OAuthClient) and holder.kind == "public"
        if holder.status != "active" or is_public != (said.method == "none"):
            raise invalid_client()
        if said.assertion is not None:
            await self._use(said.assertion, holder, tenant_id)
        elif not is_public and not credentials.holds(holder.secrets, said.secret, self._clock()):
            raise invalid_client()

    async def _use(self, assertion: Assertion, holder: ServiceAccount | OAuthClient, tenant_id: str) -> None:
        """Verifies an assertion and records its use; a second use finds that record and is refused."""
        try:
            assertion.verify(holder.keys, self._audiences, self._clock())
            key = records.assertion_key(self._store, tenant_id, assertion.id)
            await self._store.commit(records.create(key, assertion.used))
        except (NotAnAssertion, AlreadyExists):
            raise invalid_client() from None


def _until(client: AuthenticatedClient) -> datetime | None:
    """Until when `client` may be cached: `KEPT_FOR`, or until the first of its secrets expires. None for a
    client that has shown no secret, which is never cached.
    """
    holder = client.account or client.client
    if holder is None or client.as_of is None or client.method == "none":
        return None
    ends = (secret.expires_at for secret in credentials.active(holder.secrets, client.as_of))
    return min((client.as_of + KEPT_FOR, *(end for end in ends if end is not None)))
