"""`GET /v1/invoices`: as JSON and as a page."""

import hashlib
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from functions.billing.accept import prefers_html
from shared.errors import BadRequest, NotFound
from shared.http import Response
from shared.http.reply import Reply
from tests.unit.billing.requests import get
from tests.unit.billing.world import ACME, World, used

pytestmark = pytest.mark.anyio

FEBRUARY = datetime(2026, 2, 10, 8, tzinfo=UTC)


async def page(world: World, **changes: Any) -> str:
    """Acme's invoice of February as HTML, the tenant having been changed before."""
    await world.change_tenant(**changes)
    await world.use(used("a", "1200.5", at=FEBRUARY))
    await world.close("2026-02")
    return (await invoice(world, "text/html")).body.decode()


async def invoice(world: World, accept: str = "") -> Response:
    found = await world.invoice()
    return await get(world, "/v1/invoices/{invoice_id}", {"invoice_id": found.id}, accept=accept)


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
    sent = [name for name, _ in Reply(response, "req_1", head=False, close=False).headers]
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
        ("text/html" + "," * 990, True),
        ("text/html" + "," * 992, False),  # 32 000 commas have room in a request, and took 50 ms
    ],
)
def test_the_client_s_weights_choose_between_json_and_html(accept: str, is_html: bool) -> None:
    assert prefers_html(accept) is is_html
