"""Audit records and events about second factors, for the commit of the change."""

from datetime import datetime

from functions.auth.factors.factor_proofs import Refused
from shared import audit
from shared.audit import Actor
from shared.outbox import Outbox
from shared.store import Store, Write


class FactorLog:
    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    def writes(
        self, tenant_id: str, user_id: str, action: str, event: str, actor: Actor, at: datetime, **detail: str
    ) -> tuple[Write, ...]:
        """The audit record of `action` and the event `event`, both with `detail`."""
        recorded = audit.record(
            self._store, tenant_id, actor=actor, action=action, target=user_id, at=at, detail=detail
        )
        told = {"user_id": user_id, **detail}
        return (recorded, *self._outbox.entries(event, tenant_id, told))

    def refused(
        self, tenant_id: str, user_id: str, refused: Refused, actor: Actor, at: datetime
    ) -> tuple[Write, ...]:
        """The same for an answer that was refused because it was wrong, or came from a copied passkey."""
        copied = refused.why == "passkey_copied"
        event = "security.passkey_copied" if copied else "security.second_factor_refused"
        return self.writes(
            tenant_id,
            user_id,
            "second_factor.refuse",
            event,
            actor,
            at,
            method=refused.method,
            why=refused.why,
        )
