"""Stripe as the customers of a running suite use it: its stand-in's API, and closes that make invoices."""

from datetime import UTC, date, datetime
from typing import Any, Self

import httpx
import msgspec

from local.layout import Layout
from shared import events
from shared.bus import BILLING_EVENTS
from shared.ids import new_id
from tests.customers import Customer
from tests.loopback import NO_CERTIFICATES
from tests.suite import Suite, until

SECONDS = 60.0


def last_months(count: int) -> list[date]:
    """The first days of the months before this one, oldest first."""
    found: list[date] = []
    day = datetime.now(UTC).date().replace(day=1)
    for _ in range(count):
        day = (
            (day.replace(year=day.year - 1, month=12)) if day.month == 1 else day.replace(month=day.month - 1)
        )
        found.append(day)
    return found[::-1]


class StripeOfSuite:
    """Blocks, like `Suite`."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        kept = msgspec.json.decode(Layout(suite.data_dir).stripe_secrets.read_bytes())
        url = suite.ready["others"]["stripe"]["url"]
        self.client = httpx.Client(base_url=url, auth=(kept["api_key"], ""), trust_env=False, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.client.close()

    def every(self, kind: str, **params: str) -> list[Any]:
        answer = self.client.get(f"/v1/{kind}", params={"limit": "100", **params})
        found: list[Any] = answer.raise_for_status().json()["data"]
        return found

    def customer_id(self, customer: Customer) -> str:
        """The one customer that the tenant has at Stripe."""
        (found,) = self.every("customers", email=f"owner@{customer.slug}.example")
        assert found["metadata"]["tenant_id"] == customer.tenant_id
        return str(found["id"])

    def prepare_customer(self, customer: Customer, card: str) -> None:
        """Makes the tenant's customer as billing would, with a card, before billing does."""
        fields = {"email": f"owner@{customer.slug}.example", "metadata[tenant_id]": customer.tenant_id}
        self.give_card(self.client.post("/v1/customers", data=fields).raise_for_status().json()["id"], card)

    def give_card(self, customer_id: str, card: str) -> None:
        method = self.client.post(f"/v1/payment_methods/{card}/attach", data={"customer": customer_id})
        default = {"invoice_settings[default_payment_method]": method.raise_for_status().json()["id"]}
        self.client.post(f"/v1/customers/{customer_id}", data=default).raise_for_status()

    def close(self, customer: Customer, month: date) -> None:
        event = events.make(
            "billing.close.requested",
            event_id=new_id("test"),
            source="//tests/stripe",
            subject=customer.tenant_id,
            time=datetime.now(UTC),
            data={"period": f"{month:%Y-%m}"},
        )
        self._suite.publish(BILLING_EVENTS, [event])

    def invoice(self, customer: Customer, month: date) -> dict[str, Any] | None:
        """As our own API shows it; None before it is there."""
        found = self._get(customer, "/v1/invoices")["items"]
        ids = [item["id"] for item in found if item["period"] == f"{month:%Y-%m}"]
        return self._get(customer, f"/v1/invoices/{ids[0]}") if ids else None

    def wait(self, customer: Customer, month: date, status: str) -> dict[str, Any]:
        """The invoice once it has this status."""

        def is_so() -> bool:
            found = self.invoice(customer, month)
            return found is not None and found["status"] == status

        until(is_so, f"the invoice of {month:%Y-%m} to be {status}", SECONDS)
        found = self.invoice(customer, month)
        assert found is not None
        return found

    def _get(self, customer: Customer, path: str) -> Any:
        headers = {"authorization": f"Bearer {customer.access_token}"}
        url = f"{self._suite.gateway}{path}"
        answer = httpx.get(url, headers=headers, timeout=30, verify=NO_CERTIFICATES)
        return answer.raise_for_status().json()
