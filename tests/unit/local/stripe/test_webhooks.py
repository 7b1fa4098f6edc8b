"""Events reach the endpoint signed, at least once, in the order or disorder that a test asks for."""

import time
from typing import Any

import pytest
import stripe

from local.stripe.server import Settings
from local.stripe.webhooks import Endpoint
from tests.unit.local.stripe.conftest import KEY, WITH_STRIPES_CLIENT, StandIn, draft, opened, paying, started
from tests.unit.local.stripe.receiver import SECRET, Receiver, receiving

pytestmark = WITH_STRIPES_CLIENT


def pending(stand_in: StandIn) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stand_in.control("GET", "webhooks").json()["pending"]
    return found


def delivered(stand_in: StandIn) -> bool:
    return not pending(stand_in)


def test_a_payment_is_told_step_by_step(telling: StandIn, receiver: Receiver) -> None:
    customer = paying(telling, "pm_card_visa")
    telling.v1.invoices.pay(opened(telling, customer, 1200).id)
    receiver.until(lambda: delivered(telling))
    expected = [each.type for each in telling.v1.events.list({"limit": 100}).data][::-1]
    assert expected == [
        "customer.created",
        "payment_method.attached",
        "customer.updated",
        "invoice.created",
        "invoiceitem.created",
        "invoice.finalized",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]
    assert sorted(receiver.types) == sorted(expected)


def test_an_event_says_what_it_is_and_what_it_comes_from(telling: StandIn, receiver: Receiver) -> None:
    made = telling.v1.customers.create({"name": "a"}, {"idempotency_key": "k"})
    telling.v1.customers.update(made.id, {"name": "b"})
    receiver.until(lambda: len(receiver.received) == 2)
    created, updated = sorted((each.event() for each in receiver.received), key=lambda event: event.type)
    assert created.request is not None
    assert (created.request.idempotency_key, created.request.id) == ("k", made.last_response.request_id)  # type: ignore[union-attr]
    assert (created.livemode, created.api_version, created.pending_webhooks) == (False, stripe.api_version, 1)
    assert created.to_dict()["data"]["object"]["name"] == "a"
    assert updated.to_dict()["data"]["previous_attributes"] == {"name": "a"}
    receiver.until(lambda: telling.v1.events.retrieve(created.id).pending_webhooks == 0)


def test_failures_are_told_too(telling: StandIn, receiver: Receiver) -> None:
    customer = paying(telling, "pm_card_authenticationRequired")
    invoice = opened(telling, customer, 1200)
    with pytest.raises(stripe.CardError) as caught:
        telling.v1.invoices.pay(invoice.id)
    assert caught.value.code == "authentication_required"
    telling.v1.invoices.void_invoice(invoice.id)
    receiver.until(lambda: delivered(telling))
    told = {"invoice.payment_failed", "invoice.payment_action_required", "charge.failed", "invoice.voided"}
    assert told | {"payment_intent.payment_failed", "payment_intent.canceled"} <= set(receiver.types)


def test_each_event_comes_until_it_is_taken(telling: StandIn, receiver: Receiver) -> None:
    receiver.answers[:] = [500, 302, 404, 204]
    telling.v1.customers.create({"name": "a"})
    receiver.until(lambda: len(receiver.received) == 4)
    receiver.until(lambda: delivered(telling))
    assert len({each.body for each in receiver.received}) == 1
    assert receiver.types == ["customer.created"] * 4


def test_what_is_held_is_not_sent(telling: StandIn, receiver: Receiver) -> None:
    telling.control("PUT", "webhooks", hold=True)
    telling.v1.customers.create({"name": "a"})
    time.sleep(0.1)
    (waiting,) = pending(telling)
    assert waiting["attempts"] == 0
    assert receiver.received == []
    assert [each.pending_webhooks for each in telling.v1.events.list({"delivery_success": False}).data] == [1]


def test_b35_nobody_there_is_tried_again(http: stripe.HTTPXClient) -> None:
    with receiving() as gone:
        url = gone.url
    endpoint = Endpoint(url, (SECRET,), retry_base_seconds=0.02, retry_cap_seconds=0.05)
    with started(Settings(KEY, endpoint), http) as stand_in:
        stand_in.v1.customers.create({"name": "a"})
        end = time.monotonic() + 5
        while pending(stand_in)[0]["attempts"] < 3:
            assert time.monotonic() < end
            time.sleep(0.01)
        (event,) = stand_in.v1.events.list().data
        assert stand_in.control("POST", f"events/{event.id}/deliver").json() == {"status": 0}
        assert event.pending_webhooks == 1


def test_b23_the_signature_is_over_the_body_as_it_is(telling: StandIn, receiver: Receiver) -> None:
    telling.v1.customers.create({"name": "Ünï – 1"})
    receiver.until(lambda: len(receiver.received) == 1)
    (got,) = receiver.received
    assert "Ünï – 1".encode() in got.body
    for body, secret in ((got.body + b"\n", SECRET), (got.body, "whsec_other")):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body, got.signature, secret)
    at = int(got.signature.partition(",")[0].removeprefix("t="))
    assert abs(at - time.time()) < 10


def test_b28_while_a_secret_is_rolled_both_sign(telling: StandIn, receiver: Receiver) -> None:
    telling.control("PUT", "secrets", api_key="sk_test_of_the_tests", webhook_secrets=["whsec_new", SECRET])
    telling.v1.customers.create({"name": "a"})
    receiver.until(lambda: len(receiver.received) == 1)
    (got,) = receiver.received
    assert got.event("whsec_new").id == got.event(SECRET).id


