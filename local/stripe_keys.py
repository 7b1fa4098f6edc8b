"""Stripe's two secrets of a local suite: the stand-in's, made here, or those of a test account."""

import secrets as random
from collections.abc import Mapping

import msgspec

from shared.secrets import Secrets

API_KEY = "stripe-api-key"
WEBHOOK_SECRET = "stripe-webhook-secret"  # noqa: S105 - a name

_TEST_KEYS = ("sk_test_", "rk_test_")


class NotATestKey(Exception):
    """Nothing that runs on one machine collects real money."""


class StripeKeys(msgspec.Struct, frozen=True):
    """`settings` name the versions to billing. `is_stand_in`: no account was given."""

    api_key: str
    webhook_secret: str
    settings: dict[str, str]
    is_stand_in: bool


async def ensure(secrets: Secrets, environ: Mapping[str, str]) -> StripeKeys:
    """Puts them into the suite's secret store, where they are not in there yet.

    `STRIPE_API_KEY` of a test account means Stripe itself; `STRIPE_WEBHOOK_SECRET` is then what
    `stripe listen --print-secret` says. Raises `NotATestKey` for the key of a live account.
    """
    given = environ.get("STRIPE_API_KEY", "").strip()
    if given and not given.startswith(_TEST_KEYS):
        raise NotATestKey("STRIPE_API_KEY is not the key of a test account (sk_test_… or rk_test_…)")
    api_key, api_version = await _ensured(secrets, API_KEY, given, "sk_test_")
    given_secret = environ.get("STRIPE_WEBHOOK_SECRET", "").strip() if given else ""
    webhook_secret, webhook_version = await _ensured(secrets, WEBHOOK_SECRET, given_secret, "whsec_")
    settings = {
        "STRIPE_API_KEY_SECRET": f"{API_KEY}/{api_version}",
        "STRIPE_WEBHOOK_SECRETS": f"{WEBHOOK_SECRET}/{webhook_version}",
    }
    return StripeKeys(api_key, webhook_secret, settings, is_stand_in=not given)


async def _ensured(secrets: Secrets, name: str, given: str, prefix: str) -> tuple[str, int]:
    """The value and the number of its version: what is given, or what is kept, or a new one."""
    versions = [version for version in await secrets.versions(name) if version.state == "enabled"]
    if versions:
        kept = (await secrets.access(name, versions[0].number)).decode()
        if given in ("", kept):
            return kept, versions[0].number
    value = given or prefix + random.token_hex(24)
    return value, await secrets.add(name, value.encode())
