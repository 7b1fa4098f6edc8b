"""What is told of second factors: an audit record and an event, in the commit of what they tell."""

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
        """`action` as the audit log has it, `event` as a topic does; `detail` is in both."""
        recorded = audit.record(
            self._store, tenant_id, actor=actor, action=action, target=user_id, at=at, detail=detail
        )
        told = {"user_id": user_id, **detail}
        return (recorded, *self._outbox.entries(event, tenant_id, told))

    def refused(
        self, tenant_id: str, user_id: str, refused: Refused, actor: Actor, at: datetime
    ) -> tuple[Write, ...]:
        """An answer that was looked at and is wrong, or that a copy of a passkey gave."""
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
