"""The endpoints: path, the parameters that Stripe declares, which of them are understood here, and work."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import stripe.params as sdk

from local.stripe import (
    cards,
    customers,
    events,
    invoice_items,
    invoice_states,
    invoices,
    parameters,
    payments,
)
from local.stripe.errors import ApiError, bad_parameter
from local.stripe.storage import Object


class Endpoint(msgspec.Struct, frozen=True):
    """`form`: Stripe's typed dictionary. `work` gets the account, the ids in the path and the parameters."""

    method: str
    path: str
    form: type
    understood: frozenset[str]
    work: Callable[..., Object]

    def ids(self, path: str) -> tuple[str, ...] | None:
        """What the path has in the places of `*`; None where it is another path."""
        found = re.fullmatch(self.path.replace("*", "([^/]+)"), path)
        return None if found is None else found.groups()

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Raises `ApiError` for parameters that Stripe does not know or that only Stripe understands."""
        params = parameters.checked(given, parameters.declared(self.form))
        for name in sorted(params.keys() - self.understood):
            raise bad_parameter(f"This stand-in for Stripe does not understand {name} at {self.path}.", name)
        return params


_INVOICE, _ITEM, _CUSTOMER, _CARD = "/v1/invoices", "/v1/invoiceitems", "/v1/customers", "/v1/payment_methods"
_NONE: frozenset[str] = frozenset()
_READ = frozenset(["expand"])

# fmt: off
ENDPOINTS = (
    Endpoint("POST", _CUSTOMER, sdk.CustomerCreateParams, customers.CREATED_WITH, customers.create),
    Endpoint("GET", _CUSTOMER, sdk.CustomerListParams, customers.LISTED_BY, customers.every),
    Endpoint("GET", f"{_CUSTOMER}/*", sdk.CustomerRetrieveParams, _READ, customers.retrieve),
    Endpoint("POST", f"{_CUSTOMER}/*", sdk.CustomerUpdateParams, customers.UPDATED_WITH, customers.update),
    Endpoint("DELETE", f"{_CUSTOMER}/*", sdk.CustomerDeleteParams, _NONE, customers.delete),
    Endpoint("GET", f"{_CUSTOMER}/*/payment_methods", sdk.CustomerListPaymentMethodsParams,
             cards.LISTED_OF_CUSTOMER_BY, cards.every_of_customer),
    Endpoint("POST", _CARD, sdk.PaymentMethodCreateParams, cards.CREATED_WITH, cards.create),
    Endpoint("GET", _CARD, sdk.PaymentMethodListParams, cards.LISTED_BY, cards.every),
    Endpoint("GET", f"{_CARD}/*", sdk.PaymentMethodRetrieveParams, _READ, cards.retrieve),
    Endpoint("POST", f"{_CARD}/*", sdk.PaymentMethodUpdateParams, cards.UPDATED_WITH, cards.update),
    Endpoint("POST", f"{_CARD}/*/attach", sdk.PaymentMethodAttachParams, cards.ATTACHED_WITH, cards.attach),
    Endpoint("POST", f"{_CARD}/*/detach", sdk.PaymentMethodDetachParams, _READ, cards.detach),
    Endpoint("POST", _ITEM, sdk.InvoiceItemCreateParams, invoice_items.CREATED_WITH, invoice_items.create),
    Endpoint("GET", _ITEM, sdk.InvoiceItemListParams, invoice_items.LISTED_BY, invoice_items.every),
    Endpoint("GET", f"{_ITEM}/*", sdk.InvoiceItemRetrieveParams, _READ, invoice_items.retrieve),
    Endpoint("POST", f"{_ITEM}/*", sdk.InvoiceItemUpdateParams, invoice_items.CHANGED, invoice_items.update),
    Endpoint("DELETE", f"{_ITEM}/*", sdk.InvoiceItemDeleteParams, _NONE, invoice_items.delete),
    Endpoint("POST", _INVOICE, sdk.InvoiceCreateParams, invoices.CREATED_WITH, invoices.create),
    Endpoint("GET", _INVOICE, sdk.InvoiceListParams, invoices.LISTED_BY, invoices.every),
    Endpoint("GET", f"{_INVOICE}/*", sdk.InvoiceRetrieveParams, _READ, invoices.retrieve),
    Endpoint("POST", f"{_INVOICE}/*", sdk.InvoiceUpdateParams, invoices.UPDATED_WITH, invoices.update),
    Endpoint("DELETE", f"{_INVOICE}/*", sdk.InvoiceDeleteParams, _NONE, invoices.delete),
    Endpoint("GET", f"{_INVOICE}/*/lines", sdk.InvoiceListLinesParams,
             invoices.LINES_LISTED_BY, invoices.lines),
    Endpoint("POST", f"{_INVOICE}/*/finalize", sdk.InvoiceFinalizeInvoiceParams,
             invoice_states.FINALIZED_WITH, invoice_states.finalize),
    Endpoint("POST", f"{_INVOICE}/*/pay", sdk.InvoicePayParams,
             invoice_states.PAID_WITH, invoice_states.pay),
    Endpoint("POST", f"{_INVOICE}/*/void", sdk.InvoiceVoidInvoiceParams, _READ, invoice_states.void),
    Endpoint("POST", f"{_INVOICE}/*/mark_uncollectible", sdk.InvoiceMarkUncollectibleParams,
             _READ, invoice_states.mark_uncollectible),
    Endpoint("POST", f"{_INVOICE}/*/send", sdk.InvoiceSendInvoiceParams, _READ, invoice_states.send),
    Endpoint("GET", "/v1/invoice_payments", sdk.InvoicePaymentListParams,
             payments.LISTED_BY, payments.every),
    Endpoint("GET", "/v1/invoice_payments/*", sdk.InvoicePaymentRetrieveParams, _READ, payments.retrieve),
    Endpoint("GET", "/v1/payment_intents", sdk.PaymentIntentListParams,
             payments.INTENTS_LISTED_BY, payments.every_intent),
    Endpoint("GET", "/v1/payment_intents/*", sdk.PaymentIntentRetrieveParams,
             _READ, payments.retrieve_intent),
    Endpoint("GET", "/v1/charges", sdk.ChargeListParams, payments.CHARGES_LISTED_BY, payments.every_charge),
    Endpoint("GET", "/v1/charges/*", sdk.ChargeRetrieveParams, _READ, payments.retrieve_charge),
    Endpoint("GET", "/v1/events", sdk.EventListParams, events.LISTED_BY, events.every),
    Endpoint("GET", "/v1/events/*", sdk.EventRetrieveParams, _READ, events.retrieve),
)
# fmt: on


def find(method: str, path: str) -> tuple[Endpoint, tuple[str, ...]]:
    """The endpoint and the ids in the path. Raises `ApiError` (404)."""
    for endpoint in ENDPOINTS:
        ids = endpoint.ids(path) if endpoint.method == method else None
        if ids is not None:
            return endpoint, ids
    raise ApiError(
        404,
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs"
        " or we can help at https://support.stripe.com/.",
        executed=False,
    )
