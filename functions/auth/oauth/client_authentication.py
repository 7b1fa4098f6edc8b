"""Which client asks: by secret, by a signed assertion, or a public one by name (RFC 6749 §2.3, RFC 7523)."""

import base64
import binascii
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import unquote_plus

import msgspec

from functions.auth import records
from functions.auth.domain import client_id as client_ids
from functions.auth.domain import credentials
from functions.auth.domain.machines import ServiceAccount
from functions.auth.domain.oauth_client import OAuthClient
from functions.auth.oauth import client_assertion
from functions.auth.oauth.client_assertion import Assertion, NotAnAssertion
from functions.auth.sign_in.failed_sign_ins import Source
from functions.auth.sign_in.refused_credentials import Kind, Refused, RefusedCredentials
from shared import tenant
from shared.errors import OAuthError
from shared.ids import Clock
from shared.store import AlreadyExists, Store
from shared.tenant import Tenant

Method = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
METHODS: tuple[Method, ...] = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
_WHY: Mapping[Method, str] = {
    "client_secret_basic": "wrong_secret",
    "client_secret_post": "wrong_secret",
    "private_key_jwt": "wrong_assertion",
    "none": "no_proof",
}
"""What was wrong, as the audit log has it."""

KEPT_FOR = timedelta(seconds=25)
MAX_KEPT = 1_000

_log = logging.getLogger(__name__)


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


APP = AuthenticatedClient(client_ids.APP, "", "app", "none")


class _Presented(msgspec.Struct, frozen=True):
    """What a client says of itself."""

    client_id: str | None
    method: Method
    secret: str = ""
    assertion: Assertion | None = None


class _Kept(msgspec.Struct, frozen=True):
    client: AuthenticatedClient
    until: datetime


class ClientAuthentication:
    """The same answer for a client that is unknown, disabled or wrong about its secret."""

    def __init__(self, store: Store, refused: RefusedCredentials, issuer: str, clock: Clock) -> None:
        self._store = store
        self._refused = refused
        self._audiences = (issuer, f"{issuer}/oauth2/token")
        self._clock = clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    async def authenticate(
        self, form: Mapping[str, str], authorization: str | None, request_id: str, address: str = ""
    ) -> AuthenticatedClient:
        """One read; with an assertion, one commit as well. Who names no client is the first-party app.

        `address` is where the request comes from: a client that is refused is on record, in aggregate.
        Raises `OAuthError`: `invalid_request` for two ways at once, `invalid_client`, and where all is right
        but the tenant is not active `unauthorized_client`.
        """
        presented = _presented(form, authorization)
        if presented.client_id in (None, client_ids.APP):
            if presented.method != "none":
                raise invalid_client()
            return APP
        ids = client_ids.parse(presented.client_id or "")
        if ids is None:
            raise invalid_client()
        try:
            return await self._proven(presented, *ids, Source(address, request_id=request_id))
        except OAuthError as refusal:
            _log.info("client %s.%s was refused: %s (%s)", *ids, refusal.code, request_id)
            raise

    async def recently(
        self, form: Mapping[str, str], authorization: str | None, request_id: str, address: str = ""
    ) -> AuthenticatedClient:
        """The same, but a secret may have been checked `KEPT_FOR` ago: for what gives no new token."""
        if "client_assertion" in form:
            return await self.authenticate(form, authorization, request_id, address)
        said = (authorization, form.get("client_id"), form.get("client_secret"))
        digest = hashlib.sha256(msgspec.json.encode(said)).digest()
        now, kept = self._clock(), self._kept.get(digest)
        if kept is not None and now < kept.until:
            return kept.client
        client = await self.authenticate(form, authorization, request_id, address)
        self._kept[digest] = _Kept(client, now + KEPT_FOR)
        self._kept.move_to_end(digest)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return client

    async def _proven(
        self, presented: _Presented, tenant_id: str, own_id: str, source: Source
    ) -> AuthenticatedClient:
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
            await self._prove(presented, holder.value, tenant_id)
        except OAuthError:
            why = _WHY[presented.method] if holder.value.status == "active" else holder.value.status
            kind: Kind = "service_account" if is_account else "client"
            await self._refused.note(Refused(kind, tenant_id, own_id, why), source)
            raise
        if owner.value.status != "active":
            raise OAuthError(400, "unauthorized_client", "The tenant of this client is not active.")
        return AuthenticatedClient(
            client_id=client_ids.of(tenant_id, own_id),
            tenant_id=tenant_id,
            kind="service_account" if is_account else "client",
            method=presented.method,
            client=client.value if client else None,
            account=account.value if account else None,
            owner=owner.value,
        )

    async def _prove(
        self, presented: _Presented, holder: ServiceAccount | OAuthClient, tenant_id: str
    ) -> None:
        """Raises `OAuthError` `invalid_client` unless `presented` proves that it is `holder`."""
        is_public = isinstance(holder, OAuthClient) and holder.kind == "public"
        if holder.status != "active" or is_public != (presented.method == "none"):
            raise invalid_client()
        if presented.assertion is not None:
            await self._use(presented.assertion, holder, tenant_id)
        elif not is_public and not credentials.holds(holder.secrets, presented.secret, self._clock()):
            raise invalid_client()

    async def _use(self, assertion: Assertion, holder: ServiceAccount | OAuthClient, tenant_id: str) -> None:
        """Once: the second use meets the document of the first."""
        try:
            assertion.verify(holder.keys, self._audiences, self._clock())
            key = records.assertion_key(self._store, tenant_id, assertion.id)
            await self._store.commit(records.create(key, assertion.used))
        except (NotAnAssertion, AlreadyExists):
            raise invalid_client() from None


def invalid_client() -> OAuthError:
    return OAuthError(401, "invalid_client", "The client could not be authenticated.")


def _presented(form: Mapping[str, str], authorization: str | None) -> _Presented:
    """By one way of §2.3.1 and RFC 7521 §4.2. A header of another scheme is not the client's: a gateway's."""
    scheme, _, basic = (authorization or "").partition(" ")
    used = ("client_secret" in form) + ("client_assertion" in form) + (scheme.lower() == "basic")
    if used > 1:
        raise _one_way()
    named, secret = form.get("client_id"), form.get("client_secret")
    if "client_assertion" in form or "client_assertion_type" in form:
        said = _asserted(form)
    elif scheme.lower() == "basic":
        said = _basic(basic.strip())
    elif secret is not None:
        said = _Presented(named, "client_secret_post", secret)
    else:
        said = _Presented(named, "none")
    if named not in (None, said.client_id):
        raise _one_way()
    return said


def _asserted(form: Mapping[str, str]) -> _Presented:
    if form.get("client_assertion_type") != client_assertion.TYPE:
        detail = f"client_assertion_type is {client_assertion.TYPE}."
        raise OAuthError(400, "invalid_request", detail)
    try:
        assertion = Assertion(form.get("client_assertion", ""))
    except NotAnAssertion:
        raise invalid_client() from None
    return _Presented(assertion.client_id, "private_key_jwt", assertion=assertion)


def _basic(text: str) -> _Presented:
    """RFC 7617, each half form-encoded as RFC 6749 §2.3.1 has it."""
    try:
        decoded = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid_client() from None
    name, colon, secret = decoded.partition(":")
    if not colon:
        raise invalid_client()
    return _Presented(unquote_plus(name), "client_secret_basic", unquote_plus(secret))


def _one_way() -> OAuthError:
    return OAuthError(400, "invalid_request", "Authenticate in one way, as one client.")
