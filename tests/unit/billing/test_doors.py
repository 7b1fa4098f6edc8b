"""What billing answers over HTTP: usage sums, invoices as JSON and as a page."""

import hashlib
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import pytest

from functions.billing import routes
from functions.billing.accept import prefers_html
from functions.billing.invoices import Invoices
from shared.errors import BadRequest, Invalid, NotFound
from shared.http import Response
from shared.http.reply import Reply
from shared.store import Create
from tests.unit.billing.world import ACME, NOON, World, used

pytestmark = pytest.mark.anyio

T = TypeVar("T")
FEBRUARY = datetime(2026, 2, 10, 8, tzinfo=UTC)


class Principal(msgspec.Struct):
    tenant_id: str


class Call:
    """A request of one tenant."""

    def __init__(self, tenant_id: str, params: dict[str, str], query: dict[str, Any], accept: str) -> None:
        self.principal = Principal(tenant_id)
        self.params = params
        self.headers = {"accept": accept} if accept else {}
        self._query = query

    def query(self, kind: type[T]) -> T:
        return msgspec.convert(self._query, kind)


async def get(
    world: World,
    path: str,
    params: dict[str, str] | None = None,
    query: dict[str, Any] | None = None,
    accept: str = "",
) -> Response:
    (route,) = [route for route in routes.table(world.reports, Invoices(world.store)) if route.path == path]
    return await route.handler(Call(world.tenant_id, params or {}, query or {}, accept))  # type: ignore[arg-type]


async def usage(world: World, **query: str) -> Any:
    return msgspec.json.decode((await get(world, "/v1/usage", query=query)).body)


async def page(world: World, **changes: Any) -> str:
    """Acme's invoice of February as HTML, the tenant having been changed before."""
    await world.change_tenant(**changes)
    await world.use(used("a", "1200.5", at=FEBRUARY))
    await world.close("2026-02")
    return (await invoice(world, "text/html")).body.decode()


async def invoice(world: World, accept: str = "") -> Response:
    found = await world.invoice()
    return await get(world, "/v1/invoices/{invoice_id}", {"invoice_id": found.id}, accept=accept)


async def test_usage_is_summed_by_meter_and_day(world: World) -> None:
    await world.use(used("a", "1.25"), used("b", 2), used("c", 3, at=NOON - timedelta(days=3)))
    await world.use(used("d", 4, meter="workflow_runs"), used("e", 9, at=FEBRUARY))
    assert await usage(world) == {
        "from": "2026-03-01",
        "to": "2026-03-16",
        "days": [
            {"day": "2026-03-12", "meter": "agent_minutes", "quantity": "3", "events": 1},
            {"day": "2026-03-15", "meter": "agent_minutes", "quantity": "3.25", "events": 2},
            {"day": "2026-03-15", "meter": "workflow_runs", "quantity": "4", "events": 1},
        ],
        "totals": [
            {"meter": "agent_minutes", "quantity": "6.25", "events": 3},
            {"meter": "workflow_runs", "quantity": "4", "events": 1},
        ],
    }


async def test_usage_of_one_meter_between_two_days_without_the_last(world: World) -> None:
    await world.use(
        used("a", 1), used("b", 2, meter="workflow_runs"), used("c", 3, at=NOON - timedelta(days=1))
    )
    found = await usage(world, **{"from": "2026-03-14", "to": "2026-03-15", "meter": "agent_minutes"})
    assert found["totals"] == [{"meter": "agent_minutes", "quantity": "3", "events": 1}]


async def test_counters_past_the_first_page_count(world: World) -> None:
    """B14: 92 days, two meters, eight shards: 1472 documents."""
    scope = world.store.tenant(ACME)
    days = [
        (datetime(2025, 12, 15, tzinfo=UTC) + timedelta(days=number)).date().isoformat()
        for number in range(92)
    ]
    names = [
        (meter, day, shard)
        for meter in ("agent_minutes", "workflow_runs")
        for day in days
        for shard in range(8)
    ]
    await world.store.commit(
        *(
            Create(
                scope.key("usage", f"{meter}.{day}.{shard}"),
                {"meter": meter, "day": day, "shard": shard, "s0": 250_000, "n0": 1},
            )
            for meter, day, shard in names
        )
    )
    found = await usage(world, **{"from": days[0], "to": "2026-03-17"})
    assert found["totals"] == [
        {"meter": meter, "quantity": "184", "events": 736} for meter in ("agent_minutes", "workflow_runs")
    ]
    assert [day["quantity"] for day in found["days"]] == ["2"] * 184


async def test_all_shards_count(world: World) -> None:
    """B14"""
    for number in range(40):
        await world.use(used(str(number), "0.5"))
    assert (await usage(world))["totals"] == [{"meter": "agent_minutes", "quantity": "20", "events": 40}]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"from": "2026-3-1"}, "?from"),
        ({"from": "2026-02-30"}, "?from"),
        ({"to": "tomorrow"}, "?to"),
        ({"to": "2026-03-01T00:00:00Z"}, "?to"),
        ({"from": "2026-03-15", "to": "2026-03-15"}, "?to"),
        ({"from": "2026-03-15", "to": "2026-03-01"}, "?to"),
        ({"from": "2026-04-01"}, "?to"),
        ({"from": "2025-12-01", "to": "2026-03-04"}, "?to"),
        ({"meter": "coffee"}, "?meter"),
        ({"meter": ""}, "?meter"),
    ],
)
async def test_a_wrong_parameter_is_named(world: World, query: dict[str, str], path: str) -> None:
    with pytest.raises(Invalid) as refused:
        await usage(world, **query)
    assert [field.path for field in refused.value.fields] == [path]


