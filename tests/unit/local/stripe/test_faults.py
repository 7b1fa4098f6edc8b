"""Faults hit the requests they are meant for, before or after these are done; Stripe's client sees them."""

import time
from typing import Any

import httpx
import pytest
import stripe

from tests.unit.local.stripe.conftest import KEY, WITH_STRIPES_CLIENT, StandIn

pytestmark = [WITH_STRIPES_CLIENT, pytest.mark.anyio]

CREATE: dict[str, Any] = {"method": "POST", "path": "/v1/customers"}
KEYED: Any = {"idempotency_key": "k"}


def customers(stand_in: StandIn) -> int:
    return len(stand_in.v1.customers.list({"limit": 100}).data)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("reset", stripe.APIConnectionError),
        ("half_body", stripe.APIConnectionError),
        ("invalid_json", stripe.APIError),
    ],
)
def test_b21_an_answer_that_is_lost_or_broken(
    stand_in: StandIn, kind: str, when: str, expected: type[stripe.StripeError]
) -> None:
    stand_in.fault(kind=kind, when=when, **CREATE)
    with pytest.raises(expected) as caught:
        stand_in.v1.customers.create({"name": "a"}, KEYED)
    assert type(caught.value) is expected
    assert customers(stand_in) == (1 if when == "after" else 0)
    made = stand_in.v1.customers.create({"name": "a"}, KEYED)
    assert made.id == stand_in.v1.customers.list().data[0].id
    assert customers(stand_in) == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_b17_no_answer_in_time(stand_in: StandIn, when: str) -> None:
    http = stripe.HTTPXClient(timeout=0.2)
    client = stripe.StripeClient(KEY, base_addresses={"api": stand_in.url}, http_client=http)
    stand_in.fault(kind="hang", when=when, **CREATE)
    with pytest.raises(stripe.APIConnectionError):
        await client.v1.customers.create_async({"name": "a"}, KEYED)
    assert customers(stand_in) == (1 if when == "after" else 0)
    await client.v1.customers.create_async({"name": "a"}, KEYED)
    assert customers(stand_in) == 1
    await http.close_async()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, stripe.AuthenticationError),
        (402, stripe.CardError),
        (403, stripe.PermissionError),
        (404, stripe.InvalidRequestError),
        (409, stripe.APIError),
        (429, stripe.RateLimitError),
        (500, stripe.APIError),
        (503, stripe.APIError),
    ],
)
def test_b21_statuses_come_out_as_their_errors(
    stand_in: StandIn, status: int, expected: type[stripe.StripeError]
) -> None:
    stand_in.fault(kind="status", status=status, times=2, **CREATE)
    for _ in range(2):
        with pytest.raises(expected) as caught:
            stand_in.v1.customers.create({"name": "a"}, KEYED)
        assert type(caught.value) is expected
        assert caught.value.http_status == status
    assert customers(stand_in) == 0
    stand_in.v1.customers.create({"name": "a"}, KEYED)


def test_b21_a_redirect_is_not_followed(stand_in: StandIn) -> None:
    stand_in.fault(kind="status", status=302, **CREATE)
    with pytest.raises(stripe.APIError):
        stand_in.v1.customers.create({"name": "a"})
    assert stand_in.counts() == {"POST /v1/customers": 1}
    stand_in.fault(kind="status", status=302, **CREATE)
    assert stand_in.raw("POST", "/v1/customers").headers["location"] == "/v1/redirected"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_500_that_is_saved_stays_under_its_key(stand_in: StandIn, when: str) -> None:
    stand_in.fault(kind="status", status=500, saved=True, when=when, **CREATE)
    first = stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k")
    again = stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k")
    assert (first.status_code, first.content) == (500, again.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["stripe-should-retry"] == "false"
    assert customers(stand_in) == (1 if when == "after" else 0)


def test_a_500_after_the_work_that_is_not_saved_hides_its_answer(stand_in: StandIn) -> None:
    stand_in.fault(kind="status", status=503, when="after", **CREATE)
    assert stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k").status_code == 503
    again = stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert customers(stand_in) == 1


def test_a_fault_skips_and_repeats_as_said(stand_in: StandIn) -> None:
    stand_in.fault(kind="status", status=429, skip=1, times=2, **CREATE)
    found = [stand_in.raw("POST", "/v1/customers").status_code for _ in range(5)]
    assert found == [200, 429, 429, 200, 200]
    stand_in.fault(kind="status", status=503, times=None, path="/v1/**")
    assert {stand_in.raw("GET", "/v1/events").status_code for _ in range(4)} == {503}
    assert len(stand_in.control("GET", "faults").json()["faults"]) == 1
    stand_in.control("DELETE", "faults")
    assert stand_in.raw("GET", "/v1/events").status_code == 200


def test_faults_count_apart_and_the_first_wins(stand_in: StandIn) -> None:
    stand_in.fault(kind="status", status=503, skip=1, **CREATE)
    stand_in.fault(kind="status", status=429, times=2, **CREATE)
    found = [stand_in.raw("POST", "/v1/customers").status_code for _ in range(3)]
    assert found == [429, 503, 200]


@pytest.mark.parametrize(
    ("path", "hit"),
    [
        ("/v1/customers", False),
        ("/v1/customers/*", True),
        ("/v1/*", False),
        ("/v1/**", True),
        ("/v1/customers/cus_1/*", False),
        ("/v1/customers/cus.1", False),
    ],
)
def test_a_path_names_segments(stand_in: StandIn, path: str, hit: bool) -> None:
    stand_in.fault(kind="status", status=429, path=path)
    assert stand_in.raw("GET", "/v1/customers/cus_1").status_code == (429 if hit else 404)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delay_keeps_the_answer_whole(stand_in: StandIn, when: str) -> None:
    stand_in.fault(kind="delay", seconds=0.1, when=when, **CREATE)
    began = time.monotonic()
    assert stand_in.v1.customers.create({"name": "a"}).name == "a"
    assert time.monotonic() - began >= 0.1


def test_a_fault_may_say_more_in_headers(stand_in: StandIn) -> None:
    stand_in.fault(kind="status", status=429, headers={"stripe-should-retry": "true"}, **CREATE)
    assert stand_in.raw("POST", "/v1/customers").headers["stripe-should-retry"] == "true"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "explode"},
        {"kind": "hang", "saved": True},
        {"kind": "status", "status": 200},
        {"kind": "hang", "times": 0},
        {"kind": "hang", "skip": -1},
        {"kind": "hang", "pathh": "/"},
        {},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(stand_in: StandIn, fault: dict[str, object]) -> None:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        stand_in.fault(**fault)
    assert caught.value.response.status_code == 400
    assert caught.value.response.json()["error"]


def test_requests_are_logged_with_what_became_of_them(stand_in: StandIn) -> None:
    stand_in.fault(kind="status", status=429, **CREATE)
    stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k")
    stand_in.raw("POST", "/v1/customers", "name=a", idempotency_key="k")
    stand_in.raw("GET", "/v1/customers/cus_none")
    logged = stand_in.control("GET", "requests").json()
    assert logged["counts"] == {"POST /v1/customers": 2, "GET /v1/customers/*": 1}
    assert [(each["path"], each["outcome"], each["idempotency_key"]) for each in logged["requests"]] == [
        ("/v1/customers", 429, "k"),
        ("/v1/customers", 200, "k"),
        ("/v1/customers/cus_none", 404, None),
    ]
    assert logged["requests"][0]["parameters"] == {"name": "a"}
    stand_in.control("DELETE", "requests")
    assert stand_in.counts() == {}
