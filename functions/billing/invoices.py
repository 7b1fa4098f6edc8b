"""Reading invoices."""

from functions.billing import records
from functions.billing.domain.invoices import Invoice
from shared.errors import NotFound
from shared.http.pagination import Listing, checked
from shared.ids import is_id
from shared.store import Store


class Invoices:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, tenant_id: str, limit: int, cursor: str | None) -> Listing[Invoice]:
        """Newest first. Raises `BadRequest` for a cursor that is not from this list of this tenant."""
        scope = self._store.tenant(tenant_id)
        with checked(cursor):
            page = await scope.query(records.INVOICES_NEWEST, limit=limit, cursor=cursor)
        return Listing([records.invoice_of(doc) for doc in page.docs], page.cursor)

    async def get(self, tenant_id: str, invoice_id: str) -> Invoice:
        """Raises `NotFound`, the same for an unknown invoice and another tenant's."""
        doc = await self._store.tenant(tenant_id).get("invoices", invoice_id) if is_id(invoice_id) else None
        if doc is None:
            raise NotFound("no_such_invoice", "There is no such invoice.")
        return records.invoice_of(doc)
