"""Whether the caller himself may still act: the door may let in who was revoked 25 s ago, and nobody shall
make himself a new way in meanwhile.
"""

from datetime import datetime

from functions.auth import records
from functions.auth.domain import api_key
from functions.auth.domain.api_key import ApiKey
from functions.auth.domain.machines import ServiceAccount
from functions.auth.domain.oauth_client import OAuthClient
from functions.auth.domain.session import Session
from shared.errors import Unauthenticated
from shared.identity import Principal
from shared.store import Check, Doc, Key, Store

_CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


def key(store: Store, caller: Principal) -> Key:
    """The document that his token rests on: of a session, an API key, a client or a service account."""
    if caller.session_id is not None:
        return records.session_key(store, caller.tenant_id, caller.session_id)
    if caller.subject.startswith("key_"):
        return records.api_key_key(store, caller.tenant_id, caller.subject)
    if caller.subject.startswith("cli_"):
        return records.client_key(store, caller.tenant_id, caller.subject)
    return records.service_account_key(store, caller.tenant_id, caller.subject)


def check(doc: Doc | None, caller: Principal, at: datetime) -> tuple[Check, ...]:
    """`doc` is what was read at `key`; what is returned goes into the commit that lets a machine in.

    Raises `Unauthenticated` `invalid_token`, as the verifier does. A session that has ended keeps its
    document for as long as a token of it can live, so where there is none it has not ended.
    """
    if caller.session_id is not None:
        session = records.found(doc, Session)
        ended = session is not None and session.value.revoked_at is not None
    elif caller.subject.startswith("key_"):
        known = records.found(doc, ApiKey)
        ended = known is None or api_key.status(known.value, at) != "active"
    else:
        is_client = caller.subject.startswith("cli_")
        machine = records.found(doc, OAuthClient) if is_client else records.found(doc, ServiceAccount)
        ended = machine is None or machine.value.status != "active"
    if ended:
        detail = "The access token is not valid. Sign in again."
        raise Unauthenticated("invalid_token", detail, headers=_CHALLENGE)
    return () if doc is None else (Check(doc.key, doc.version),)
