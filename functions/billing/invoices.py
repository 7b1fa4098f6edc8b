"""Reading invoices."""

import msgspec

from functions.billing import records
from functions.billing.domain.invoices import Invoice
from shared.errors import NotFound, invalid
from shared.ids import is_id
from shared.store import Store


class InvoicePage(msgspec.Struct, frozen=True):
    items: list[Invoice]
    next_cursor: str | None


class Invoices:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, tenant_id: str, limit: int, cursor: str | None) -> InvoicePage:
        """Newest first. Raises `Invalid` for a cursor that is not from this list of this tenant."""
        scope = self._store.tenant(tenant_id)
        try:
            page = await scope.query(records.INVOICES_NEWEST, limit=limit, cursor=cursor)
        except ValueError:
            raise invalid("?cursor", "invalid_cursor", "Use the next_cursor of the page before.") from None
        return InvoicePage([records.invoice_of(doc) for doc in page.docs], page.cursor)

    async def get(self, tenant_id: str, invoice_id: str) -> Invoice:
        """Raises `NotFound`, the same for an unknown invoice and another tenant's."""
        doc = await self._store.tenant(tenant_id).get("invoices", invoice_id) if is_id(invoice_id) else None
        if doc is None:
            raise NotFound("no_such_invoice", "There is no such invoice.")
        return records.invoice_of(doc)
