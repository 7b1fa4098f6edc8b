"""Ends access when an event asks for it, sent by an operator or by a service that has detected misuse."""

from typing import Annotated

import msgspec
from msgspec import Meta

from functions.auth import records
from functions.auth.sessions.session_end import SessionEnd
from shared import audit, revocations, tenant
from shared.audit import Actor
from shared.event_door import Rejected
from shared.ids import Clock, is_id
from shared.store import AlreadyExists, Key, Store

_BECAUSE = "revoke_requested"
_KINDS = {
    "user_id": records.user_key,
    "session_id": records.session_key,
    "service_account_id": records.service_account_key,
    "api_key_id": records.api_key_key,
}


class RevokeRequested(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data of `session.revoke.requested`: exactly one of the ids, and a reason for the audit log."""

    reason: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,63}\Z")]
    user_id: str | None = None
    session_id: str | None = None
    service_account_id: str | None = None
    api_key_id: str | None = None


class SessionKills:
    def __init__(self, store: Store, session_end: SessionEnd, clock: Clock) -> None:
        self._store = store
        self._session_end = session_end
        self._clock = clock

    async def revoke(self, tenant_id: str, asked: RevokeRequested, actor: Actor) -> None:
        """Ends the session or all sessions of the user, and the access tokens of whichever subject is named.

        It ends access only: passwords, secrets and keys go on working. `actor.id` is the source of the event
        and `actor.request_id` its id; a redelivery does nothing. Raises `Rejected`.
        """
        kind, subject = _subject(asked)
        key = self._known(tenant_id, kind, subject)
        recorded = audit.record(
            self._store,
            tenant_id,
            actor=actor,
            action="access.revoke",
            target=subject,
            at=self._clock(),
            detail={"because": asked.reason},
            once=f"{actor.id} {actor.request_id}",
        )
        owner, found, done = await self._store.read(tenant.key(self._store, tenant_id), key, recorded.key)
        if done is not None:
            return
        if owner is None or found is None:
            raise Rejected("unknown_subject", f"There is no such {kind.removesuffix('_id')} in this tenant.")
        if kind == "user_id":
            await self._session_end.end_all(tenant_id, subject, _BECAUSE, actor, lambda session: True)
        elif kind == "session_id":
            await self._session_end.end(tenant_id, subject, _BECAUSE, actor)
        try:
            ended = revocations.record(self._store, tenant_id, subject, self._clock())
            await self._store.commit(recorded, ended)
        except AlreadyExists:
            return  # the same event, delivered twice at once

    def _known(self, tenant_id: str, kind: str, subject: str) -> Key:
        if not (is_id(tenant_id) and is_id(subject)):
            raise Rejected("unknown_subject", "This can be no id of ours.")
        return _KINDS[kind](self._store, tenant_id, subject)


def _subject(asked: RevokeRequested) -> tuple[str, str]:
    """The kind of id that is given, and the id. Raises `Rejected`."""
    given = [(kind, subject) for kind in _KINDS if (subject := getattr(asked, kind)) is not None]
    if len(given) != 1:
        raise Rejected("invalid_data", f"Give one of {', '.join(_KINDS)}.")
    return given[0]
