"""Stripe's API: the one module that knows the `stripe` package, which is imported with the first call."""

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from functions.billing import stripe_answers as answers
from functions.billing.domain import payments, periods
from functions.billing.domain.invoices import Invoice
from functions.billing.domain.payments import Customer, StripeInvoice
from functions.billing.stripe_port import Declined, Refused
from functions.billing.stripe_secrets import StripeSecrets
from shared import config
from shared.errors import Unavailable

if TYPE_CHECKING:
    import stripe
    from stripe.params import (
        CustomerCreateParams,
        CustomerListParams,
        InvoiceCreateParams,
        InvoiceFinalizeInvoiceParams,
        InvoiceItemCreateParams,
        InvoiceItemListParams,
        InvoiceListParams,
    )

API_VERSION = "2026-10-28.endive"
TIMEOUT_SECONDS = 10.0
NETWORK_RETRIES = 2
CALLS_AT_ONCE = 8
PAGE = 100
MAX_ITEMS = 250

_RATE_LIMIT_PAUSES_SECONDS = (0.5, 1.0, 2.0)
_WORD = re.compile(r"[A-Za-z0-9_.\[\]]{1,64}")

S = TypeVar("S", bound="stripe.StripeObject")
T = TypeVar("T")

_log = logging.getLogger(__name__)


