"""Stripe's secrets: which can be used, and what is said of those that cannot."""

import json
import logging

import pytest

from functions.billing.stripe_secrets import StripeSecrets
from shared.errors import Unavailable
from shared.secrets import SecretUnusable
from tests.stripe_stand_in import API_KEY, Known, settings
from tests.unit.billing.collecting import Endpoint, closed, collect
from tests.unit.billing.scripted_stripe import ScriptedStripe
from tests.unit.billing.world import World

pytestmark = pytest.mark.anyio

OLD, NEW = "whsec_" + "1" * 24, "whsec_" + "2" * 24


def known(api_key: str = API_KEY, **webhooks: str) -> StripeSecrets:
    """`v1="…"`: version 1 of the webhook secret, which is one of versions 1 and 2."""
    values = {("stripe-webhook", int(name[1:])): value for name, value in webhooks.items()}
    return StripeSecrets(settings("", 1, 2), Known({("stripe-api-key", 1): api_key, **values}))


async def posted(world: World, secrets: StripeSecrets, signed_with: str) -> int:
    stripe = ScriptedStripe()
    acme = World(world.store, now=world.now, stripe=stripe, secrets=secrets)
    invoice_id = await closed(acme)
    await collect(acme, invoice_id)
    endpoint = Endpoint(acme, stripe, invoice_id)
    body = json.dumps(endpoint.event()).encode()
    return (await endpoint.post(body, endpoint.signed(body, signed_with))).status


@pytest.mark.parametrize(("secret", "status"), [(OLD, 200), (NEW, 200), ("whsec_" + "3" * 24, 400)])
async def test_while_a_webhook_secret_is_rotated_both_are_accepted(
    world: World, secret: str, status: int
) -> None:
    """S7, B28"""
    assert await posted(world, known(v1=OLD, v2=NEW), secret) == status


@pytest.mark.parametrize("gone", [None, "", " \n", "whsec_é"])
async def test_one_secret_that_cannot_be_used_leaves_the_other(world: World, gone: str | None) -> None:
    """S7: the old one is destroyed first, or the new one not there yet."""
    secrets = known(v2=NEW) if gone is None else known(v1=gone, v2=NEW)
    assert await posted(world, secrets, NEW) == 200


@pytest.mark.parametrize("blank", ["", " ", "\n", "\t "])
async def test_a_blank_secret_signs_nothing(world: World, blank: str) -> None:
    """B27: everybody knows it."""
    assert await posted(world, known(v1=blank, v2=NEW), blank) == 400


async def test_where_no_secret_can_be_used_stripe_is_asked_to_come_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """S1: named, not shown."""
    assert await posted(world, known(v1=" "), NEW) == 503
    assert "stripe-webhook version 1" in caplog.text
    assert "stripe-webhook version 2" in caplog.text


async def test_a_secret_that_cannot_be_used_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """S7: anybody can have the webhook secrets asked for; told again once it has been usable."""
    caplog.set_level(logging.WARNING)
    held = Known({("stripe-webhook", 2): NEW})
    secrets = StripeSecrets(settings("", 1, 2), held)
    for told in (1, 2):
        for _ in range(3):
            assert await secrets.webhook_secrets() == [NEW]
        assert [record.levelname for record in caplog.records] == ["ERROR"] * told
        held.values["stripe-webhook", 1] = OLD
        assert await secrets.webhook_secrets() == [OLD, NEW]
        del held.values["stripe-webhook", 1]


async def test_where_no_secret_can_be_used_that_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """S7"""
    caplog.set_level(logging.ERROR)
    secrets = known(v1=" ")
    for _ in range(3):
        with pytest.raises(Unavailable):
            await secrets.webhook_secrets()
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("key", "is_live"),
    [("sk_test_1", False), ("rk_test_1", False), ("sk_live_1", True), ("rk_live_1\n", True)],
)
async def test_the_keys_prefix_says_whether_money_moves(key: str, is_live: bool) -> None:
    secrets = known(key)
    assert await secrets.is_live() is is_live
    assert await secrets.api_key() == key.strip()


@pytest.mark.parametrize(
    "key", ["pk_test_1", "whsec_1", "sk_test", "", "sk_test_1 2", "sk_test_\n1", "sk_test_é"]
)
async def test_what_is_no_secret_key_is_refused_by_name(key: str) -> None:
    """S1: nothing of it is shown, and no header is made of it."""
    with pytest.raises(SecretUnusable, match="secret stripe-api-key version 1 is ") as refused:
        await known(key).api_key()
    assert not key.strip() or key not in str(refused.value)