def test_b36_the_signature_goes_by_the_real_time(telling: StandIn, receiver: Receiver) -> None:
    telling.control("POST", "clock", seconds=5 * 86_400)
    telling.v1.customers.create({"name": "a"})
    receiver.until(lambda: len(receiver.received) == 1)
    event = receiver.received[0].event()
    assert event.created - time.time() > 4 * 86_400
    at = int(receiver.received[0].signature.partition(",")[0].removeprefix("t="))
    assert abs(at - time.time()) < 10


def test_b30_copies_are_the_same_event(telling: StandIn, receiver: Receiver) -> None:
    telling.control("PUT", "webhooks", copies=3)
    made = telling.v1.customers.create({"name": "a"})
    receiver.until(lambda: len(receiver.received) == 3)
    assert len({each.event().id for each in receiver.received}) == 1
    (event,) = telling.v1.events.list().data
    receiver.until(lambda: telling.v1.events.retrieve(event.id).pending_webhooks == 0)
    assert made.id in receiver.received[0].body.decode()


def test_an_event_is_delivered_when_all_its_copies_are(telling: StandIn, receiver: Receiver) -> None:
    telling.control("PUT", "webhooks", hold=True, copies=2)
    telling.v1.customers.create({"name": "a"})
    receiver.answers[:] = [200, *[500] * 50]
    telling.control("PUT", "webhooks", hold=False)
    receiver.until(lambda: len(receiver.received) > 3)
    assert [each.pending_webhooks for each in telling.v1.events.list().data] == [1]
    receiver.answers.clear()
    receiver.until(lambda: delivered(telling))
    (event,) = telling.v1.events.list().data
    assert event.pending_webhooks == 0
    telling.control("POST", f"events/{event.id}/deliver")
    assert len({each.body for each in receiver.received}) == 1


def test_a_payment_on_the_page_is_told_at_once(telling: StandIn, receiver: Receiver) -> None:
    customer = telling.v1.customers.create({"name": "a"})
    url = str(opened(telling, customer, 900).hosted_invoice_url)
    receiver.until(lambda: delivered(telling))
    began = time.monotonic()
    telling.page("POST", url, card="visa")
    receiver.until(lambda: "invoice.paid" in receiver.types)
    assert time.monotonic() - began < 2


def test_collection_goes_on_by_itself(receiver: Receiver, http: stripe.HTTPXClient) -> None:
    settings = Settings(KEY, Endpoint(receiver.url, (SECRET,)), advance_seconds=0)
    with started(settings, http) as stand_in:
        invoice = draft(stand_in, paying(stand_in, "pm_card_visa"), 900)
        stand_in.v1.invoices.update(invoice.id, {"auto_advance": True})
        receiver.until(lambda: "invoice.paid" in receiver.types)
        assert stand_in.v1.invoices.retrieve(invoice.id).status == "paid"


def test_b32_held_events_are_delivered_one_by_one_as_asked(telling: StandIn, receiver: Receiver) -> None:
    telling.control("PUT", "webhooks", hold=True)
    for name in ("a", "b", "c"):
        telling.v1.customers.create({"name": name})
    ids = [each.id for each in telling.v1.events.list().data]
    for event_id in (ids[1], ids[0], ids[1], ids[2]):
        assert telling.control("POST", f"events/{event_id}/deliver").json() == {"status": 200}
    assert [each.event().id for each in receiver.received] == [ids[1], ids[0], ids[1], ids[2]]
    assert delivered(telling)
    receiver.answers[:] = [503]
    assert telling.control("POST", f"events/{ids[0]}/deliver").json() == {"status": 503}


def test_held_events_come_when_they_are_held_no_longer(telling: StandIn, receiver: Receiver) -> None:
    telling.control("PUT", "webhooks", hold=True)
    telling.v1.customers.create({"name": "a"})
    assert receiver.types == []
    telling.control("PUT", "webhooks", hold=False)
    receiver.until(lambda: receiver.types == ["customer.created"])


def test_b32_spread_events_come_out_of_order(telling: StandIn, receiver: Receiver) -> None:
    telling.control("PUT", "webhooks", spread_seconds=0.3, seed=7)
    for number in range(8):
        telling.v1.customers.create({"name": str(number)})
    receiver.until(lambda: len(receiver.received) == 8)
    names = [each.event().to_dict()["data"]["object"]["name"] for each in receiver.received]
    assert sorted(names) == [str(number) for number in range(8)] != names


def test_dropped_events_stay_undelivered(telling: StandIn, receiver: Receiver) -> None:
    telling.control("PUT", "webhooks", drop=["customer.*"])
    made = telling.v1.customers.create({"name": "a"})
    opened(telling, made, 100)
    receiver.until(lambda: "invoice.finalized" in receiver.types and delivered(telling))
    assert "customer.created" not in receiver.types
    lost = telling.v1.events.list({"delivery_success": False}).data
    assert [each.type for each in lost] == ["customer.created"]
    assert [each.type for each in telling.v1.events.list({"type": "invoice.f*"}).data] == [
        "invoice.finalized"
    ]
    both = telling.v1.events.list({"types": ["invoice.created", "customer.created"]}).data
    assert [each.type for each in both] == ["invoice.created", "customer.created"]
