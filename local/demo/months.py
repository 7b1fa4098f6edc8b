"""Months of usage: events stream in, a function dies, months are closed, every figure is summed up twice."""

import asyncio
import random
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from rich.progress import Progress

from local.demo import usage
from local.demo.people import Customer
from local.demo.screen import Screen, yes
from local.demo.usage import Event
from local.demo.world import World, until

LAST_MONTH_EVENTS = 2000
FIRST_MONTH_EVENTS = 200
LATE_EVENTS = 40


class Months:
    """Of one customer: `first` is closed before usage for it comes late, `last` bills what came late."""

    def __init__(self, world: World, screen: Screen, dice: random.Random, acme: Customer, last: date) -> None:
        self._world = world
        self._screen = screen
        self._dice = dice
        self._acme = acme
        self._last = last
        self._first = usage.month_before(last)
        self._in_first = usage.make(dice, "first", FIRST_MONTH_EVENTS, self._first)
        self._late = usage.make(dice, "late", LATE_EVENTS, self._first)
        self._in_last = usage.make(dice, "main", LAST_MONTH_EVENTS, last)
        self.broken = 0

    async def first_month(self) -> dict[str, Any]:
        """Returns its invoice."""
        events = self._in_first
        period = usage.period(self._first)
        self._screen.chapter(f"{period}: some usage, then the month is closed")
        for message in usage.messages(self._dice, events, len(events) // 10):
            await self._world.publish_usage(self._acme.tenant_id, usage.SOURCE, message)
        await self._world.settled()
        await self._check_usage(self._first, events)
        await self._close(self._first)
        invoice = await self._invoice(period)
        expected = usage.cents(usage.FEES_USD["standard"]) + sum(usage.priced(usage.sums(events)).values())
        self._screen.check(f"Total of the invoice for {period}, in cents", expected, invoice["total_minor"])
        return invoice

    async def stream(self) -> None:
        screen, world, main, late = self._screen, self._world, self._in_last, self._late
        duplicates = len(main) // 10
        broken = usage.broken(self._last)
        screen.chapter(
            f"{usage.period(self._last)}: {len(main):,} events, {duplicates} of them twice, {len(late)} late "
            f"for {usage.period(self._first)}, {len(broken) + 1} broken; billing is killed on the way"
        )
        stream: list[Any] = [*usage.messages(self._dice, [*main, *late], duplicates), broken]
        self._dice.shuffle(stream)
        killed = 0
        with Progress(console=screen.console, transient=True) as progress:
            bar = progress.add_task("    publishing", total=len(stream))
            for number, message in enumerate(stream):
                await world.publish_usage(self._acme.tenant_id, usage.SOURCE, message)
                progress.advance(bar)
                if number == len(stream) // 3:
                    killed = world.kill_function("billing")
                    screen.say(f"[bold red]kill -9[/] billing, process {killed}, in mid-stream")
        await world.publish_raw(b'{"this is": "no event at all"')
        screen.say(f"billing is back as process {await world.restarted('billing', killed)}")
        self.broken = len(broken) + 1
        await self._world.settled()
        await self._check_usage(self._last, main)
        screen.check("Broken events and messages in quarantine", self.broken, await world.quarantined())
        screen.check("Dead letters", 0, await world.quarantined("dead_lettered"))

    async def last_month(self) -> dict[str, Any]:
        """Returns its invoice."""
        period = usage.period(self._last)
        self._screen.chapter(f"{period} is closed, asked for three times")
        await asyncio.gather(*(self._close(self._last) for _ in range(3)))
        invoice = await self._invoice(period)
        lines = [
            [line["description"], line["quantity"], line["unit_price"], line["amount"]]
            for line in invoice["lines"]
        ]
        lines.append(["Total", "", "", invoice["total"]])
        self._screen.table(
            f"    Invoice {invoice['number']}", ["", "Quantity", "Unit price", "Amount"], lines
        )
        fee = usage.cents(usage.FEES_USD["standard"])
        own = usage.priced(usage.sums(self._in_last))
        before = usage.priced(usage.sums(self._in_first))
        after = usage.priced(usage.sums([*self._in_first, *self._late]))
        late_cents = sum(after[meter] - before.get(meter, 0) for meter in after)
        found = {
            kind: sum(line["amount_minor"] for line in invoice["lines"] if line["kind"] == kind)
            for kind in ("fee", "usage", "late_usage")
        }
        self._screen.check("The fee, in cents", fee, found["fee"])
        self._screen.check("The usage, in cents", sum(own.values()), found["usage"])
        self._screen.check("What came late for the month before, in cents", late_cents, found["late_usage"])
        self._screen.check(
            "The total, in cents", fee + sum(own.values()) + late_cents, invoice["total_minor"]
        )
        return invoice

    async def after_the_close(self, invoice_id: str) -> None:
        self._screen.chapter("More comes late, after the close: kept for the next invoice")
        invoices = await self._world.must(200, "GET", "/v1/invoices", self._acme.access_token)
        self._screen.check("Invoices so far", 2, len(invoices["items"]))
        before = await self._world.must(200, "GET", f"/v1/invoices/{invoice_id}", self._acme.access_token)
        late = usage.make(self._dice, "later", LATE_EVENTS, self._last)
        await self._world.publish_usage(self._acme.tenant_id, usage.SOURCE, late)
        await self._world.settled()
        await self._check_usage(self._last, [*self._in_last, *late])
        after = await self._world.must(200, "GET", f"/v1/invoices/{invoice_id}", self._acme.access_token)
        self._screen.check("The finalized invoice has changed", "no", yes(before != after))

    async def page(self, invoice_id: str) -> str:
        """The invoice as its owner's browser shows it."""
        headers = {"accept": "text/html"}
        path = f"/v1/invoices/{invoice_id}"
        return (await self._world.call("GET", path, self._acme.access_token, headers=headers)).text

    async def _check_usage(self, first: date, events: Sequence[Event]) -> None:
        window = {"from": first.isoformat(), "to": usage.month_after(first).isoformat()}
        token = await self._world.client_token(self._acme.client_id, self._acme.client_secret)
        answer = await self._world.must(200, "GET", "/v1/usage", token, params=window)
        totals = {total["meter"]: total for total in answer["totals"]}
        for meter, quantity in sorted(usage.sums(events).items()):
            found = Decimal(totals[meter]["quantity"]) if meter in totals else Decimal(0)
            self._screen.check(f"{meter} of {usage.period(first)}", quantity.normalize(), found.normalize())
        count = sum(total["events"] for total in totals.values())
        self._screen.check("Events counted", len(events), count)

    async def _close(self, first: date) -> None:
        await self._world.close_period(self._acme.tenant_id, usage.period(first))

    async def _invoice(self, period: str) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            page = await self._world.must(200, "GET", "/v1/invoices", self._acme.access_token)
            found = [invoice for invoice in page["items"] if invoice["period"] == period]
            if not found:
                return None
            invoice: dict[str, Any] = await self._world.must(
                200, "GET", f"/v1/invoices/{found[0]['id']}", self._acme.access_token
            )
            return None if invoice["status"] == "finalized" else invoice

        await self._world.settled()
        return await until(look, f"the invoice of {period} to be asked for at Stripe")
