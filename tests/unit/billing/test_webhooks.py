"""`POST /v1/webhooks/stripe`: what is signed is taken, once; what is not is refused and leaves no trace."""

import hashlib
import hmac
import json
import logging
from typing import Any

import pytest
from stripe import WebhookSignature
from stripe.params import WebhookEndpointCreateParams

from functions.billing import routes
from functions.billing.domain.webhook_signature import TOLERANCE_SECONDS
from functions.billing.invoices import Invoices
from functions.billing.stripe_secrets import StripeSecrets
from functions.billing.webhooks import FOLLOWED
from shared.events import full_type
from tests.door import Door
from tests.stripe_stand_in import WEBHOOK_SECRET, Known, secrets, settings
from tests.unit.billing.collecting import PATH, Endpoint
from tests.unit.billing.faulty_store import FaultyStore
from tests.unit.billing.world import ACME, World

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("secret", ["whsec_" + "6" * 24, "", "WHSEC_" + "5" * 24])
async def test_a_wrong_secret_is_refused(endpoint: Endpoint, secret: str) -> None:
    """B23"""
    body = json.dumps(endpoint.event()).encode()
    await endpoint.is_refused(await endpoint.post(body, endpoint.signed(body, secret)), "signature_wrong")


@pytest.mark.parametrize("change", ["add", "reformat", "cut", "other"])
async def test_another_body_than_the_one_that_was_signed_is_refused(endpoint: Endpoint, change: str) -> None:
    """B23"""
    body = json.dumps(endpoint.event()).encode()
    signature = endpoint.signed(body)
    other = {
        "add": body + b" ",
        "reformat": json.dumps(json.loads(body), separators=(",", ":")).encode(),
        "cut": body[:-1],
        "other": body.replace(b"in_1", b"in_2"),
    }[change]
    await endpoint.is_refused(await endpoint.post(other, signature), "signature_wrong")


async def test_without_a_signature_it_is_refused(endpoint: Endpoint) -> None:
    """B23"""
    body = json.dumps(endpoint.event()).encode()
    await endpoint.is_refused(await endpoint.post(body, None), "signature_missing")
    await endpoint.is_refused(await endpoint.post(body, ""), "signature_missing")


@pytest.mark.parametrize(
    "header",
    [
        "t={t},v0={v1}",
        "v1={v1}",
        "t=,v1={v1}",
        "t=x,v1={v1}",
        "t={t},t={t},v1={v1}",
        "t=-{t},v1={v1}",
        "t={t}.0,v1={v1}",
        "t=" + "9" * 5_000 + ",v1={v1}",
        "t=\u0661\u0662,v1={v1}",
        "t={t},v1=",
        "t={t},v1=é" + "0" * 63,
        "t={t},v1=" + "G" * 64,
        "t={t}",
        ",,,=,",
        "=" * 4_000,
    ],
)
async def test_a_malformed_signature_is_refused(endpoint: Endpoint, header: str) -> None:
    """B23, B29: the stamp, the scheme, letters that are no ASCII."""
    body = json.dumps(endpoint.event()).encode()
    stamp, _, v1 = endpoint.signed(body).removeprefix("t=").partition(",v1=")
    value = header.replace("{t}", stamp).replace("{v1}", v1)
    raw = value.encode("utf-8").decode("latin-1")
    await endpoint.is_refused(await endpoint.post(body, raw), "signature_malformed")


@pytest.mark.parametrize("age", [0, TOLERANCE_SECONDS - 1, TOLERANCE_SECONDS, -TOLERANCE_SECONDS])
async def test_a_signature_of_these_minutes_is_taken(endpoint: Endpoint, age: int) -> None:
    """B24"""
    body = json.dumps(endpoint.event()).encode()
    assert (await endpoint.post(body, endpoint.signed(body, age=age))).status == 200