class StripeApi:
    """Implements `stripe_port.Stripe`. Calls wait for each other where there are too many at once."""

    def __init__(
        self, settings: config.Stripe, secrets: StripeSecrets, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._secrets = secrets
        self._at_once = asyncio.Semaphore(CALLS_AT_ONCE)
        self._connecting = asyncio.Lock()
        self._connected: tuple[stripe.StripeClient, stripe.HTTPXClient] | None = None

    async def is_live(self) -> bool:
        return await self._secrets.is_live()

    async def find_customer(self, customer: Customer) -> str | None:
        params: CustomerListParams = {"email": customer.email, "limit": PAGE}
        found = await self._call(
            "list customers", lambda client: _all(client.v1.customers.list_async(params))
        )
        known = (answers.read(each, answers.Customer) for each in found)
        return next((each.id for each in known if each.said("tenant_id") == customer.tenant_id), None)

    async def create_customer(self, customer: Customer, key: str) -> str:
        params: CustomerCreateParams = {
            "name": customer.name,
            "email": customer.email,
            "metadata": {"tenant_id": customer.tenant_id},
        }
        made = await self._call(
            "create customer",
            lambda client: client.v1.customers.create_async(params, {"idempotency_key": key}),
        )
        return answers.read(made, answers.Customer).id

    async def can_charge(self, customer_id: str) -> bool:
        found = await self._call(
            "retrieve customer", lambda client: client.v1.customers.retrieve_async(customer_id)
        )
        customer = answers.read(found, answers.Customer)
        if customer.deleted:
            raise Refused("stripe_not_found", "The customer was deleted at Stripe.")
        return bool(customer.invoice_settings.default_payment_method or customer.default_source)

    async def find_invoice(self, customer_id: str, invoice: Invoice) -> StripeInvoice | None:
        params: InvoiceListParams = {"customer": customer_id, "limit": PAGE}
        found = await self._call("list invoices", lambda client: _all(client.v1.invoices.list_async(params)))
        known = (answers.read(each, answers.Invoice) for each in found)
        ours = (answers.seen(each) for each in known if each.said("invoice_id") == invoice.id)
        return next(ours, None)

    async def create_invoice(self, customer_id: str, invoice: Invoice, key: str) -> StripeInvoice:
        if len(invoice.lines) > MAX_ITEMS:
            raise Refused("too_many_lines", f"Stripe takes {MAX_ITEMS} items an invoice.")
        params: InvoiceCreateParams = {
            "customer": customer_id,
            "currency": invoice.currency.lower(),
            "auto_advance": False,
            "collection_method": "charge_automatically",
            "pending_invoice_items_behavior": "exclude",
            "description": f"Invoice {invoice.number}",
            "metadata": _metadata(invoice),
        }
        return await self._invoice(
            "create invoice",
            lambda client: client.v1.invoices.create_async(params, {"idempotency_key": key}),
        )

    async def items(self, stripe_invoice_id: str) -> dict[int, str]:
        params: InvoiceItemListParams = {"invoice": stripe_invoice_id, "limit": PAGE}
        found = await self._call(
            "list invoice items", lambda client: _all(client.v1.invoice_items.list_async(params))
        )
        return answers.by_line(found)

    async def create_item(
        self, customer_id: str, stripe_invoice_id: str, invoice: Invoice, line: int, key: str
    ) -> str:
        billed = invoice.lines[line]
        params: InvoiceItemCreateParams = {
            "customer": customer_id,
            "invoice": stripe_invoice_id,
            "amount": payments.stripe_amount(billed.amount_minor, invoice.currency),
            "currency": invoice.currency.lower(),
            "description": f"{billed.description}, {billed.period}",
            "discountable": False,
            "period": {
                "start": int(periods.start(billed.period).timestamp()),
                "end": int(periods.end(billed.period).timestamp()) - 1,
            },
            "metadata": {**_metadata(invoice), "line": str(line)},
        }
        made = await self._call(
            "create invoice item",
            lambda client: client.v1.invoice_items.create_async(params, {"idempotency_key": key}),
        )
        return answers.read(made, answers.Item).id

    async def invoice(self, stripe_invoice_id: str) -> StripeInvoice:
        return await self._invoice(
            "retrieve invoice", lambda client: client.v1.invoices.retrieve_async(stripe_invoice_id)
        )

    async def finalize(self, stripe_invoice_id: str, key: str) -> StripeInvoice:
        params: InvoiceFinalizeInvoiceParams = {"auto_advance": False}
        return await self._invoice(
            "finalize invoice",
            lambda client: client.v1.invoices.finalize_invoice_async(
                stripe_invoice_id, params, {"idempotency_key": key}
            ),
        )

    async def pay(self, stripe_invoice_id: str, key: str) -> StripeInvoice:
        return await self._invoice(
            "pay invoice",
            lambda client: client.v1.invoices.pay_async(stripe_invoice_id, None, {"idempotency_key": key}),
        )

    async def close(self) -> None:
        if self._connected is not None:
            await self._connected[1].close_async()  # type: ignore[no-untyped-call]

    async def _invoice(
        self, operation: str, request: "Callable[[stripe.StripeClient], Awaitable[stripe.Invoice]]"
    ) -> StripeInvoice:
        return answers.seen(answers.read(await self._call(operation, request), answers.Invoice))

    async def _call(self, operation: str, request: "Callable[[stripe.StripeClient], Awaitable[T]]") -> T:
        """The answer. The package tries again by itself, but not what is rate limited."""
        client = await self._client()
        import stripe  # noqa: PLC0415 - `_client` has paid for it

        async with self._at_once:
            for pause in (*_RATE_LIMIT_PAUSES_SECONDS, 0):
                try:
                    return await request(client)
                except stripe.RateLimitError:
                    await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter
                except stripe.StripeError as error:
                    raise self._meaning(operation, error) from None
        raise Unavailable("stripe_rate_limit", "Stripe limits the rate. Send it again.")

    async def _client(self) -> "stripe.StripeClient":
        key = await self._secrets.api_key()
        async with self._connecting:
            if self._connected is None:
                self._connected = await asyncio.to_thread(
                    _connect, key, self._settings.api_base, self._timeout_seconds
                )
        return self._connected[0]

    def _meaning(self, operation: str, error: "stripe.StripeError") -> Exception:
        import stripe  # noqa: PLC0415

        what = f"{operation}: {_words(error)}"
        match error:
            case stripe.CardError():
                return Declined(what)
            case stripe.IdempotencyError():
                return Refused("stripe_key_reused", f"{what}. Another request had its idempotency key.")
            case stripe.AuthenticationError() | stripe.PermissionError():
                ref = self._settings.api_key
                _log.error("Stripe refuses the key in secret %s version %d: %s", ref.name, ref.version, what)
                return Unavailable("stripe_key_refused", f"Stripe refuses secret {ref.name} {ref.version}.")
            case stripe.InvalidRequestError() if error.code == "resource_missing":
                return Refused("stripe_not_found", what)
            case stripe.InvalidRequestError():
                return Refused("stripe_refused", what)
        _log.warning("Stripe is not available: %s", what)
        return Unavailable("stripe_unavailable", "Stripe did not answer. Send it again.")


def _connect(key: str, base: str, timeout: float) -> "tuple[stripe.StripeClient, stripe.HTTPXClient]":
    """Takes tenths of a second, in a thread. No redirect is followed: `httpx` does not by itself."""
    import stripe  # noqa: PLC0415

    stripe.enable_telemetry = False
    logging.getLogger("stripe").disabled = True  # at DEBUG it tells whole bodies
    http = stripe.HTTPXClient(timeout=timeout)
    client = stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": base} if base else None,
        max_network_retries=NETWORK_RETRIES,
        http_client=http,
    )
    return client, http


async def _all(listing: "Awaitable[stripe.ListObject[S]]") -> list[S]:
    """What is on all pages."""
    return [each async for each in (await listing).auto_paging_iter()]


def _metadata(invoice: Invoice) -> dict[str, str]:
    return {"tenant_id": invoice.party.id, "invoice_id": invoice.id, "period": invoice.period}


def _words(error: "stripe.StripeError") -> str:
    """What is safe to tell of an error: status, code and parameter; never its message, headers or body."""
    said = (error.code, getattr(error, "param", None), error.request_id)
    known = [word for word in said if isinstance(word, str) and _WORD.fullmatch(word)]
    return " ".join([type(error).__name__, str(error.http_status), *known])
