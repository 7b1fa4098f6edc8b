"""The story, chapter by chapter: a tenant from its creation to its suspension."""

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from rich.progress import Progress

from local.demo import usage
from local.demo.screen import Screen
from local.demo.usage import Event
from local.demo.world import DemoFailed, World, token_in, until

PASSWORD = "correct horse battery staple"  # noqa: S105 - a demo's, in a demo's data folder
LAST_MONTH_EVENTS = 2000
FIRST_MONTH_EVENTS = 200
LATE_EVENTS = 40
SUSPENSION_SECONDS = 30.0


class Customer(msgspec.Struct, frozen=True):
    """A tenant with its owner signed in and a machine of its own."""

    tenant_id: str
    slug: str
    access_token: str
    refresh_token: str
    client_id: str
    client_secret: str


class Story:
    def __init__(self, world: World, screen: Screen, dice: random.Random, today: date) -> None:
        self._world = world
        self._screen = screen
        self._dice = dice
        self._last = usage.month_before(today)
        self._first = usage.month_before(self._last)
        self._broken = 0

    async def tell(self) -> str:
        """All chapters; returns the invoice as a page. Raises `DemoFailed` where it cannot go on."""
        operator = await self._operator()
        acme = await self._customer(operator, "acme", "Acme Inc.", "standard")
        rival = await self._customer(operator, "rival", "Rival Ltd.", "basic")
        await self._refresh(acme)
        first = usage.make(self._dice, "first", FIRST_MONTH_EVENTS, self._first)
        await self._first_month(acme, first)
        late = usage.make(self._dice, "late", LATE_EVENTS, self._first)
        main = usage.make(self._dice, "main", LAST_MONTH_EVENTS, self._last)
        await self._stream(acme, main, late)
        await self._forged(acme)
        invoice_id = await self._last_month(acme, first, main, late)
        await self._after_the_close(acme, main, invoice_id)
        await self._strangers(acme, rival, invoice_id)
        page = await self._world.call(
            "GET", f"/v1/invoices/{invoice_id}", acme.access_token, headers={"accept": "text/html"}
        )
        await self._suspend(operator, acme, rival)
        await self._nothing_left()
        return page.text

    async def _operator(self) -> str:
        self._screen.chapter("The operator signs in with the credential that `make run` left in a file")
        credential = msgspec.json.decode(self._world.layout.operator.read_bytes())
        return await self._world.client_token(credential["client_id"], credential["client_secret"])

    async def _customer(self, operator: str, slug: str, name: str, tier: str) -> Customer:
        world, screen = self._world, self._screen
        screen.chapter(f"{name} becomes a customer in tier {tier}")
        owner = f"owner@{slug}.example"
        order = {"slug": slug, "name": name, "tier": tier, "owner_email": owner}
        order["contract_start"] = self._first.isoformat()
        tenant = await world.must(201, "POST", "/v1/tenants", operator, json=order)
        screen.check("The new tenant is", "provisioning", tenant["status"])
        path = f"/v1/tenants/{tenant['id']}"

        async def active() -> bool | None:
            answer = await world.must(200, "GET", path, operator)
            return True if answer["status"] == "active" else None

        await until(active, f"{slug} to be provisioned")
        screen.say("The cluster answered; the tenant is active and its owner has mail.")
        mail = await world.mail_to(owner)
        accept = {"token": token_in(mail), "password": PASSWORD, "name": f"Owner of {name}"}
        await world.must(201, "POST", "/v1/auth/invitations/accept", json=accept)
        again = await world.call("POST", "/v1/auth/invitations/accept", json=accept)
        screen.check("The invitation's link works a second time", "no", _yes(again.status_code == 201))
        login = {"tenant": slug, "email": owner, "password": PASSWORD}
        tokens = await world.must(200, "POST", "/v1/auth/login", json=login)
        me = await world.must(200, "GET", "/v1/me", tokens["access_token"])
        screen.check("The owner is signed in to", tenant["id"], me["tenant_id"])
        account = {"name": "agent", "scopes": ["usage:read"]}
        machine = await world.must(201, "POST", "/v1/service-accounts", tokens["access_token"], json=account)
        token = await world.client_token(machine["client_id"], machine["client_secret"])
        me = await world.must(200, "GET", "/v1/me", token)
        screen.check("A machine signs in with its secret, for", tenant["id"], me["tenant_id"])
        return Customer(
            tenant["id"],
            slug,
            tokens["access_token"],
            tokens["refresh_token"],
            machine["client_id"],
            machine["client_secret"],
        )

    async def _refresh(self, acme: Customer) -> None:
        self._screen.chapter("A refresh whose answer is lost signs nobody out")
        form = {"grant_type": "refresh_token", "refresh_token": acme.refresh_token}
        answers = await asyncio.gather(
            *(self._world.must(200, "POST", "/oauth2/token", data=form) for _ in range(8))
        )
        successors = {answer["refresh_token"] for answer in answers}
        self._screen.check("Eight refreshes of one token at once, different successors", 1, len(successors))

    async def _first_month(self, acme: Customer, events: Sequence[Event]) -> None:
        period = usage.period(self._first)
        self._screen.chapter(f"{period}: some usage, then the month is closed")
        for message in usage.messages(self._dice, events, len(events) // 10):
            await self._world.publish_usage(acme.tenant_id, usage.SOURCE, message)
        await self._settled()
        await self._check_usage(acme, self._first, events)
        await self._close(acme, self._first)
        invoice = await self._invoice(acme, period)
        expected = usage.cents(usage.FEES_USD["standard"]) + sum(usage.priced(usage.sums(events)).values())
        self._screen.check(f"Total of the invoice for {period}, in cents", expected, invoice["total_minor"])

    async def _stream(self, acme: Customer, main: Sequence[Event], late: Sequence[Event]) -> None:
        screen, world = self._screen, self._world
        duplicates = len(main) // 10
        broken = usage.broken(self._last)
        screen.chapter(
            f"{usage.period(self._last)}: {len(main):,} events, {duplicates} of them twice, {len(late)} late for "
            f"{usage.period(self._first)}, {len(broken) + 1} broken; billing is killed on the way"
        )
        stream: list[Any] = [*usage.messages(self._dice, [*main, *late], duplicates), broken]
        self._dice.shuffle(stream)
        with Progress(console=screen.console, transient=True) as progress:
            bar = progress.add_task("    publishing", total=len(stream))
            for number, message in enumerate(stream):
                await world.publish_usage(acme.tenant_id, usage.SOURCE, message)
                progress.advance(bar)
                if number == len(stream) // 3:
                    screen.say(f"[bold red]kill -9[/] billing (process {world.kill_function('billing')})")
        await world.publish_raw(b'{"this is": "no event at all"')
        self._broken = len(broken) + 1
        await self._settled()
        await self._check_usage(acme, self._last, main)
        screen.check("Broken events and messages in quarantine", self._broken, await world.quarantined())
        screen.check("Dead letters", 0, await world.dead_letters())

    async def _forged(self, acme: Customer) -> None:
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

    async def _last_month(
        self, acme: Customer, first: Sequence[Event], main: Sequence[Event], late: Sequence[Event]
    ) -> str:
        period = usage.period(self._last)
        self._screen.chapter(f"{period} is closed, asked for three times")
        await asyncio.gather(*(self._close(acme, self._last) for _ in range(3)))
        invoice = await self._invoice(acme, period)
        lines = [
            [line["description"], line["quantity"], line["unit_price"], line["amount"]]
            for line in invoice["lines"]
        ]
        lines.append(["Total", "", "", invoice["total"]])
        self._screen.table(
            f"    Invoice {invoice['number']}", ["", "Quantity", "Unit price", "Amount"], lines
        )
        fee = usage.cents(usage.FEES_USD["standard"])
        own = usage.priced(usage.sums(main))
        before = usage.priced(usage.sums(first))
        after = usage.priced(usage.sums([*first, *late]))
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
        return str(invoice["id"])

    async def _after_the_close(self, acme: Customer, main: Sequence[Event], invoice_id: str) -> None:
        self._screen.chapter("More comes late, after the close: kept for the next invoice")
        invoices = await self._world.must(200, "GET", "/v1/invoices", acme.access_token)
        self._screen.check("Invoices so far", 2, len(invoices["items"]))
        before = await self._world.must(200, "GET", f"/v1/invoices/{invoice_id}", acme.access_token)
        late = usage.make(self._dice, "later", LATE_EVENTS, self._last)
        await self._world.publish_usage(acme.tenant_id, usage.SOURCE, late)
        await self._settled()
        await self._check_usage(acme, self._last, [*main, *late])
        after = await self._world.must(200, "GET", f"/v1/invoices/{invoice_id}", acme.access_token)
        self._screen.check("The finalized invoice has changed", "no", _yes(before != after))

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
        screen.check("The machine gets a token, at once", "no", _yes(machine.status_code == 200))

        async def refused() -> bool | None:
            answers = [
                await world.call("GET", path, acme.access_token)
                for path in ("/v1/me", "/v1/usage", f"/v1/tenants/{acme.tenant_id}")
            ]
            return True if all(answer.status_code in (401, 403) for answer in answers) else None

        await until(refused, "the access token to be refused everywhere", SUSPENSION_SECONDS + 5)
        waited = time.monotonic() - started
        screen.say(f"Every function refused the access token after {waited:.1f} s.")
        screen.check("Within 30 s", "yes", _yes(waited <= SUSPENSION_SECONDS))
        other = await world.call("GET", "/v1/me", rival.access_token)
        screen.check("Rival still works", 200, other.status_code)

    async def _nothing_left(self) -> None:
        self._screen.chapter("Nothing is left over")
        await self._settled()
        self._screen.check("Dead letters", 0, await self._world.dead_letters())
        self._screen.check("Messages in quarantine", self._broken, await self._world.quarantined())

    async def _settled(self) -> None:
        async def drained() -> bool | None:
            return True if await self._world.pending() == 0 else None

        await until(drained, "all deliveries to be acknowledged")

    async def _check_usage(self, acme: Customer, first: date, events: Sequence[Event]) -> None:
        window = {"from": first.isoformat(), "to": usage.month_after(first).isoformat()}
        token = await self._world.client_token(acme.client_id, acme.client_secret)
        answer = await self._world.must(200, "GET", "/v1/usage", token, params=window)
        totals = {total["meter"]: total for total in answer["totals"]}
        for meter, quantity in sorted(usage.sums(events).items()):
            found = Decimal(totals[meter]["quantity"]) if meter in totals else Decimal(0)
            self._screen.check(f"{meter} of {usage.period(first)}", quantity.normalize(), found.normalize())
        count = sum(total["events"] for total in totals.values())
        self._screen.check("Events counted", len(events), count)

    async def _close(self, acme: Customer, first: date) -> None:
        await self._world.close_period(acme.tenant_id, usage.period(first))

    async def _invoice(self, acme: Customer, period: str) -> Any:
        async def look() -> Any:
            page = await self._world.must(200, "GET", "/v1/invoices", acme.access_token)
            found = [invoice for invoice in page["items"] if invoice["period"] == period]
            if not found:
                return None
            return await self._world.must(200, "GET", f"/v1/invoices/{found[0]['id']}", acme.access_token)

        await self._settled()
        invoice = await until(look, f"the invoice of {period}")
        if invoice["status"] != "finalized":
            raise DemoFailed(f"the invoice of {period} is {invoice['status']}")
        return invoice


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"
