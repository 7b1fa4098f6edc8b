"""What is not a request that Stripe would take is refused as Stripe refuses it."""

import base64
import time
from typing import Any

import httpx
import pytest
import stripe

from local.stripe import endpoints, parameters
from tests.unit.local.stripe.conftest import KEY, WITH_STRIPES_CLIENT, StandIn, draft

pytestmark = WITH_STRIPES_CLIENT


def error(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["request-id"].startswith("req_")
    found: dict[str, Any] = answer.json()["error"]
    return found


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        ("customers", "name=a&nmae=b", "parameter_unknown", "nmae"),
        ("customers", "address[citty]=b", "parameter_unknown", "address[citty]"),
        ("customers", "idempotency_key=b", "parameter_unknown", "idempotency_key"),
        ("customers", "balance=1.5", "parameter_invalid_integer", "balance"),
        ("customers", "balance=", "parameter_invalid_empty", "balance"),
        ("customers", "balance=99999999999999999999", "parameter_invalid_integer", "balance"),
        ("customers", "balance=9999999999999999999", "parameter_invalid_integer", "balance"),
        ("customers", "name=", "parameter_invalid_empty", "name"),
        ("customers", "name[first]=a", None, "name"),
        ("customers", "address=a", None, "address"),
        ("customers", "metadata=a", None, "metadata"),
        ("customers", "metadata[a][b]=c", None, "metadata[a]"),
        ("customers", f"metadata[{'k' * 41}]=c", None, f"metadata[{'k' * 41}]"),
        ("customers", f"metadata[k]={'v' * 501}", None, "metadata[k]"),
        ("customers", "&".join(f"metadata[{number}]=x" for number in range(51)), None, "metadata"),
        ("customers", f"name={'n' * 5001}", None, "name"),
        ("customers", "tax_exempt=perhaps", None, "tax_exempt"),
        ("customers", "name=a&name=b", None, "name"),
        ("customers", "name=a&name[b]=c", None, "name"),
        ("customers", "[a]=c", None, "[a]"),
        ("customers", "a" + "[b]" * 9 + "=c", None, "a" + "[b]" * 9),
        ("customers", "expand[1]=a", None, "expand"),
        ("customers", "test_clock=clock_1", None, "test_clock"),
        ("invoices", "auto_advance=yes", None, "auto_advance"),
        ("invoices", "auto_advance=True", None, "auto_advance"),
        ("invoices", "currency=usd", "parameter_missing", "customer"),
        ("invoices", "customer=cus_unknown", "resource_missing", "customer"),
        ("invoices", "customer={customer}&currency=USD", None, "currency"),
        ("invoices", "customer={customer}&collection_method=by_hand", None, "collection_method"),
        (
            "invoices",
            "customer={customer}&custom_fields[0][name]=a",
            "parameter_missing",
            "custom_fields[0][value]",
        ),
        (
            "invoices",
            "customer={customer}&default_payment_method=pm_none",
            "resource_missing",
            "default_payment_method",
        ),
        ("invoiceitems", "customer={customer}&currency=usd", "parameter_missing", "amount"),
        (
            "invoiceitems",
            "customer={customer}&currency=usd&amount=1&quantity=2",
            "parameters_exclusive",
            "quantity",
        ),
        (
            "invoiceitems",
            "customer={customer}&currency=usd&amount=1&period[start]=1",
            "parameter_missing",
            "period[end]",
        ),
        (
            "invoiceitems",
            "customer={customer}&currency=usd&amount=1&period[start]=2&period[end]=1",
            None,
            "period[end]",
        ),
        (
            "invoiceitems",
            "customer={customer}&currency=usd&amount=1000000000000",
            "amount_too_large",
            "amount",
        ),
        (
            "invoiceitems",
            "customer={customer}&currency=usd&unit_amount_decimal=1e3",
            None,
            "unit_amount_decimal",
        ),
        (
            "invoiceitems",
            "customer={customer}&currency=usd&amount=1&invoice=in_none",
            "resource_missing",
            "invoice",
        ),
        ("payment_methods/pm_card_visa/attach", "", "parameter_missing", "customer"),
        ("payment_methods/pm_card_gold/attach", "customer={customer}", "resource_missing", "payment_method"),
        ("payment_methods", "type=card&card[number]=4242424242424242", None, "card"),
    ],
)
def test_wrong_parameters_are_named(
    stand_in: StandIn, customer: stripe.Customer, path: str, body: str, code: str | None, param: str
) -> None:
    before = len(stand_in.v1.events.list({"limit": 100}).data)
    answer = stand_in.raw("POST", f"/v1/{path}", body.replace("{customer}", customer.id))
    assert answer.status_code == 400, answer.text
    found = error(answer)
    assert (found["type"], found.get("code"), found.get("param")) == ("invalid_request_error", code, param)
    assert len(stand_in.v1.events.list({"limit": 100}).data) == before


def test_metadata_may_have_numbers_for_names(stand_in: StandIn) -> None:
    made = stand_in.v1.customers.create({"metadata": {"0": "zero", "1": "one"}})
    assert made.to_dict()["metadata"] == {"0": "zero", "1": "one"}
    changed = stand_in.v1.customers.update(made.id, {"metadata": {"0": "", "two": "2"}})
    assert changed.to_dict()["metadata"] == {"1": "one", "two": "2"}
    assert stand_in.v1.customers.update(made.id, {"metadata": ""}).to_dict()["metadata"] == {}


