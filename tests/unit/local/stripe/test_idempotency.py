"""Idempotency keys keep what was answered, whatever it was, for a day; and refuse any other request."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from tests.unit.local.stripe.conftest import WITH_STRIPES_CLIENT, StandIn, draft

pytestmark = WITH_STRIPES_CLIENT


def test_b17_the_same_request_under_its_key_is_answered_alike_and_done_once(stand_in: StandIn) -> None:
    first = stand_in.raw("POST", "/v1/customers", "name=a&email=b", idempotency_key="k")
    again = stand_in.raw("POST", "/v1/customers", "email=b&name=a", idempotency_key="k")
    assert again.content == first.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"] != again.headers["request-id"]
    assert len(stand_in.v1.customers.list().data) == 1
    assert [each.type for each in stand_in.v1.events.list().data] == ["customer.created"]


@pytest.mark.parametrize(
    ("path", "body"), [("customers", "name=other"), ("customers", ""), ("invoices", "name=a")]
)
def test_b19_another_request_under_the_key_is_refused(stand_in: StandIn, path: str, body: str) -> None:
    stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k")
    answer = stand_in.raw("POST", f"/v1/{path}", body, idempotency_key="k")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "idempotency_error")
    with pytest.raises(stripe.IdempotencyError):
        stand_in.v1.customers.create({"name": "b"}, {"idempotency_key": "k"})
    assert len(stand_in.v1.customers.list().data) == 1


def test_b20_a_key_is_forgotten_after_a_day(stand_in: StandIn) -> None:
    keyed = {"idempotency_key": "k"}
    first = stand_in.v1.customers.create({"name": "a"}, keyed)  # type: ignore[arg-type]
    stand_in.control("POST", "clock", seconds=86_370)
    assert stand_in.v1.customers.create({"name": "a"}, keyed).id == first.id  # type: ignore[arg-type]
    stand_in.control("POST", "clock", seconds=30)
    assert stand_in.v1.customers.create({"name": "a"}, keyed).id != first.id  # type: ignore[arg-type]
    assert len(stand_in.v1.customers.list().data) == 2


def test_b21_a_request_whose_key_is_in_progress_is_409(stand_in: StandIn) -> None:
    stand_in.fault(kind="delay", seconds=0.5, method="POST", path="/v1/customers")
    with ThreadPoolExecutor(1) as thread:
        slow = thread.submit(stand_in.raw, "POST", "/v1/customers", "name=a", idempotency_key="k")
        while not stand_in.counts():
            time.sleep(0.005)
        busy = stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k")
        assert (busy.status_code, busy.json()["error"]["code"]) == (409, "idempotency_key_in_use")
        assert slow.result().status_code == 200
    after = stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k")
    assert after.content == slow.result().content
    assert len(stand_in.v1.customers.list().data) == 1


def test_a_refused_request_of_an_endpoint_that_had_begun_is_kept(
    stand_in: StandIn, customer: stripe.Customer
) -> None:
    invoice = draft(stand_in, customer, 100)
    keyed = {"idempotency_key": "k"}
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError, match="draft can"):
            stand_in.v1.invoices.void_invoice(invoice.id, options=keyed)  # type: ignore[arg-type]
        stand_in.v1.invoices.retrieve(invoice.id)
    stand_in.v1.invoices.finalize_invoice(invoice.id)
    with pytest.raises(stripe.InvalidRequestError, match="draft can"):
        stand_in.v1.invoices.void_invoice(invoice.id, options=keyed)  # type: ignore[arg-type]
    assert stand_in.v1.invoices.void_invoice(invoice.id).status == "void"


def test_what_is_refused_before_leaves_the_key_free(stand_in: StandIn) -> None:
    for body in ("nmae=a", "balance=x"):
        assert stand_in.raw("POST", "/v1/customers", body, idempotency_key="k").status_code == 400
    assert stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k").status_code == 200


def test_a_key_is_of_posts_only_and_not_too_long(stand_in: StandIn) -> None:
    assert stand_in.raw("GET", "/v1/customers", idempotency_key="k").status_code == 200
    made = stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k")
    assert made.status_code == 200
    gone = f"/v1/customers/{made.json()['id']}"
    assert stand_in.raw("DELETE", gone, idempotency_key="k").status_code == 200
    assert stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k" * 255).status_code == 200
    assert stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k" * 256).status_code == 400


def test_what_failed_to_expand_was_not_done(stand_in: StandIn) -> None:
    assert stand_in.raw("POST", "/v1/customers", "name=a&expand[]=nothing").status_code == 400
    assert stand_in.v1.customers.list().data == []
    assert stand_in.v1.events.list().data == []
