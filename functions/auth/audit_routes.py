"""The HTTP door to a tenant's audit log; operators of the platform read the platform's by the same."""

from datetime import datetime

import msgspec

from functions.auth.audit_log import AuditLog, Selection
from functions.auth.use_cases import UseCases
from functions.auth.views import page
from shared.audit import AuditRecord, Result
from shared.http import Call, Response, Route, json_response


class ActorView(msgspec.Struct, frozen=True):
    kind: str
    id: str


class AuditView(msgspec.Struct, frozen=True):
    """`ip`: null where none is known. `request_id`: of an event, its id."""

    id: str
    at: datetime
    actor: ActorView
    action: str
    target: str
    result: Result
    request_id: str
    ip: str | None
    detail: dict[str, str]


def table(use_cases: UseCases) -> tuple[Route, ...]:
    return (Route("GET", "/v1/audit", _Handlers(use_cases.audit_log).page, "audit:read"),)


class _Handlers:
    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def page(self, call: Call) -> Response:
        listing = await self._log.page(call.principal.tenant_id, call.query(Selection))
        return json_response(page(listing, _view))


def _view(record: AuditRecord) -> AuditView:
    actor = record.actor
    return AuditView(
        id=record.id,
        at=record.at,
        actor=ActorView(actor.kind, actor.id),
        action=record.action,
        target=record.target,
        result=record.result,
        request_id=actor.request_id,
        ip=actor.ip or None,
        detail=record.detail,
    )
