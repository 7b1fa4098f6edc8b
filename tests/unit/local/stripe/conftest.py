"""A stand-in that runs for all of these tests, emptied before each, and one with a webhook endpoint."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import stripe

from local.stripe.server import Settings, running
from local.stripe.webhooks import Endpoint
from tests.unit.local.stripe.receiver import SECRET, Receiver, receiving

KEY = "sk_test_of_the_tests"
WITH_STRIPES_CLIENT = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
"""It gives `httpx` its forms in a way that is going out of use."""


class StandIn:
    """Its address, Stripe's client for it, and what it can be told."""

    def __init__(self, url: str, client: stripe.StripeClient) -> None:
        self.url = url
        self.client = client
        self._http = httpx.Client(base_url=url, trust_env=False)

    @property
    def v1(self) -> stripe.V1Services:
        return self.client.v1

    def control(self, method: str, path: str, /, **given: object) -> httpx.Response:
        answer = self._http.request(method, f"/_control/{path}", json=given or None)
        answer.raise_for_status()
        return answer

    def fault(self, **fault: object) -> None:
        self.control("POST", "faults", **fault)

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self.control("GET", "requests").json()["counts"]
        return counts

    def raw(self, method: str, path: str, body: str = "", **headers: str) -> httpx.Response:
        """A request as it is written here, with the key and the type of a form unless said otherwise."""
        defaults = {"authorization": f"Bearer {KEY}", "content-type": "application/x-www-form-urlencoded"}
        sent = {**defaults, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self._http.request(method, path, content=body.encode(), headers=sent)

    def page(self, method: str, url: str, **form: str) -> httpx.Response:
        return self._http.request(method, url, data=form)

    def close(self) -> None:
        self._http.close()


@contextmanager
def started(settings: Settings, http: stripe.HTTPXClient) -> Iterator[StandIn]:
    with running(settings) as url:
        stand_in = StandIn(url, stripe.StripeClient(KEY, base_addresses={"api": url}, http_client=http))
        try:
            yield stand_in
        finally:
            stand_in.close()


@pytest.fixture(scope="package")
def http() -> Iterator[stripe.HTTPXClient]:
    client = stripe.HTTPXClient(timeout=5, allow_sync_methods=True)
    yield client
    client.close()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="package")
def only_one(http: stripe.HTTPXClient) -> Iterator[StandIn]:
    with started(Settings(KEY), http) as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(only_one: StandIn) -> StandIn:
    """Empty, with nowhere to send its events."""
    only_one.control("DELETE", "state")
    return only_one


@pytest.fixture(scope="package")
def endpoint() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def receiver(endpoint: Receiver) -> Receiver:
    endpoint.received.clear()
    endpoint.answers.clear()
    return endpoint


@pytest.fixture
def telling(receiver: Receiver, http: stripe.HTTPXClient) -> Iterator[StandIn]:
    """A stand-in of its own that sends its events to the receiver."""
    endpoint = Endpoint(receiver.url, (SECRET,), retry_base_seconds=0.02, retry_cap_seconds=0.1)
    with started(Settings(KEY, endpoint), http) as stand_in:
        yield stand_in


@pytest.fixture
def customer(stand_in: StandIn) -> stripe.Customer:
    """With a card that is good, charged by default."""
    return paying(stand_in, "pm_card_visa")


def paying(stand_in: StandIn, card: str) -> stripe.Customer:
    made = stand_in.v1.customers.create({"name": "Acme", "email": "pay@acme.example"})
    attached = stand_in.v1.payment_methods.attach(card, {"customer": made.id})
    return stand_in.v1.customers.update(
        made.id, {"invoice_settings": {"default_payment_method": attached.id}}
    )


def draft(stand_in: StandIn, customer: stripe.Customer, *amounts: int) -> stripe.Invoice:
    """In dollars, with a line for each amount."""
    made = stand_in.v1.invoices.create({"customer": customer.id, "currency": "usd"})
    for amount in amounts:
        stand_in.v1.invoice_items.create(
            {"customer": customer.id, "invoice": made.id, "amount": amount, "currency": "usd"}
        )
    return stand_in.v1.invoices.retrieve(made.id)


def opened(stand_in: StandIn, customer: stripe.Customer, *amounts: int) -> stripe.Invoice:
    """A finalised invoice."""
    return stand_in.v1.invoices.finalize_invoice(draft(stand_in, customer, *amounts).id)
