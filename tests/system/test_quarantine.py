"""Through the whole suite: a dead letter comes to operators and goes back; metrics; no secret in a log."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import set_aside
from shared.bus import Message
from shared.ids import new_id
from tests import customers
from tests.customers import Customer
from tests.loopback import NO_CERTIFICATES
from tests.suite import Suite, until

SECONDS = 30.0


@pytest.fixture(scope="module")
def customer(suite: Suite) -> Customer:
    return customers.take_on(suite)


def as_operator(suite: Suite, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {suite.operator_token()}"}
    url = f"{suite.gateway}{path}"
    return httpx.request(method, url, headers=headers, timeout=30, verify=NO_CERTIFICATES, **more)


def shelved(suite: Suite, query: str) -> list[dict[str, Any]]:
    answer = as_operator(suite, "GET", f"/v1/quarantine?limit=100&{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


@contextmanager
def no_mailbox(suite: Suite) -> Iterator[None]:
    """A file stands where mails should go."""
    mailbox, aside = suite.data_dir / "mailbox", suite.data_dir / "mailbox.aside"
    mailbox.rename(aside)
    mailbox.write_text("")
    try:
        yield
    finally:
        mailbox.unlink()
        aside.rename(mailbox)


def test_what_failed_five_times_is_sent_again_by_an_operator_once(
    suite: Suite, customer: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    """P15: poison, dead letter, shelf, replay, one effect."""
    address = f"{new_id('somebody')}@{customer.slug}.example"
    mine = f"tenant_id={customer.tenant_id}&reason=dead_lettered"
    with no_mailbox(suite):
        headers = {"authorization": f"Bearer {customer.access_token}"}
        invited = {"email": address, "role": "member"}
        answer = httpx.post(f"{suite.gateway}/v1/invitations", json=invited, headers=headers, timeout=30)
        assert answer.status_code == 201, answer.text
        until(lambda: bool(shelved(suite, mine)), "the dead letter on the shelf", SECONDS)
    (letter,) = shelved(suite, mine)
    assert (letter["function"], letter["topic"], letter["attempts"]) == ("auth", "auth-events", 5)
    assert letter["event_type"] == "ai.energent.mail.requested.v1"
    assert letter["subscription"].endswith("/subscriptions/auth-events-push")
    assert customers.mails_to(suite, address) == []

    in_folder = ["--data-dir", str(suite.data_dir)]
    assert set_aside.main([*in_folder, "replay", letter["id"]]) == 0
    until(lambda: bool(customers.mails_to(suite, address)), f"a mail to {address}", SECONDS)
    assert set_aside.main([*in_folder, "replay", letter["id"]]) == 1
    assert "no such message" in capsys.readouterr().err
    suite.wait_drained()
    assert len(customers.mails_to(suite, address)) == 1
    assert shelved(suite, mine) == []


def test_what_can_never_succeed_comes_back_to_the_shelf_until_it_is_dismissed(suite: Suite) -> None:
    data = f'{{"no": "event {new_id("x")}"}}'.encode()
    since = f"since={time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() - 1))}&function=billing"
    suite.publish("billing-events", [Message(data)])
    until(lambda: bool(shelved(suite, since)), "the message on the shelf", SECONDS)
    (first,) = shelved(suite, since)
    told = as_operator(suite, "POST", "/v1/quarantine/replay", json={"reason": first["reason"], "all": False})
    assert told.status_code == 200, told.text
    assert told.json()["replayed"] >= 1
    suite.wait_drained()
    until(lambda: bool(shelved(suite, since)), "the message on the shelf again", SECONDS)
    (again,) = shelved(suite, since)
    assert again["id"] != first["id"]
    assert as_operator(suite, "DELETE", f"/v1/quarantine/{again['id']}").status_code == 204
    assert as_operator(suite, "GET", f"/v1/quarantine/{again['id']}").status_code == 404


def test_nobody_else_gets_to_the_shelf_or_the_metrics(suite: Suite, customer: Customer) -> None:
    owner = {"authorization": f"Bearer {customer.access_token}"}
    for path in ("/v1/quarantine", "/v1/quarantine/qrn_1", "/metrics"):
        assert httpx.get(f"{suite.gateway}{path}").status_code == 401
        assert httpx.get(f"{suite.gateway}{path}", headers=owner).status_code == 403


def test_every_function_shows_its_own_metrics_to_operators_and_the_gateway_those_of_auth(
    suite: Suite,
) -> None:
    headers = {"authorization": f"Bearer {suite.operator_token()}"}
    for name, url in [
        ("auth", suite.gateway),
        *((each, suite.url(each)) for each in ("auth", "billing", "tenants")),
    ]:
        answer = httpx.get(f"{url}/metrics", headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (
            200,
            "text/plain; version=0.0.4; charset=utf-8",
        )
        assert f'energent_build_info{{function="{name}",version="local"}} 1.0' in answer.text
        for metric in ("energent_outbox_swept_total", "energent_store_call_duration_seconds_count"):
            assert metric in answer.text


def test_no_secret_is_in_a_line_that_a_function_wrote(suite: Suite, customer: Customer) -> None:
    """G1: whatever the tests before this one did."""
    logs = "".join(
        (suite.data_dir / "logs" / f"{name}.log").read_text() for name in ("auth", "billing", "tenants")
    )
    assert "POST /oauth2/token 200" in logs
    known = (
        suite.operator.client_secret,
        customers.PASSWORD,
        customer.access_token.rpartition(".")[2],
        customer.refresh_token,
        *_private_lines(suite.data_dir / "secrets"),
    )
    assert [secret for secret in known if secret in logs] == []
    assert (
        re.findall(r"eyJ[\w-]{8,}|(?:rt1|inv1|whsec|sk_test|sk_live)_\w+|[\w.]+@[\w-]+\.example", logs) == []
    )


def _private_lines(folder: Path) -> list[str]:
    return [
        part
        for path in folder.rglob("[0-9]*")
        for part in re.findall(r"[A-Za-z0-9+/]{40,}", path.read_text())
    ]
