"""The story, chapter by chapter: tenants from their creation to the suspension of one of them."""

import random
from datetime import date

from local.demo import audit, keys, usage
from local.demo.applications import Applications
from local.demo.ends import Ends
from local.demo.keys import Rotation
from local.demo.months import Months
from local.demo.payments import Payments
from local.demo.people import Customer, People
from local.demo.screen import Screen
from local.demo.world import World


class Story:
    def __init__(self, world: World, screen: Screen, dice: random.Random, today: date) -> None:
        self._world = world
        self._screen = screen
        self._dice = dice
        self._last = usage.month_before(today)

    async def tell(self) -> str:
        """All chapters; returns the invoice as a page. Raises `DemoFailed` where it cannot go on."""
        people = People(self._world, self._screen, usage.month_before(self._last))
        operator = await people.operator()
        acme = await people.take_on(operator, "acme", "Acme Inc.", "standard")
        rival = await people.take_on(operator, "rival", "Rival Ltd.", "basic")
        await people.refresh(acme)
        months = Months(self._world, self._screen, self._dice, acme, self._last)
        payments = Payments(self._world, self._screen, acme)
        ends = Ends(self._world, self._screen)
        try:
            first = await months.first_month()
            await self._strangers(acme, rival, str(first["id"]))
            # What is ended now is measured while the story goes on.
            await ends.suspended(operator, rival)
            bob = await people.join(acme, "Bob")
            deeds = await ends.session(acme, bob)
            await payments.on_the_page(first)
            invoice = await self._last_month(months, payments)
            deeds += await Applications(self._world, self._screen, acme, bob).tell()
            deeds += await keys.api_key(self._world, self._screen, acme)
            rotated = await Rotation(self._world, self._screen, operator).tell(acme.access_token)
            await audit.join(self._world, self._screen, [(acme.access_token, deeds), (operator, rotated)])
            await ends.measured(acme.access_token)
        finally:
            ends.close()
            await payments.close()
        await self._nothing_left(months)
        return invoice

    async def _last_month(self, months: Months, payments: Payments) -> str:
        """The invoice as a page."""
        await payments.leave_card()
        await months.stream()
        await self._forged()
        invoice = await months.last_month()
        await payments.by_itself(invoice)
        await months.after_the_close(str(invoice["id"]))
        return await months.page(str(invoice["id"]))

    async def _forged(self) -> None:
        self._screen.chapter("Somebody forges an event")
        event = {
            "events": [
                {"id": "forged", "time": "2026-01-01T00:00:00Z", "meter": "agent_minutes", "quantity": 1}
            ]
        }
        by_gateway = await self._world.call("POST", "/", json=event, headers={"ce-type": "forged"})
        self._screen.check("POST / through the gateway", 404, by_gateway.status_code)
        door = self._world.ready["functions"]["billing"]["url"] + "/"
        direct = await self._world.client.post(door, json=event, headers={"authorization": "Bearer forged"})
        self._screen.check("POST / straight to billing", 401, direct.status_code)

    async def _strangers(self, acme: Customer, rival: Customer, invoice_id: str) -> None:
        self._screen.chapter("Another tenant looks for all of this")
        for path in (
            f"/v1/tenants/{acme.tenant_id}",
            f"/v1/users/{acme.owner_id}",
            f"/v1/invoices/{invoice_id}",
        ):
            foreign = await self._world.call("GET", path, rival.access_token)
            self._screen.check(f"GET {path}", 404, foreign.status_code)
        own = await self._world.must(200, "GET", "/v1/invoices", rival.access_token)
        self._screen.check("Invoices it sees", 0, len(own["items"]))

    async def _nothing_left(self, months: Months) -> None:
        self._screen.chapter("Nothing is left over")
        await self._world.settled()
        self._screen.check("Dead letters", 0, await self._world.quarantined("dead_lettered"))
        self._screen.check("Messages in quarantine", months.broken, await self._world.quarantined())
