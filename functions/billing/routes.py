"""HTTP routes of billing: usage, invoices as JSON or as a page, and Stripe's webhook."""

from datetime import datetime

import msgspec

from functions.billing import invoice_page
from functions.billing.accept import prefers_html
from functions.billing.domain import money, payments, periods, quantities
from functions.billing.domain.invoices import Line, Party
from functions.billing.domain.payments import Shown
from functions.billing.invoices import Invoices, Statement
from functions.billing.usage_report import UsageReports
from functions.billing.webhooks import MAX_BODY_BYTES, Webhooks
from shared.errors import UnsupportedMediaType
from shared.http import PUBLIC, Call, Response, Route, json_response
from shared.http.pagination import Listing, Paging


class UsageQuery(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}
):
    since: str | None = None
    until: str | None = None
    meter: str | None = None


class SummaryView(msgspec.Struct, frozen=True):
    id: str
    number: str
    period: str
    status: Shown
    currency: str
    total_minor: int
    total: str
    finalized_at: datetime


class LineView(msgspec.Struct, frozen=True):
    kind: str
    description: str
    period: str
    meter: str | None
    quantity: str
    unit_price: str
    amount_minor: int
    amount: str


class InvoiceView(msgspec.Struct, frozen=True):
    id: str
    number: str
    period: str
    period_start: datetime
    period_end: datetime
    status: Shown
    paid_at: datetime | None
    hosted_invoice_url: str | None
    currency: str
    tenant: Party
    lines: list[LineView]
    subtotal_minor: int
    total_minor: int
    total: str
    catalogue: str
    finalized_at: datetime


class Handlers:
    def __init__(self, reports: UsageReports, invoices: Invoices, webhooks: Webhooks) -> None:
        self._reports = reports
        self._invoices = invoices
        self._webhooks = webhooks

    async def usage(self, call: Call) -> Response:
        query = call.query(UsageQuery)
        report = await self._reports.make(
            call.principal.tenant_id, since=query.since, until=query.until, meter=query.meter
        )
        return json_response(report)

    async def page(self, call: Call) -> Response:
        query = call.query(Paging)
        page = await self._invoices.page(call.principal.tenant_id, query.limit, query.cursor)
        return json_response(Listing([_summary(statement) for statement in page.items], page.next_cursor))

    async def get(self, call: Call) -> Response:
        statement = await self._invoices.get(call.principal.tenant_id, call.params["invoice_id"])
        if prefers_html(call.headers.get("accept", "")):
            headers = {**invoice_page.headers(), "Vary": "Accept"}
            return Response(200, invoice_page.render(statement), "text/html; charset=utf-8", headers)
        return json_response(_view(statement), headers={"Vary": "Accept"})

    async def stripe_event(self, call: Call) -> Response:
        if not call.headers.get("content-type", "").lower().startswith("application/json"):
            raise UnsupportedMediaType("unsupported_media_type", "Send the event as application/json.")
        await self._webhooks.receive(await call.body(), call.headers.get("stripe-signature", ""))
        return json_response({"received": True})


def table(reports: UsageReports, invoices: Invoices, webhooks: Webhooks) -> tuple[Route, ...]:
    on = Handlers(reports, invoices, webhooks)
    return (
        Route("GET", "/v1/usage", on.usage, "usage:read"),
        Route("GET", "/v1/invoices", on.page, "invoices:read"),
        Route("GET", "/v1/invoices/{invoice_id}", on.get, "invoices:read"),
        Route("POST", "/v1/webhooks/stripe", on.stripe_event, PUBLIC, MAX_BODY_BYTES),
    )


def _summary(statement: Statement) -> SummaryView:
    invoice = statement.invoice
    return SummaryView(
        id=invoice.id,
        number=invoice.number,
        period=invoice.period,
        status=payments.shown(statement.payment),
        currency=invoice.currency,
        total_minor=invoice.total_minor,
        total=money.text(invoice.total_minor, invoice.currency),
        finalized_at=invoice.finalized_at,
    )


def _view(statement: Statement) -> InvoiceView:
    invoice, payment = statement.invoice, statement.payment
    return InvoiceView(
        id=invoice.id,
        number=invoice.number,
        period=invoice.period,
        period_start=periods.start(invoice.period),
        period_end=periods.end(invoice.period),
        status=payments.shown(payment),
        paid_at=payment.paid_at if payment else None,
        hosted_invoice_url=payment.hosted_invoice_url if payment else None,
        currency=invoice.currency,
        tenant=invoice.party,
        lines=[_line(line, invoice.currency) for line in invoice.lines],
        subtotal_minor=invoice.subtotal_minor,
        total_minor=invoice.total_minor,
        total=money.text(invoice.total_minor, invoice.currency),
        catalogue=invoice.catalogue,
        finalized_at=invoice.finalized_at,
    )


def _line(line: Line, currency: str) -> LineView:
    return LineView(
        kind=line.kind,
        description=line.description,
        period=line.period,
        meter=line.meter,
        quantity=quantities.text(line.quantity_micro),
        unit_price=money.price_text(line.unit_price_nano),
        amount_minor=line.amount_minor,
        amount=money.text(line.amount_minor, currency),
    )
