"""A customer made through the gateway, for tests that need one."""

import contextlib
import email
import email.policy
import re
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import httpx
import msgspec

from shared.ids import new_id
from tests.loopback import NO_CERTIFICATES
from tests.suite import Suite, until

PASSWORD = "correct horse battery staple"
SECONDS = 60.0


class Customer(msgspec.Struct, frozen=True):
    """An active tenant whose owner is signed in."""

    tenant_id: str
    slug: str
    user_id: str
    access_token: str
    refresh_token: str


def take_on(suite: Suite, *, tier: str = "standard", contract_start: date | None = None) -> Customer:
    """A new tenant through its whole beginning. Repeats what an outage interrupts."""
    slug = new_id("t")[:20].replace("_", "-")
    tenant_id = create(suite, slug, tier=tier, contract_start=contract_start)
    wait_active(suite, tenant_id)
    token = invitation_token(suite, f"owner@{slug}.example")
    accept = {"token": token, "password": PASSWORD, "name": "Owner"}
    user = _done(lambda: _post(suite, "/v1/auth/invitations/accept", accept), 201)
    return sign_in(suite, slug, tenant_id, user["id"])


def sign_in(suite: Suite, slug: str, tenant_id: str, user_id: str) -> Customer:
    login = {"tenant": slug, "email": f"owner@{slug}.example", "password": PASSWORD}
    tokens = _done(lambda: _post(suite, "/v1/auth/login", login), 200)
    return Customer(tenant_id, slug, user_id, tokens["access_token"], tokens["refresh_token"])


def create(suite: Suite, slug: str, *, tier: str = "standard", contract_start: date | None = None) -> str:
    """Asks for the tenant until it is there; a lost answer shows as `slug_taken` the second time."""
    order = {"slug": slug, "name": slug.title(), "tier": tier, "owner_email": f"owner@{slug}.example"}
    if contract_start is not None:
        order["contract_start"] = contract_start.isoformat()
    token = suite.operator_token()
    answer = _settled(lambda: _post(suite, "/v1/tenants", order, token))
    if answer.status_code == 409:
        return next(str(tenant["id"]) for tenant in tenants(suite) if tenant["slug"] == slug)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def tenants(suite: Suite) -> list[dict[str, Any]]:
    """All of them, over every page."""
    headers = {"authorization": f"Bearer {suite.operator_token()}"}
    found: list[dict[str, Any]] = []
    params: dict[str, str] = {"limit": "100"}
    while True:
        page = _done(partial(httpx.get, f"{suite.gateway}/v1/tenants", headers=headers, params=params), 200)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        params = {"limit": "100", "cursor": page["next_cursor"]}


def wait_active(suite: Suite, tenant_id: str) -> None:
    headers = {"authorization": f"Bearer {suite.operator_token()}"}

    def active() -> bool:
        url = f"{suite.gateway}/v1/tenants/{tenant_id}"
        answer = _settled(lambda: httpx.get(url, headers=headers, verify=NO_CERTIFICATES))
        return bool(answer.json().get("status") == "active")

    until(active, f"{tenant_id} to be active", SECONDS)


def mails_to(suite: Suite, address: str) -> list[str]:
    """The text of every mail in the mailbox to somebody."""
    texts = []
    for path in (suite.data_dir / "mailbox").glob("*.eml"):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        body = message.get_body(("plain",))
        if address in str(message["to"]) and body is not None:
            texts.append(str(body.get_content()))
    return texts


def invitation_token(suite: Suite, address: str) -> str:
    until(lambda: bool(mails_to(suite, address)), f"a mail to {address}", SECONDS)
    found = re.search(r"token=([A-Za-z0-9_.-]+)", mails_to(suite, address)[0])
    assert found is not None
    return found.group(1)


def _post(suite: Suite, path: str, body: dict[str, str], token: str | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    url = f"{suite.gateway}{path}"
    return httpx.post(url, json=body, headers=headers, timeout=30, verify=NO_CERTIFICATES)


def _done(call: Callable[[], httpx.Response], status: int) -> Any:
    answer = _settled(call)
    assert answer.status_code == status, answer.text
    return answer.json()


def _settled(call: Callable[[], httpx.Response]) -> httpx.Response:
    """The first answer that is no outage."""
    deadline = time.monotonic() + SECONDS
    while True:
        with contextlib.suppress(httpx.TransportError):
            answer = call()
            if answer.status_code not in (502, 503, 504):
                return answer
        assert time.monotonic() < deadline, "no answer but outages"
        time.sleep(0.1)
