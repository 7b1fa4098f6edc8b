"""Idempotency-Key through the gateway: over processes, over a crash."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from shared.ids import new_id
from tests import customers
from tests.loopback import NO_CERTIFICATES
from tests.suite import Suite, until

MACHINE = {"name": "nightly export", "scopes": ["usage:read"]}


def post(suite: Suite, path: str, body: dict[str, Any], key: str, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    url = f"{suite.gateway}{path}"
    return httpx.post(url, json=body, headers=headers, timeout=30, trust_env=False, verify=NO_CERTIFICATES)


def order(slug: str) -> dict[str, Any]:
    return {"slug": slug, "name": slug, "tier": "basic", "owner_email": f"owner@{slug}.example"}


def new_slug() -> str:
    return new_id("i")[:20].replace("_", "-")


def test_a_secret_is_shown_once_and_the_repeat_says_so(suite: Suite) -> None:
    """G1."""
    token, key = customers.take_on(suite).access_token, new_id("key")
    first = post(suite, "/v1/service-accounts", MACHINE, key, token)
    again = post(suite, "/v1/service-accounts", MACHINE, f'"{key}"', token)

    assert first.status_code == again.status_code == 201, first.text + again.text
    assert again.headers["idempotency-replayed"] == "true"
    made, repeated = first.json(), again.json()
    assert made.pop("client_secret")
    assert "new Idempotency-Key" in repeated.pop("notice")
    assert repeated == made


def test_a_wrong_key_and_another_payload_are_refused(suite: Suite) -> None:
    token, key = suite.operator_token(), new_id("key")
    malformed = post(suite, "/v1/tenants", order(new_slug()), "a, b", token)
    assert (malformed.status_code, malformed.json()["code"]) == (400, "invalid_idempotency_key")
    assert post(suite, "/v1/tenants", order(new_slug()), key, token).status_code == 201
    reused = post(suite, "/v1/tenants", order(new_slug()), key, token)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")


def test_of_64_orders_at_once_one_is_carried_out(suite: Suite) -> None:
    token, key, slug = suite.operator_token(), new_id("key"), new_slug()
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: post(suite, "/v1/tenants", order(slug), key, token), range(64)))
    made = [answer for answer in answers if answer.status_code == 201]
    others = {(answer.status_code, answer.json()["code"]) for answer in answers if answer not in made}
    assert others <= {(409, "idempotency_key_in_use")}
    assert len({answer.content for answer in made}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in made) == 1
    assert [tenant["slug"] for tenant in customers.tenants(suite)].count(slug) == 1


def test_an_order_survives_the_death_of_the_function_that_took_it(suite: Suite) -> None:
    """G6: killed while orders come in; whoever asks again with the key gets the one customer."""
    token, key, slug = suite.operator_token(), new_id("key"), new_slug()
    seen: list[httpx.Response] = []

    def settled() -> bool:
        seen.append(post(suite, "/v1/tenants", order(slug), key, token))
        return seen[-1].status_code == 201

    with ThreadPoolExecutor(4) as threads:
        early = [threads.submit(post, suite, "/v1/tenants", order(slug), key, token) for _ in range(4)]
        killed = suite.kill("tenants")
        until(settled, "an answer", 30)
    suite.wait_restarted("tenants", killed)

    assert {answer.status_code for answer in seen[:-1]} <= {409, 502, 503, 504}
    ids = {each.result().json()["id"] for each in early if each.result().status_code == 201}
    assert ids <= {seen[-1].json()["id"]}
    assert [tenant["slug"] for tenant in customers.tenants(suite)].count(slug) == 1