def test_quantities_and_their_price_are_exact(stand_in: StandIn, customer: stripe.Customer) -> None:
    body = f"customer={customer.id}&currency=usd&unit_amount_decimal=0.335&quantity_decimal=100.5"
    item = stand_in.raw("POST", "/v1/invoiceitems", body).json()
    assert (item["amount"], item["quantity_decimal"], item["pricing"]["unit_amount_decimal"]) == (
        34,
        "100.5",
        "0.335",
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {KEY}x"},
        {"authorization": "Bearer sk_live_of_somebody_else_entirely"},
        {"authorization": f"Token {KEY}"},
        {"authorization": "Basic not-base64"},
        {"authorization": "Basic " + base64.b64encode(b"\xff:").decode()},
    ],
)
def test_b22_a_wrong_key_is_401_and_is_not_repeated(stand_in: StandIn, headers: dict[str, str]) -> None:
    answer = stand_in.raw("POST", "/v1/customers", "name=a", **headers)
    assert answer.status_code == 401
    assert error(answer)["type"] == "invalid_request_error"
    assert "somebody" not in answer.text
    assert KEY not in answer.text
    assert stand_in.v1.customers.list().data == []


def test_the_key_may_be_a_user_name(stand_in: StandIn) -> None:
    basic = base64.b64encode(f"{KEY}:".encode()).decode()
    assert stand_in.raw("GET", "/v1/customers", authorization=f"Basic {basic}").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"stripe_version": "2020-08-27"}, 400),
        ({"stripe_version": stripe.api_version}, 200),
        ({"stripe_account": "acct_other"}, 403),
        ({"content_type": "application/json"}, 400),
        ({"content_type": "application/x-www-form-urlencoded; charset=utf-8"}, 200),
    ],
)
def test_headers_that_change_the_meaning_of_a_request(
    stand_in: StandIn, headers: dict[str, str], status: int
) -> None:
    answer = stand_in.raw("POST", "/v1/customers", "name=a", **headers)
    assert (answer.status_code, answer.headers["stripe-version"]) == (status, stripe.api_version)


@pytest.mark.parametrize("body", ["name", "name=%ff", "{}", "&".join(["a=b"] * 1001)])
def test_what_is_no_form_is_refused(stand_in: StandIn, body: str) -> None:
    assert stand_in.raw("POST", "/v1/customers", body).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/nothing"),
        ("PUT", "/v1/customers"),
        ("DELETE", "/v1/events"),
        ("GET", "/"),
        ("POST", "/v2/core/events"),
    ],
)
def test_unknown_paths_are_404(stand_in: StandIn, method: str, path: str) -> None:
    answer = stand_in.raw(method, path)
    assert answer.status_code == 404
    assert f"{method}: {path}" in error(answer)["message"]


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("customers/cus_x", "id"),
        ("invoices/in_x", "invoice"),
        ("events/evt_x", "id"),
        ("charges/ch_x", "charge"),
    ],
)
def test_unknown_objects_are_404(stand_in: StandIn, path: str, param: str) -> None:
    answer = stand_in.raw("GET", f"/v1/{path}")
    assert answer.status_code == 404
    assert (error(answer)["code"], error(answer)["param"]) == ("resource_missing", param)


def test_an_id_of_another_kind_is_unknown(stand_in: StandIn, customer: stripe.Customer) -> None:
    invoice = draft(stand_in, customer)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stand_in.v1.customers.retrieve(invoice.id)
    assert caught.value.http_status == 404


def test_a_key_that_is_replaced_is_accepted_no_more(stand_in: StandIn) -> None:
    replaced = {"api_key": "sk_test_of_another_time", "webhook_secrets": ["whsec_1"]}
    stand_in.control("PUT", "secrets", **replaced)
    assert stand_in.raw("GET", "/v1/events").status_code == 401
    assert (
        stand_in.raw("GET", "/v1/events", authorization="Bearer sk_test_of_another_time").status_code == 200
    )
    stand_in.control("PUT", "secrets", **{**replaced, "api_key": KEY})
    assert stand_in.raw("GET", "/v1/events").status_code == 200


def test_events_are_asked_for_by_20_types_at_most(stand_in: StandIn) -> None:
    types = "&".join(f"types[{number}]=a" for number in range(20))
    assert stand_in.raw("GET", f"/v1/events?{types}").status_code == 200
    assert stand_in.raw("GET", f"/v1/events?{types}&types[20]=a").status_code == 400
    assert stand_in.raw("GET", "/v1/events?type=a&types[0]=a").status_code == 400


def test_nothing_is_left_where_all_is_forgotten(stand_in: StandIn) -> None:
    stand_in.control("PUT", "webhooks", hold=True)
    stand_in.control("POST", "clock", seconds=900)
    stand_in.fault(kind="hang", times=None, path="/v1/nothing")
    made = stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k").json()["id"]
    stand_in.control("DELETE", "state")
    assert stand_in.control("GET", "webhooks").json()["behaviour"]["hold"] is False
    assert stand_in.control("GET", "clock").json()["now"] < time.time() + 60
    assert (stand_in.control("GET", "faults").json(), stand_in.counts()) == ({"faults": []}, {})
    again = stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k")
    assert again.json()["id"] != made


@pytest.mark.parametrize("endpoint", endpoints.ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
def test_what_is_understood_is_declared_by_stripe(endpoint: endpoints.Endpoint) -> None:
    assert endpoint.understood <= parameters.declared(endpoint.form).types.keys()