async def test_92_days_can_be_asked_for(world: World) -> None:
    assert (await usage(world, **{"from": "2025-12-01", "to": "2026-03-03"}))["days"] == []


async def test_an_invoice_in_json(world: World) -> None:
    await page(world)
    response = await invoice(world)
    assert response.content_type == "application/json"
    assert response.headers["Vary"] == "Accept"
    found = msgspec.json.decode(response.body)
    assert found["lines"][1] == {
        "kind": "usage",
        "description": "Agent minutes",
        "period": "2026-02",
        "meter": "agent_minutes",
        "quantity": "1200.5",
        "unit_price": "0.02",
        "amount_minor": 2401,
        "amount": "USD 24.01",
    }
    assert found["tenant"] == {"id": ACME, "slug": "acme", "name": "Acme Inc.", "tier": "standard"}
    assert (found["period_start"], found["period_end"]) == ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")
    assert (found["total_minor"], found["total"]) == (2 * 9_900 + 2401, "USD 222.01")
    assert (found["catalogue"], found["finalized_at"]) == ("example-2026-01", "2026-03-15T12:00:00Z")


async def test_invoices_are_listed_newest_first_a_page_at_a_time(world: World) -> None:
    for month in ("2026-01", "2026-02"):
        await world.close(month)
        world.now.at += timedelta(hours=1)
    first = msgspec.json.decode((await get(world, "/v1/invoices", query={"limit": 1})).body)
    assert [item["period"] for item in first["items"]] == ["2026-02"]
    assert first["items"][0]["total"] == "USD 99.00"
    query = {"limit": 1, "cursor": first["next_cursor"]}
    second = msgspec.json.decode((await get(world, "/v1/invoices", query=query)).body)
    assert ([item["period"] for item in second["items"]], second["next_cursor"]) == (["2026-01"], None)


async def test_a_cursor_of_another_tenant_or_of_nobody_is_refused(world: World) -> None:
    """T3"""
    for month in ("2026-01", "2026-02"):
        await world.close(month)
    stolen = msgspec.json.decode((await get(world, "/v1/invoices", query={"limit": 1})).body)["next_cursor"]
    other = World(world.store, "tnt_other")
    for cursor in (stolen, "x", "💥"):
        with pytest.raises(BadRequest):
            await get(other, "/v1/invoices", query={"cursor": cursor})


@pytest.mark.parametrize("name", ["inv-unknown", "..", "a/b", "x" * 2000, ""])
async def test_a_foreign_and_an_unknown_invoice_answer_alike(world: World, name: str) -> None:
    """T4, T5, T7"""
    await world.close("2026-02")
    other = World(world.store, "tnt_other")
    codes = []
    for wanted in (name, (await world.invoice()).id):
        with pytest.raises(NotFound) as refused:
            await get(other, "/v1/invoices/{invoice_id}", {"invoice_id": wanted})
        codes.append((refused.value.code, refused.value.detail))
    assert codes[0] == codes[1]


async def test_the_page_shows_the_sums_and_says_that_prices_are_examples(world: World) -> None:
    text = await page(world)
    for part in ("ACME-202602", "2026-03-15", "2026-02-01 to 2026-02-28", "1200.5", "USD 0.02", "USD 24.01"):
        assert part in text
    assert re.search(r"Total</td><td class=\"n\">USD 222\.01</td>", text)
    assert "The price list example-2026-01 is an example: nothing is owed." in text


async def test_nothing_that_a_tenant_is_called_becomes_markup(world: World) -> None:
    """A name is the customer's own text."""
    evil = """</strong><script>alert(1)</script><img src=x onerror='alert("2")'>&amp;"""
    text = await page(world, name=evil)
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;/strong&gt;&lt;script&gt;" in text
    assert "&amp;amp;" in text


async def test_the_page_may_load_nothing_but_its_own_style(world: World) -> None:
    text = await page(world)
    response = await invoice(world, "text/html")
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert response.content_type == "text/html; charset=utf-8"
    sent = [name for name, _ in Reply(response, "req_1", head=False, close=False).raw_headers]
    assert len(sent) == len(set(sent)), "a header of the page comes twice"
    assert not re.search(r"style=|src=|href=|<script|<link|javascript:", text)


@pytest.mark.parametrize(
    ("accept", "is_html"),
    [
        ("", False),
        ("*/*", False),
        ("text/html", True),
        ("TEXT/HTML; charset=utf-8", True),
        ("application/json", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("application/json, text/html", False),
        ("application/json;q=0.5, text/html", True),
        ("text/html;q=0.5, application/json", False),
        ("text/*", True),
        ("text/html;q=0, */*", False),
        ("text/html;q=0", False),
        ("text/html;q=2, application/json;q=0.1", False),
        ("text/html;q=nan", False),
        ("text/html;q=0.123, application/json;q=0.122", True),
        (",;,=;q", False),
    ],
)
def test_the_client_s_weights_choose_between_json_and_html(accept: str, is_html: bool) -> None:
    assert prefers_html(accept) is is_html
