"""The secrets that a local suite has for Stripe."""

from pathlib import Path

import pytest

from local import stripe_keys
from local.stripe_keys import NotATestKey
from shared.ids import utc_now
from shared.secrets.files import FileSecrets

pytestmark = pytest.mark.anyio

A_TEST_KEY = "rk_" + "test_" + "given"


@pytest.fixture
def secrets(tmp_path: Path) -> FileSecrets:
    return FileSecrets(tmp_path, utc_now)


async def test_a_stand_in_gets_secrets_that_stay_the_same_at_the_next_start(secrets: FileSecrets) -> None:
    first = await stripe_keys.ensure(secrets, {})
    assert first.is_stand_in
    assert first.settings == {
        "STRIPE_API_KEY_SECRET": "stripe-api-key/1",
        "STRIPE_WEBHOOK_SECRETS": "stripe-webhook-secret/1",
    }
    assert (await secrets.access("stripe-api-key", 1)).decode() == first.api_key
    assert await stripe_keys.ensure(secrets, {}) == first


async def test_the_key_of_a_test_account_becomes_a_new_version(secrets: FileSecrets) -> None:
    await stripe_keys.ensure(secrets, {})
    given = await stripe_keys.ensure(secrets, {"STRIPE_API_KEY": A_TEST_KEY, "STRIPE_WEBHOOK_SECRET": "w"})
    assert not given.is_stand_in
    assert (given.api_key, given.webhook_secret) == (A_TEST_KEY, "w")
    assert given.settings["STRIPE_API_KEY_SECRET"] == "stripe-api-key/2"
    assert given.settings["STRIPE_WEBHOOK_SECRETS"] == "stripe-webhook-secret/2"


async def test_a_live_key_is_refused_and_not_repeated(secrets: FileSecrets) -> None:
    with pytest.raises(NotATestKey) as refused:
        await stripe_keys.ensure(secrets, {"STRIPE_API_KEY": "sk_" + "live_" + "given"})
    assert "given" not in str(refused.value)
    assert await secrets.versions("stripe-api-key") == []
