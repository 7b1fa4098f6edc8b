"""Whether the caller's token is still backed by the documents it was issued from.

A verified token may have been revoked up to 25 s ago. Requests that create lasting access (keys, secrets,
invitations, roles) cannot rely on it, so they check the caller's own documents in their commit.
"""

from collections.abc import Iterable

from functions.auth import records
from functions.auth.domain import api_key, client_id, people, roles
from functions.auth.domain.api_key import ApiKey
from functions.auth.domain.custom_role import CustomRole
from functions.auth.domain.machines import ServiceAccount
from functions.auth.domain.oauth_client import OAuthClient
from functions.auth.domain.people import User
from functions.auth.domain.session import Session
from functions.auth.records import Found
from shared.identity import Principal, invalid_token
from shared.ids import Clock
from shared.store import Check, Doc, Store, Write


async def checks(
    store: Store, caller: Principal, clock: Clock, beside: Iterable[Write] = ()
) -> tuple[Check, ...]:
    """Preconditions on the documents that the caller's token rests on, for a commit that gives lasting
    access.

    `beside` is the rest of that commit: documents that it writes or checks itself are left out here. Call
    this after the reads that the rest was decided by. Raises `Unauthenticated` `invalid_token`, as the
    verifier does, if the token is no longer backed.
    """
    if caller.session_id is not None:
        rests_on = await _of_person(store, caller)
    else:
        rests_on = await _of_machine(store, caller, clock)
    written = {write.key for write in beside}
    return tuple(Check(doc.key, doc.version) for doc in rests_on if doc.key not in written)


async def _of_person(store: Store, caller: Principal) -> list[Doc]:
    """Session, user, the custom role if there is one, and the application that acts for the user.

    A session's document outlives its last token, so a missing one does not mean that the session has ended.
    """
    session_doc, user_doc = await store.read(
        records.session_key(store, caller.tenant_id, caller.session_id or ""),
        records.user_key(store, caller.tenant_id, caller.subject),
    )
    session, user = records.found(session_doc, Session), records.found(user_doc, User)
    if session_doc is None or session is None:
        return []
    if user_doc is None or user is None or not _goes_on(caller, user.value, session.value):
        raise invalid_token()
    docs = [session_doc, user_doc]
    if user.value.role not in roles.ROLES:
        key = records.role_key(store, caller.tenant_id, user.value.role)
        role_doc = (await store.read(key))[0]
        role = records.found(role_doc, CustomRole)
        stands_for = role.value.scopes if role else ()
        docs.append(_still(role_doc, len(roles.held(caller.scopes, stands_for)) == len(caller.scopes)))
    if caller.client_id != client_id.APP:
        own_id = caller.client_id.rpartition(".")[2]
        client_doc = (await store.read(records.client_key(store, caller.tenant_id, own_id)))[0]
        docs.append(_still(client_doc, _covers(records.found(client_doc, OAuthClient), caller)))
    return docs


async def _of_machine(store: Store, caller: Principal, clock: Clock) -> list[Doc]:
    """The API key, client or service account."""
    tenant_id, own_id = caller.tenant_id, caller.subject
    if own_id.startswith("key_"):
        doc = (await store.read(records.api_key_key(store, tenant_id, own_id)))[0]
        known = records.found(doc, ApiKey)
        return [_still(doc, known is not None and api_key.status(known.value, clock()) == "active")]
    if own_id.startswith("cli_"):
        doc = (await store.read(records.client_key(store, tenant_id, own_id)))[0]
        return [_still(doc, _covers(records.found(doc, OAuthClient), caller))]
    doc = (await store.read(records.service_account_key(store, tenant_id, own_id)))[0]
    return [_still(doc, _covers(records.found(doc, ServiceAccount), caller))]


def _goes_on(caller: Principal, user: User, session: Session) -> bool:
    return people.goes_on(user, session) and caller.roles == (user.role,)


def _covers(machine: Found[OAuthClient] | Found[ServiceAccount] | None, caller: Principal) -> bool:
    """Whether it is active and still has all scopes of the token."""
    if machine is None or machine.value.status != "active":
        return False
    return caller.scopes.issubset(machine.value.scopes)


def _still(doc: Doc | None, is_so: bool) -> Doc:
    """Raises `Unauthenticated` unless it `is_so`."""
    if doc is None or not is_so:
        raise invalid_token()
    return doc