@pytest.mark.parametrize("age", [301, 86_400, -301, -86_400, -365 * 86_400])
async def test_an_old_signature_and_one_of_the_future_are_refused(
    endpoint: Endpoint, age: int, caplog: pytest.LogCaptureFixture
) -> None:
    """B24, B25, B36: in the log with a code of its own, since our own clock may be the wrong one."""
    body = json.dumps(endpoint.event()).encode()
    answer = await endpoint.post(body, endpoint.signed(body, age=age))
    await endpoint.is_refused(answer, "signature_out_of_time")
    assert "signature_out_of_time" in caplog.text


@pytest.mark.parametrize("header", ["", "x", "t=1,v1=" + "0" * 64, "t={now}", "t={now},v1=0"])
async def test_nobody_has_secrets_fetched_with_a_header_that_cannot_be_right(
    endpoint: Endpoint, header: str
) -> None:
    """B23, B24: a call of Secret Manager costs money, and anybody can post here."""

    class Costly(Known):
        async def access(self, name: str, version: int) -> bytes:
            raise AssertionError("fetched for nothing")

    costly = World(
        endpoint.world.store,
        now=endpoint.world.now,
        stripe=endpoint.stripe,
        secrets=StripeSecrets(settings(), Costly({})),
    )
    now = str(int(endpoint.world.now.at.timestamp()))
    assert (await endpoint.post(b"{}", header.replace("{now}", now), costly)).status == 400


async def test_the_package_signs_and_checks_as_we_do(endpoint: Endpoint) -> None:
    """The scheme is Stripe's."""
    body = b'{"a": "\xc3\xa9"}'
    header = endpoint.signed(body)
    assert WebhookSignature.verify_header(body, header, WEBHOOK_SECRET, tolerance=None)


async def test_one_good_signature_of_several_is_enough(endpoint: Endpoint) -> None:
    """B28"""
    body = json.dumps(endpoint.event()).encode()
    stamp, _, good = endpoint.signed(body).partition(",v1=")
    assert (await endpoint.post(body, f"{stamp},v0=1,v1={'0' * 64},v1={good}")).status == 200


PAID = b'"type": "invoice.paid", "livemode": false'
BAD_BODIES = {
    b"": "malformed_json",
    b"\xff\xfe": "malformed_json",
    b'{"id": "\xff"}': "malformed_json",
    b"no json": "malformed_json",
    b"[" * 100_000 + b"]" * 100_000: "malformed_json",
    b'{"id":' * 50_000 + b"1" + b"}" * 50_000: "malformed_json",
    b'{"id": "evt_1", "id": "evt_2"}': "malformed_json",
    b'{"id": NaN}': "malformed_json",
    b"[]": "malformed_event",
    b'"event"': "malformed_event",
    b"null": "malformed_event",
    b"{}": "malformed_event",
    b'{"id": 5, "type": "invoice.paid", "livemode": false}': "malformed_event",
    b'{"id": "evt_1", "type": "invoice.paid", "livemode": "false"}': "malformed_event",
    b'{"id": "evt_1", %b}' % PAID: "malformed_event",
    b'{"id": "", %b, "data": {"object": {"id": "in_1"}}}' % PAID: "malformed_event",
    b'{"id": "evt_1", %b, "data": []}' % PAID: "malformed_event",
    b'{"id": "evt_1", %b, "data": {"object": {"id": []}}}' % PAID: "malformed_event",
}


@pytest.mark.parametrize(("body", "code"), BAD_BODIES.items(), ids=range(len(BAD_BODIES)))
async def test_a_signed_body_that_is_no_event_is_refused(endpoint: Endpoint, body: bytes, code: str) -> None:
    """B29: never a 500, after which it would come again for three days."""
    at = int(endpoint.world.now.at.timestamp())
    mac = hmac.new(WEBHOOK_SECRET.encode(), b"%d.%b" % (at, body), hashlib.sha256).hexdigest()
    await endpoint.is_refused(await endpoint.post(body, f"t={at},v1={mac}"), code)


