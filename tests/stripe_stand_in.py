"""The adapter on the stand-in for Stripe, over HTTP, and what tests ask of the stand-in besides."""

from typing import Any

import httpx
import msgspec

from functions.billing.stripe_api import StripeApi
from functions.billing.stripe_secrets import StripeSecrets
from local.stripe.faults import Fault
from shared import config
from shared.secrets import SecretUnusable
from shared.settings import SecretRef

API_KEY = "sk_test_" + "4" * 24
WEBHOOK_SECRET = "whsec_" + "5" * 24


class Known:
    """Secrets in a dict, by name and version, to be read only; what is not in it is missing."""

    def __init__(self, values: dict[tuple[str, int], str]) -> None:
        self.values = values

    async def access(self, name: str, version: int) -> bytes:
        if (name, version) not in self.values:
            raise SecretUnusable(name, version, "missing")
        return self.values[name, version].encode()


def settings(api_base: str = "", *webhook_versions: int) -> config.Stripe:
    webhooks = tuple(SecretRef("stripe-webhook", version) for version in webhook_versions or (1,))
    return config.Stripe(SecretRef("stripe-api-key", 1), webhooks, api_base)


def secrets(api_key: str = API_KEY) -> StripeSecrets:
    known = {("stripe-api-key", 1): api_key, ("stripe-webhook", 1): WEBHOOK_SECRET}
    return StripeSecrets(settings(), Known(known))


def adapter(url: str, api_key: str = API_KEY, timeout_seconds: float = 10.0) -> StripeApi:
    return StripeApi(settings(url), secrets(api_key), timeout_seconds=timeout_seconds)


class StandIn:
    """Asked with Stripe's own API and with the stand-in's `/_control`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.AsyncClient(
            base_url=url, headers={"authorization": f"Bearer {API_KEY}"}, trust_env=False, timeout=30
        )

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self._client.get(path, params=params)
        return answer.raise_for_status().json()

    async def post(self, path: str, **fields: Any) -> Any:
        answer = await self._client.post(path, data=fields)
        return answer.raise_for_status().json()

    async def every(self, kind: str, **params: Any) -> list[Any]:
        """`invoices`, `customers`, `invoiceitems`, `charges`, `events`: newest first."""
        found: list[Any] = (await self.get(f"/v1/{kind}", limit=100, **params))["data"]
        return found

    async def give_card(self, customer_id: str, card: str = "pm_card_visa") -> None:
        """The customer's invoices are charged to this card from now on."""
        method = (await self.post(f"/v1/payment_methods/{card}/attach", customer=customer_id))["id"]
        await self.post(
            f"/v1/customers/{customer_id}", **{"invoice_settings[default_payment_method]": method}
        )

    async def fault(self, **fault: Any) -> None:
        body = msgspec.json.encode(Fault(**fault))
        (await self._client.post("/_control/faults", content=body)).raise_for_status()

    async def faults(self) -> list[Any]:
        """Those that have not hit all that they are to hit."""
        found: list[Any] = (await self.get("/_control/faults"))["faults"]
        return found

    async def no_faults(self) -> None:
        (await self._client.delete("/_control/faults")).raise_for_status()

    async def advance(self, seconds: int) -> None:
        body = msgspec.json.encode({"seconds": seconds})
        (await self._client.post("/_control/clock", content=body)).raise_for_status()

    async def counts(self) -> dict[str, int]:
        found: dict[str, int] = (await self.get("/_control/requests"))["counts"]
        return found

    async def requests(self) -> list[Any]:
        """Method, path, parameters, idempotency key and outcome of each, in their order."""
        found: list[Any] = (await self.get("/_control/requests"))["requests"]
        return found

    async def forget_requests(self) -> None:
        (await self._client.delete("/_control/requests")).raise_for_status()

    async def delete(self, path: str) -> None:
        (await self._client.delete(path)).raise_for_status()

    async def reset(self) -> None:
        (await self._client.delete("/_control/state")).raise_for_status()

    async def close(self) -> None:
        await self._client.aclose()
