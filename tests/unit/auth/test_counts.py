"""What `/metrics` tells of auth: what an operator would be woken for, and nobody's name."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from functions.auth.factors.factor_proofs import Answer
from functions.auth.guessing.throttle import PER_ADDRESS
from functions.auth.sign_in.passwords import Passwords
from shared.errors import Error
from shared.metrics import Metrics
from tests.authenticator import Authenticator
from tests.unit.auth.applications import basic, machine
from tests.unit.auth.cheap_sign_in import CheapSignIn
from tests.unit.auth.second_factor import SOURCE, assertion, loaded, person
from tests.unit.auth.suite import ACME, OWNER, Suite
from tests.unit.auth.test_api_keys import forged, make, use

pytestmark = pytest.mark.anyio


def told(suite: Suite, name: str) -> dict[tuple[str, ...], float]:
    """By the values of the labels, as a Prometheus server reads them."""
    metrics = Metrics("auth", "r-1")
    metrics.watch(suite.do)
    families = text_string_to_metric_families(metrics.text().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in samples}


async def fails(asked: Awaitable[Any]) -> None:
    with suppress(Error):
        await asked
        raise AssertionError("it did not fail")


async def test_sign_ins_are_counted_by_factor_and_result(suite: Suite) -> None:
    """L5: also those that are turned away unseen."""
    ada, authenticator = await person(suite), Authenticator()
    await ada.enrol_passkey(authenticator)
    challenge = await ada.challenge()
    await fails(ada.finish(challenge, totp="123456"))
    await ada.finish(challenge, passkey=assertion(authenticator.get(loaded(challenge.passkey))))
    await fails(suite.do.second_factors.answer("junk", Answer(totp="123456"), SOURCE))
    options = loaded(await suite.do.passkey_sign_in.options("acme"))
    await suite.do.passkey_sign_in.login("acme", assertion(authenticator.get(options)), SOURCE)
    await fails(suite.do.passkey_sign_in.login("acme", assertion(authenticator.get(options)), SOURCE))
    for _ in range(PER_ADDRESS.burst + 2):
        await fails(suite.sign_in.login("nobody", OWNER, "wrong horse battery staple", SOURCE))
    assert told(suite, "energent_sign_ins_total") == {
        ("password", "ok"): 2,
        ("password", "invalid_credentials"): PER_ADDRESS.burst,
        ("password", "too_many_tries"): 2,
        ("second_factor", "ok"): 1,
        ("second_factor", "second_factor_refused"): 2,
        ("passkey", "ok"): 1,
        ("passkey", "invalid_credentials"): 1,
    }


async def test_tokens_are_counted_by_grant_and_result(suite: Suite) -> None:
    """A grant type that somebody made up has no series of its own."""
    client = await machine(suite, "usage:read")
    grant = {"grant_type": "client_credentials"}
    await suite.endpoint.answer(grant, client.basic, "req_1")
    await fails(suite.endpoint.answer(grant, basic(client.id, "guess"), "req_1"))
    await fails(suite.endpoint.answer(grant | {"scope": "users:write"}, client.basic, "req_1"))
    await fails(suite.endpoint.answer({"grant_type": "made-up"}, client.basic, "req_1"))
    await fails(suite.endpoint.answer({}, client.basic, "req_1"))
    assert told(suite, "energent_token_requests_total") == {
        ("client_credentials", "ok"): 1,
        ("client_credentials", "invalid_client"): 1,
        ("client_credentials", "invalid_scope"): 1,
    }


async def test_keys_are_counted_by_result(suite: Suite) -> None:
    made = await make(suite)
    await use(suite, made.text)
    await fails(use(suite, forged(made.text, secret="0" * 22)))
    await suite.set_status("suspended")
    await fails(use(suite, made.text))
    assert told(suite, "energent_api_key_exchanges_total") == {
        ("ok",): 1,
        ("invalid_api_key",): 1,
        ("tenant_suspended",): 1,
    }


async def test_refresh_tokens_that_come_again_are_told_from_those_that_come_too_late(suite: Suite) -> None:
    """R4, R5"""
    cheap = CheapSignIn(suite)
    await cheap.add_user()
    first = (await cheap.right()).tokens
    second = await suite.refresh(first.refresh_token)
    await suite.refresh(first.refresh_token)
    await suite.refresh(second.refresh_token)
    suite.clock.move(31)
    await fails(suite.refresh(first.refresh_token))
    await fails(suite.refresh(first.refresh_token))
    cheap.passwords.close()
    assert told(suite, "energent_refreshes_total") == {("rotated",): 2, ("repeated",): 1, ("reused",): 1}


async def test_hashes_that_were_shed_are_counted() -> None:
    passwords = Passwords(workers=1, waiting=1)
    await asyncio.gather(*(passwords.verify(None, "x") for _ in range(5)), return_exceptions=True)
    passwords.close()
    (shed,) = passwords.readings()
    assert (shed.name, shed.value, shed.counts) == ("energent_password_hashes_shed", 3, True)


async def test_the_age_of_keys_is_told_by_ring_and_state(suite: Suite) -> None:
    """One that signs for longer than its ring's pace, or stays pending, is a rotation that does not work."""
    suite.clock.move(90 * 86_400)
    await suite.do.key_rotation.sweep()
    suite.clock.move(60)
    await suite.do.keys.current()
    ages = told(suite, "energent_key_age_seconds")
    assert ages["signing", "active"] == 90 * 86_400 + 60
    assert ages["signing", "pending"] == 60
    assert {ring for ring, _ in ages} == {"signing", "refresh", "link", "api-key", "factor"}
    assert {state for _, state in ages} == {"active", "pending"}


async def test_no_label_names_anybody(suite: Suite) -> None:
    client = await machine(suite, "usage:read")
    await fails(suite.endpoint.answer({"grant_type": "client_credentials"}, basic(client.id, "x"), "req_1"))
    await fails(suite.sign_in.login("acme", OWNER, "wrong horse battery staple", SOURCE))
    metrics = Metrics("auth", "r-1")
    metrics.watch(suite.do)
    text = metrics.text().decode()
    for name in (ACME, "acme", client.client.id, OWNER, SOURCE.ip):
        assert name not in text
