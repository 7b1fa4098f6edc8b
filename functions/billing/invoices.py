"""Reads invoices with their payment status."""

import msgspec

from functions.billing import records
from functions.billing.domain.invoices import Invoice
from functions.billing.domain.payments import Payment
from shared.errors import NotFound
from shared.http.pagination import Listing, checked
from shared.ids import is_id
from shared.store import Doc, Store


class Statement(msgspec.Struct, frozen=True):
    """An invoice and its payment, None if it is not collected."""

    invoice: Invoice
    payment: Payment | None


class Invoices:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, tenant_id: str, limit: int, cursor: str | None) -> Listing[Statement]:
        """Newest first. Raises `BadRequest` for a cursor that is not from this list of this tenant."""
        scope = self._store.tenant(tenant_id)
        with checked(cursor):
            page = await scope.query(records.INVOICES_NEWEST, limit=limit, cursor=cursor)
        invoices = [records.invoice_of(doc) for doc in page.docs]
        keys = [records.payment_key(self._store, tenant_id, invoice.id) for invoice in invoices]
        payments = await self._store.read(*keys) if keys else []
        return Listing(
            [_statement(invoice, doc) for invoice, doc in zip(invoices, payments, strict=True)], page.cursor
        )

    async def get(self, tenant_id: str, invoice_id: str) -> Statement:
        """Raises `NotFound`, the same for an unknown invoice and another tenant's."""
        if is_id(invoice_id):
            key = self._store.tenant(tenant_id).key("invoices", invoice_id)
            doc, payment = await self._store.read(
                key, records.payment_key(self._store, tenant_id, invoice_id)
            )
            if doc is not None:
                return _statement(records.invoice_of(doc), payment)
        raise NotFound("no_such_invoice", "There is no such invoice. GET /v1/invoices lists them.")


def _statement(invoice: Invoice, payment: Doc | None) -> Statement:
    return Statement(invoice, None if payment is None else records.payment_of(payment))
