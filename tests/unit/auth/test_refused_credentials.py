"""Keys and clients that are refused: on record with whose, from where and how often, for a bounded price."""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from functions.auth.guessing.refused_credentials import RECORDS, WINDOW, Refused, RefusedCredentials
from functions.auth.guessing.source import Source
from functions.auth.oauth.oauth_client_changes import ClientChange
from shared.audit import Actor, AuditRecord
from shared.errors import Error, Unavailable
from shared.store import Create
from shared.store.bodies import from_body
from tests.unit.auth.applications import Application, add_key, assertion, basic, machine, register
from tests.unit.auth.machine_door import MachineDoor
from tests.unit.auth.suite import ACME, Suite, principal
from tests.unit.auth.test_api_keys import forged, make

pytestmark = pytest.mark.anyio

ACTOR = Actor("user", "usr_test", ACME)
HERE = "2001:db8:1:2:3::4"
PLACE = "2001:db8:1::/56"
SOURCE = Source(HERE, request_id="req_9")
EVENT = "security.sign_in_failures"
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
async def client(suite: Suite) -> Application:
    return await machine(suite, "usage:read")


def recorded(suite: Suite) -> list[AuditRecord]:
    """What was written of refusals since `forget`, in that order."""
    writes = (write for commit in suite.store.commits for write in commit if isinstance(write, Create))
    found = (from_body(write.body, AuditRecord) for write in writes if "/audit/" in write.key.path)
    return [record for record in found if record.action.endswith(".refuse")]


def forget(suite: Suite) -> None:
    suite.store.commits.clear()
    suite.bus.messages.clear()


async def refuse(suite: Suite, header: str | None, address: str = HERE, **form: str) -> None:
    with suppress(Error):
        await suite.endpoint.answer(GRANT | form, header, "req_9", address)
        raise AssertionError("it was not refused")


def told(suite: Suite) -> list[Any]:
    return [msgspec.json.decode(event.data) for event in suite.bus.events(EVENT)]


async def test_ten_thousand_refusals_of_a_client_are_five_records(suite: Suite, client: Application) -> None:
    """A record and its event are one commit; the outbox entries' end is another."""
    refused = RefusedCredentials(suite.publishing, suite.outbox, suite.clock)
    forget(suite)
    for _ in range(10_000):
        await refused.note(Refused("client", ACME, client.client.id, "wrong_secret"), SOURCE)
    records = recorded(suite)
    assert [record.detail["refusals"] for record in records] == ["1", "10", "100", "1000", "10000"]
    assert len(suite.store.commits) == 9
    last = records[-1]
    assert (last.action, last.target, last.result) == ("client.refuse", client.client.id, "refused")
    counted = {"refusals": "10000", "refusals_from_place": "10000"}
    assert last.detail == {"why": "wrong_secret", "place": PLACE} | counted
    assert (last.actor.kind, last.actor.ip, last.actor.request_id) == ("anonymous", HERE, "req_9")
    assert told(suite) == [
        {"about": "client", "id": client.client.id, "failures": 10**power} for power in (1, 2, 3, 4)
    ]


async def test_from_ever_new_places_one_client_is_told_of_now_and_then(
    suite: Suite, client: Application
) -> None:
    """And always of how often in all."""
    forget(suite)
    for number in range(1_000):
        await refuse(suite, basic(client.id, "guess"), f"198.51.{number // 250}.{number % 250}")
    records = recorded(suite)
    totals = {"1", "10", "100", "1000"}
    assert len(records) <= RECORDS.burst + len(totals)
    assert totals <= {record.detail["refusals"] for record in records}
    assert {record.detail["refusals_from_place"] for record in records} == {"1"}
    assert [event["failures"] for event in told(suite)] == [10, 100, 1000]
    suite.clock.move(RECORDS.seconds)
    await refuse(suite, basic(client.id, "guess"))
    await refuse(suite, basic(client.id, "guess"), "203.0.113.1")
    (late,) = recorded(suite)[len(records) :]
    assert late.detail["place"] == PLACE


async def test_many_at_once_count_one_by_one(suite: Suite, client: Application) -> None:
    forget(suite)
    await asyncio.gather(*(refuse(suite, basic(client.id, "guess")) for _ in range(64)))
    assert sorted(record.detail["refusals"] for record in recorded(suite)) == ["1", "10"]


async def test_after_the_window_they_are_counted_from_one(suite: Suite, client: Application) -> None:
    forget(suite)
    for _ in range(5):
        await refuse(suite, basic(client.id, "guess"))
    suite.clock.move(WINDOW.total_seconds())
    await refuse(suite, basic(client.id, "guess"))
    assert [record.detail["refusals"] for record in recorded(suite)] == ["1", "1"]


