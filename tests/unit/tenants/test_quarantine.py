"""Operators and the quarantine: what they find, read and throw away, and that nobody else does."""

import asyncio
import base64
from datetime import timedelta
from typing import Any

import pytest

from functions.tenants.quarantine import EVERYTHING, PAGE, Shelf
from shared.store import Page, Store
from shared.store.bodies import stamp
from tests.shelf import shelved
from tests.tokens import NOW
from tests.unit.billing.faulty_store import FaultyStore
from tests.unit.tenants.operators import SHELF, Operator

pytestmark = pytest.mark.anyio


class CountingStore(FaultyStore):
    """Notes how much each query may return."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.limits: list[int] = []

    async def run(self, *asked: Any) -> Page:
        self.limits.append(asked[5])
        return await super().run(*asked)


async def test_the_newest_come_first_without_their_data(operator: Operator) -> None:
    first = await operator.put(message_id="1")
    second = await operator.put(message_id="2", attempt=4, publish_time=NOW)
    page = (await operator.ask("GET", SHELF)).json()
    assert [item["id"] for item in page["items"]] == [second, first]
    assert page["items"][0] == {
        "id": second,
        "reason": "bad",
        "detail": "It is bad.",
        "function": "billing",
        "topic": "billing-events",
        "subscription": "projects/p/subscriptions/billing-events-push",
        "event_type": "ai.energent.tenant.created.v1",
        "tenant_id": "tnt_acme",
        "message_id": "2",
        "published_at": "2026-03-04T12:00:00Z",
        "received_at": "2026-03-04T12:00:02Z",
        "attempts": 4,
        "complete": True,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "edcba"),
        ("reason=bad", "dba"),
        ("function=auth", "eb"),
        ("event_type=t2", "dc"),
        ("tenant_id=tnt_2", "ed"),
        ("tenant_id=tnt_2&event_type=t2", "d"),
        ("reason=worse&function=billing&event_type=t2", "c"),
        ("reason=worse&function=auth&tenant_id=tnt_1", ""),
        ("reason=nothing", ""),
        ("since={1}", "edcb"),
        ("until={3}", "cba"),
        ("since={1}&until={3}", "cb"),
        ("since={1}&until={3}&reason=bad", "b"),
        ("since={3}&until={1}", ""),
    ],
)
@pytest.mark.parametrize("limit", [1, 100])
async def test_a_filter_finds_all_that_it_fits_and_nothing_else(
    operator: Operator, query: str, expected: str, limit: int
) -> None:
    rows = [
        ("a", "billing", "bad", "t1", "tnt_1"),
        ("b", "auth", "bad", "t1", "tnt_1"),
        ("c", "billing", "worse", "t2", "tnt_1"),
        ("d", "tenants", "bad", "t2", "tnt_2"),
        ("e", "auth", "worse", "t1", "tnt_2"),
    ]
    names = {}
    for name, function, reason, kind, tenant_id in rows:
        names[await operator.put(function, reason, type=kind, tenant_id=tenant_id)] = name
    times = [stamp(NOW + timedelta(seconds=second)) for second in range(1, 6)]
    found = await operator.ids(query.format(*times) + f"&limit={limit}")
    assert "".join(names[each] for each in found) == expected


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("function=nobody", "?function"),
        ("reason=", "?reason"),
        ("since=yesterday", "?since"),
        ("since=2026-03-04T12:00:00", "?since"),
        ("since=253402300800", "?since"),
        ("until=-1", "?until"),
        ("until=9999-12-31T23:59:59-14:00", "?until"),
        ("function=null", "?function"),
        ("until=0001-01-01T00:00:00%2B14:00", "?until"),
        ("subject=tnt_1", "?subject"),
        ("limit=101", "?limit"),
        ("all=true", "?all"),
    ],
)
async def test_a_wrong_filter_is_named(operator: Operator, query: str, path: str) -> None:
    answer = await operator.ask("GET", f"{SHELF}?{query}")
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [path]


async def test_a_cursor_leads_on_in_its_own_list_only(operator: Operator) -> None:
    for number in range(3):
        await operator.put(message_id=str(number))
    cursor = (await operator.ask("GET", f"{SHELF}?limit=1")).json()["next_cursor"]
    assert (await operator.ask("GET", f"{SHELF}?cursor={cursor}")).status_code == 200
    for other in (f"reason=bad&cursor={cursor}", "cursor=broken"):
        answer = await operator.ask("GET", f"{SHELF}?{other}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_few_messages_are_in_memory_at_once(operator: Operator) -> None:
    """Each may have a megabyte."""
    for number in range(45):
        await operator.put(message_id=str(number))
    store = CountingStore(operator.world.plain_store)
    shelf = Shelf(store, operator.world.outbox, operator.world.clock)
    page = await shelf.listed(EVERYTHING, 42, None)
    assert (len(page.items), store.limits) == (42, [2, 8, PAGE, 12])
    assert {(kept.body, *kept.attributes) for kept in page.items} == {("",)}
    rest = await shelf.listed(EVERYTHING, 42, page.next_cursor)
    assert (len(rest.items), rest.next_cursor) == (3, None)


@pytest.mark.parametrize("data", [b'{"a": "\xc3\xa9"}', b"\x00\xff", b""])
async def test_one_message_is_shown_to_the_byte_and_that_it_was_read_is_recorded(
    operator: Operator, data: bytes
) -> None:
    quarantine_id = await operator.put(data=data, attributes={"a": "b"})
    shown = (await operator.ask("GET", f"{SHELF}/{quarantine_id}")).json()
    assert base64.b64decode(shown["data"]) == data
    assert (shown["attributes"], shown["id"]) == ({"a": "b"}, quarantine_id)
    assert await operator.audited() == [("quarantine.read", quarantine_id, "sa_ops")]


async def test_a_message_is_thrown_away_once_and_never_sent(operator: Operator) -> None:
    quarantine_id = await operator.put()
    asked = (operator.ask("DELETE", f"{SHELF}/{quarantine_id}") for _ in range(8))
    assert sorted([answer.status_code for answer in await asyncio.gather(*asked)]) == [204] + [404] * 7
    assert await shelved(operator.world.store) == []
    assert await operator.audited() == [("quarantine.dismiss", quarantine_id, "sa_ops")]
    assert operator.sent() == []


async def test_a_message_is_either_replayed_or_thrown_away(operator: Operator) -> None:
    for number in range(10):
        quarantine_id = await operator.put(message_id=str(number))
        sent = len(operator.sent())
        replayed, dismissed = await asyncio.gather(
            operator.ask("POST", f"{SHELF}/{quarantine_id}/replay"),
            operator.ask("DELETE", f"{SHELF}/{quarantine_id}"),
        )
        assert sorted([replayed.status_code, dismissed.status_code]) == [204, 404]
        assert len(operator.sent()) - sent == (replayed.status_code == 204)


@pytest.mark.parametrize("action", ["GET {}", "DELETE {}", "POST {}/replay"])
async def test_every_id_that_is_not_there_is_answered_alike(operator: Operator, action: str) -> None:
    """T5, T7."""
    method, path = action.format(SHELF + "/{}").split()
    gone = await operator.put()
    await operator.ask("DELETE", f"{SHELF}/{gone}")
    seen = []
    for quarantine_id in (gone, "qrn_x", "tnt_acme", "__x__", "x" * 1501, "qrn%20x"):
        answer = await operator.ask(method, path.format(quarantine_id))
        seen.append((answer.status_code, answer.content, sorted(answer.headers.items())))
    assert seen[0][0] == 404
    assert seen == [seen[0]] * 6


ROUTES = [
    ("GET", SHELF, "read"),
    ("GET", f"{SHELF}/qrn_1", "read"),
    ("POST", f"{SHELF}/replay", "write"),
    ("POST", f"{SHELF}/qrn_1/replay", "write"),
    ("DELETE", f"{SHELF}/qrn_1", "write"),
]


@pytest.mark.parametrize(("method", "path", "needs"), ROUTES)
async def test_nobody_but_an_operator_with_the_very_scope_gets_in(
    operator: Operator, method: str, path: str, needs: str
) -> None:
    """T1."""
    assert (await operator.client.request(method, path)).status_code == 401
    other = {"read": "write", "write": "read"}[needs]
    for scope in (f"platform:quarantine:{other}", "tenant:read users:write platform:tenants:write", ""):
        answer = await operator.ask(method, path, scope=scope)
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert await operator.audited() == []
