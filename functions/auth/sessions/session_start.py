"""The start of a session: the same document and audit record for every way to sign in."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from functions.auth import records
from functions.auth.domain import device_label
from functions.auth.domain.people import User
from functions.auth.domain.roles import most_of
from functions.auth.domain.session import Session
from functions.auth.records import Found
from shared import audit
from shared.audit import Actor
from shared.ids import new_id
from shared.store import Store, Write
from shared.tenant import Tenant


class Proof(msgspec.Struct, frozen=True):
    """How and when somebody proved who they are. `amr` are methods of RFC 8176 (`pwd`, `otp` …)."""

    amr: tuple[str, ...]
    at: datetime


class Started(msgspec.Struct, frozen=True):
    """A new session and the writes that create it. They fail with `Stale` if tenant or user have changed."""

    session: Session
    writes: tuple[Write, ...]


def start(
    store: Store,
    owner: Found[Tenant],
    user: Found[User],
    proof: Proof,
    *,
    client_id: str,
    at: datetime,
    request_id: str,
    scopes: Sequence[str] | None = None,
    user_agent: str = "",
    ip: str = "",
    resource: str | None = None,
) -> Started:
    """`scopes` are those granted to the client; None for all that the user's role can have, of which each
    token gets those that the role includes when it is issued. `user_agent` and `ip` are those of the program
    in which the user signs in; empty if a client's server makes the request.
    """
    tenant_id, person = owner.value.id, user.value
    session = Session(
        id=new_id("ses"),
        user_id=person.id,
        client_id=client_id,
        roles=(person.role,),
        scopes=tuple(sorted(most_of(person.role) if scopes is None else scopes)),
        created_at=at,
        used_at=at,
        authenticated_at=proof.at,
        amr=proof.amr,
        user_epoch=person.epoch,
        device=device_label.of(user_agent),
        resource=resource,
    )
    recorded = audit.record(
        store,
        tenant_id,
        actor=Actor("user", person.id, tenant_id, request_id, ip),
        action="session.create",
        target=session.id,
        at=at,
        detail={"client_id": client_id, "amr": " ".join(proof.amr)},
    )
    made = records.create(records.session_key(store, tenant_id, session.id), session)
    return Started(session, (made, owner.check(), user.check(), recorded))