async def test_a_body_of_more_than_a_megabyte_is_refused(endpoint: Endpoint) -> None:
    body = b" " * (1_048_576 + 1)
    answer = await endpoint.post(body, endpoint.signed(body))
    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_only_json_is_taken(endpoint: Endpoint) -> None:
    table = routes.table(endpoint.world.reports, Invoices(endpoint.world.store), endpoint.world.webhooks)
    answer = await Door(*table).send("POST", PATH, [("content-type", "text/plain")], b"{}")
    assert answer.status == 415


async def test_a_webhook_that_comes_again_is_written_down_once(endpoint: Endpoint) -> None:
    """B30"""
    for _ in range(3):
        assert (await endpoint.tell()).status == 200
    assert len(await endpoint.received()) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"livemode": True}, "wrong_mode"), ({"account": "acct_other"}, "wrong_account")],
)
async def test_an_event_of_another_mode_or_account_is_refused_and_told(
    endpoint: Endpoint, changes: dict[str, Any], code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """B33"""
    await endpoint.is_refused(await endpoint.tell(endpoint.event(**changes)), code)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize(
    "event_type", ["customer.created", "invoice.created", "payout.paid", "x" * 5_000, ""]
)
async def test_an_event_of_no_consequence_passes(endpoint: Endpoint, event_type: str) -> None:
    """B33"""
    assert (await endpoint.tell(endpoint.event(event_type))).status == 200
    assert (await endpoint.tell({**endpoint.event(event_type), "data": {}})).status == 200
    assert await endpoint.received() == []


async def test_an_event_in_another_version_of_the_api_counts_and_is_told(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """B33: Stripe is asked in ours."""
    caplog.set_level(logging.WARNING)
    assert (await endpoint.tell(endpoint.event(api_version="2020-08-27"))).status == 200
    assert len(await endpoint.received()) == 1
    assert "another API version" in caplog.text


@pytest.mark.parametrize(
    "customer", ["cus_nobodys", None, {"id": "cus_1"}, "", "x" * 256, "tenants/tnt_acme"]
)
async def test_an_event_of_nobody_we_know_passes(endpoint: Endpoint, customer: Any) -> None:
    event = endpoint.event()
    event["data"]["object"]["customer"] = customer
    assert (await endpoint.tell(event)).status == 200
    assert await endpoint.received() == []


async def test_the_tenant_is_the_customers_whatever_the_metadata_say(endpoint: Endpoint) -> None:
    """B34"""
    event = endpoint.event()
    event["data"]["object"]["metadata"] = {"tenant_id": "tnt_other", "invoice_id": "inv-other"}
    await endpoint.tell(event)
    subjects = {
        sent["subject"]
        for sent in await endpoint.world.sent()
        if sent["type"] == full_type("stripe.event.received")
    }
    assert subjects == {ACME}


async def test_while_the_store_is_down_stripe_is_asked_to_come_again(endpoint: Endpoint) -> None:
    """B35"""
    faulty = FaultyStore(endpoint.world.store)
    faulty.is_down = True
    down = World(faulty, now=endpoint.world.now, stripe=endpoint.stripe, secrets=secrets())
    body = json.dumps(endpoint.event()).encode()
    assert (await endpoint.post(body, endpoint.signed(body), down)).status == 503
    assert (await endpoint.tell()).status == 200
    assert len(await endpoint.received()) == 1


async def test_without_settings_there_is_nothing_here(world: World) -> None:
    table = routes.table(world.reports, Invoices(world.store), world.webhooks)
    answer = await Door(*table).send("POST", PATH, [("content-type", "application/json")], b"{}")
    assert answer.status == 404


def test_stripe_has_events_of_the_types_that_are_followed() -> None:
    declared = str(WebhookEndpointCreateParams.__annotations__["enabled_events"])
    assert [name for name in FOLLOWED if f"'{name}'" not in declared] == []
