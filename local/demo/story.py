"""The story, chapter by chapter: a tenant from its creation to its suspension."""

import random
import time
from datetime import date

from local.demo import usage
from local.demo.months import Months
from local.demo.payments import Payments
from local.demo.people import Customer, People
from local.demo.screen import Screen, yes
from local.demo.world import World, until

SUSPENSION_SECONDS = 30.0


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
        try:
            await payments.on_the_page(await months.first_month())
            await payments.leave_card()
            await months.stream()
            await self._forged()
            invoice = await months.last_month()
            await payments.by_itself(invoice)
        finally:
            await payments.close()
        invoice_id = str(invoice["id"])
        await months.after_the_close(invoice_id)
        await self._strangers(acme, rival, invoice_id)
        page = await self._world.call(
            "GET", f"/v1/invoices/{invoice_id}", acme.access_token, headers={"accept": "text/html"}
        )
        await self._suspend(operator, acme, rival)
        await self._nothing_left(months)
        return page.text

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
        me = await self._world.must(200, "GET", "/v1/me", acme.access_token)
        for path in (
            f"/v1/tenants/{acme.tenant_id}",
            f"/v1/users/{me['subject']}",
            f"/v1/invoices/{invoice_id}",
        ):
            foreign = await self._world.call("GET", path, rival.access_token)
            self._screen.check(f"GET {path}", 404, foreign.status_code)
        own = await self._world.must(200, "GET", "/v1/invoices", rival.access_token)
        self._screen.check("Invoices it sees", 0, len(own["items"]))

    async def _suspend(self, operator: str, acme: Customer, rival: Customer) -> None:
        world, screen = self._world, self._screen
        screen.chapter("Acme is suspended; its tokens stop working")
        started = time.monotonic()
        path = f"/v1/tenants/{acme.tenant_id}/suspend"
        await world.must(200, "POST", path, operator, json={"reason": "non_payment"})
        form = {"grant_type": "refresh_token", "refresh_token": acme.refresh_token}
        refresh = await world.call("POST", "/oauth2/token", data=form)
        screen.check("Refresh, at once", "invalid_grant", refresh.json().get("error"))
        machine = await world.client.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(acme.client_id, acme.client_secret),
        )
        screen.check("The machine gets a token, at once", "no", yes(machine.status_code == 200))

        async def refused() -> bool | None:
            answers = [
                await world.call("GET", path, acme.access_token)
                for path in ("/v1/me", "/v1/usage", f"/v1/tenants/{acme.tenant_id}")
            ]
            return True if all(answer.status_code in (401, 403) for answer in answers) else None

        screen.say("Waiting until every function refuses the access token, 30 s at the most ...")
        await until(refused, "the access token to be refused everywhere", SUSPENSION_SECONDS + 5)
        waited = time.monotonic() - started
        screen.say(f"Every function refused the access token after {waited:.1f} s.")
        screen.check("Within 30 s", "yes", yes(waited <= SUSPENSION_SECONDS))
        other = await world.call("GET", "/v1/me", rival.access_token)
        screen.check("Rival still works", 200, other.status_code)

    async def _nothing_left(self, months: Months) -> None:
        self._screen.chapter("Nothing is left over")
        await months.settled()
        self._screen.check("Dead letters", 0, await self._world.quarantined("dead_lettered"))
        self._screen.check("Messages in quarantine", months.broken, await self._world.quarantined())
