"""Payments: what Acme does at Stripe, and what becomes of its invoices here."""

from typing import Any

import httpx
import msgspec

from local.demo.people import Customer
from local.demo.screen import Screen
from local.demo.world import DemoFailed, World, until

STRIPE = "https://api.stripe.com"


class Payments:
    """Speaks to Stripe's API as Acme's people do through Stripe's pages; to the stand-in, or to Stripe."""

    def __init__(self, world: World, screen: Screen, acme: Customer) -> None:
        self._world = world
        self._screen = screen
        self._acme = acme
        stand_in = world.ready["others"].get("stripe")
        self._is_stand_in = stand_in is not None
        kept = msgspec.json.decode(world.layout.stripe_secrets.read_bytes())
        self._stripe = httpx.AsyncClient(
            base_url=stand_in["url"] if stand_in else STRIPE, auth=(kept["api_key"], ""), timeout=30
        )

    async def close(self) -> None:
        await self._stripe.aclose()

    async def on_the_page(self, invoice: dict[str, Any]) -> None:
        """Pays an invoice that waits for its customer, on the page that Stripe has for it."""
        self._screen.chapter(f"Acme has no card yet: invoice {invoice['number']} waits on Stripe's page")
        self._screen.check("The invoice is", "open", invoice["status"])
        self._screen.check("It has a page", "yes", "yes" if invoice["hosted_invoice_url"] else "no")
        if not self._is_stand_in:
            self._screen.say(
                "That page is Stripe's own, for a person; the story goes on without paying there."
            )
            return
        page = invoice["hosted_invoice_url"]
        declined = await self._stripe.post(page, data={"card": "chargeDeclinedInsufficientFunds"})
        self._screen.check("A card without money is refused there", 402, declined.status_code)
        await self._becomes(invoice, "past_due")
        paid = await self._stripe.post(page, data={"card": "visa"})
        self._screen.check("A good card is accepted", 303, paid.status_code)
        await self._becomes(invoice, "paid")

    async def leave_card(self) -> None:
        """From now on Stripe charges it."""
        self._screen.chapter("Acme leaves a card with Stripe for the invoices to come")
        customer = await self._customer()
        card = await self._must("POST", "/v1/payment_methods/pm_card_visa/attach", {"customer": customer})
        default = {"invoice_settings[default_payment_method]": card["id"]}
        await self._must("POST", f"/v1/customers/{customer}", default)
        self._screen.say(f"Card {card['card']['last4']} is the default of customer {customer}.")

    async def by_itself(self, invoice: dict[str, Any]) -> None:
        """The invoice is paid without anybody doing anything, once."""
        await self._becomes(invoice, "paid")
        found = await self._must("GET", "/v1/invoices", {"customer": await self._customer(), "limit": "100"})
        same = [each for each in found["data"] if each["metadata"].get("invoice_id") == invoice["id"]]
        self._screen.check("Invoices for it at Stripe", 1, len(same))
        self._screen.check("Paid there, in cents", invoice["total_minor"], same[0]["amount_paid"])

    async def _becomes(self, invoice: dict[str, Any], status: str) -> None:
        async def look() -> str | None:
            path = f"/v1/invoices/{invoice['id']}"
            found = await self._world.must(200, "GET", path, self._acme.access_token)
            return str(found["status"]) if found["status"] == status else None

        seen = await until(look, f"invoice {invoice['number']} to be {status}")
        self._screen.check(f"Invoice {invoice['number']} becomes", status, seen)

    async def _customer(self) -> str:
        found = await self._must("GET", "/v1/customers", {"limit": "100"})
        for customer in found["data"]:
            if customer["metadata"].get("tenant_id") == self._acme.tenant_id:
                return str(customer["id"])
        raise DemoFailed("Stripe has no customer for Acme")

    async def _must(self, method: str, path: str, data: dict[str, str]) -> Any:
        is_read = method == "GET"
        answer = await self._stripe.request(
            method, path, params=data if is_read else None, data=None if is_read else data
        )
        if answer.status_code != 200:
            raise DemoFailed(f"{method} {path} at Stripe gave {answer.status_code}")
        return answer.json()