async def test_each_kind_says_what_was_wrong(suite: Suite, client: Application) -> None:
    """The answer does not: it is the same for all of them."""
    account, _ = await suite.add_machine("usage:read")
    public = await register(suite, kind="public")
    disabled = await machine(suite)
    await suite.do.oauth_client_changes.update(
        principal("owner"), ACTOR, disabled.client.id, ClientChange(status="disabled")
    )
    await add_key(suite, client, "ES256")
    used = assertion(suite, client.id)
    await suite.endpoint.answer(GRANT | used, None, "req_1", HERE)
    forget(suite)
    await refuse(suite, basic(account, "guess"))
    await refuse(suite, basic(public.id, "guess"))
    await refuse(suite, disabled.basic)
    await refuse(suite, None, **used)
    await refuse(suite, None, client_id=client.id, address="198.51.100.1")
    said = [(record.action, record.target, record.detail["why"]) for record in recorded(suite)]
    assert said == [
        ("service_account.refuse", account.partition(".")[2], "wrong_secret"),
        ("client.refuse", public.client.id, "wrong_secret"),
        ("client.refuse", disabled.client.id, "disabled"),
        ("client.refuse", client.client.id, "wrong_assertion"),
        ("client.refuse", client.client.id, "no_proof"),
    ]


async def test_a_key_is_on_record_with_why_and_from_where(suite: Suite) -> None:
    good = await make(suite)
    elsewhere = await make(suite, ip_ranges=["192.0.2.8/29"])
    forget(suite)
    exchange = suite.do.api_key_exchange
    for text in (forged(good.text, secret="0" * 22), elsewhere.text):
        with suppress(Error):
            await exchange.token(text, HERE, None, "req_9")
    said = [(record.action, record.target, record.detail["why"]) for record in recorded(suite)]
    assert said == [
        ("api_key.refuse", good.key.id, "wrong_secret"),
        ("api_key.refuse", elsewhere.key.id, "address_not_allowed"),
    ]
    assert {record.detail["place"] for record in recorded(suite)} == {PLACE}


async def test_an_expired_key_that_is_tried_all_day_is_a_few_records(suite: Suite) -> None:
    """From several places at once, none of which is throttled: its owner has only not replaced it."""
    expired = await make(suite)
    suite.clock.move(100 * 86_400)
    forget(suite)
    for number in range(1_000):
        with suppress(Error):
            await suite.do.api_key_exchange.token(expired.text, f"198.51.{number % 7}.1", None, "req_9")
    records = recorded(suite)
    assert {record.detail["why"] for record in records} == {"expired"}
    assert len(records) <= RECORDS.burst + 4
    assert "1000" in {record.detail["refusals"] for record in records}


async def test_nothing_is_written_of_what_there_is_not(suite: Suite, client: Application) -> None:
    """Nor of an unknown key of a tenant, nor of a known key's id in a tenant that is none."""
    text = (await make(suite)).text
    own_id = client.client.id
    keys = [forged(text, key_id="key_" + "0" * 32), forged(text, tenant_id="tnt_nobody"), "junk"]
    clients = [f"{ACME}.cli_nobody", f"tnt_nobody.{own_id}", f"{ACME}.sa_nobody", "junk", own_id]
    forget(suite)
    for _ in range(20):
        for name in clients:
            await refuse(suite, basic(name, "guess"))
        for key in keys:
            with suppress(Error):
                await suite.do.api_key_exchange.token(key, HERE, None, "req_9")
    assert suite.store.commits == []


async def test_a_refusal_that_cannot_be_recorded_is_the_same_refusal(
    suite: Suite, client: Application, caplog: pytest.LogCaptureFixture
) -> None:
    async def down() -> None:
        raise Unavailable("store_unavailable", "The store did not answer.")

    suite.store.before_commit = down
    with pytest.raises(Error) as refused:
        await suite.endpoint.answer(GRANT, basic(client.id, "guess"), "req_9", HERE)
    assert (refused.value.status, refused.value.code) == (401, "invalid_client")
    assert "are not recorded" in caplog.text


@pytest.mark.parametrize("path", ["token", "introspect", "revoke", "device_authorization"])
async def test_every_door_says_where_the_request_came_from(
    suite: Suite, client: Application, path: str
) -> None:
    forget(suite)
    form = GRANT | {"token": "junk", "client_id": client.id, "client_secret": "guess"}
    answer = await MachineDoor(suite).ask("POST", f"/oauth2/{path}", form=form, address="198.51.100.7")
    assert answer.status_code == 401
    (record,) = recorded(suite)
    assert (record.target, record.detail["place"]) == (client.client.id, "198.51.100.7")
