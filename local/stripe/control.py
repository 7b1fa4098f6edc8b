"""The stand-in's own endpoints, below /_control/, where Stripe has none. Bodies are JSON.

GET    /health                       200 as soon as it serves
POST   /_control/faults              a `Fault` to come; GET lists those that wait, DELETE drops them
GET    /_control/requests            {"counts": {"POST /v1/invoices/*/pay": 1}, "requests": [`Logged`]};
                                     DELETE begins anew
POST   /_control/clock               {"seconds": 90000} sets the account's clock ahead; GET says what it is
PUT    /_control/webhooks            `Behaviour`; GET says it, with what is still to be delivered
POST   /_control/events/ID/deliver   sends that event now, again if need be: {"status": 200}
PUT    /_control/secrets             `Secrets` from now on
DELETE /_control/state               forgets everything
"""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.stripe import invoice_states
from local.stripe.account import Account
from local.stripe.api import Api
from local.stripe.faults import Fault
from local.stripe.webhooks import Behaviour, Webhooks

T = TypeVar("T")


class Advance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the account's clock is set ahead."""

    seconds: Annotated[int, Meta(ge=0, le=10 * 366 * 86_400)]


class Secrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The API key that is accepted, and what webhooks are signed with."""

    api_key: Annotated[str, Meta(pattern=r"^(sk|rk)_test_.{4,200}$")]
    webhook_secrets: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(min_length=1)]


class Control:
    """Changes how the stand-in behaves. Bodies are JSON; what they may hold is in the structs named."""

    def __init__(self, account: Account, api: Api, webhooks: Webhooks) -> None:
        self._account = account
        self._api = api
        self._webhooks = webhooks

    @property
    def routes(self) -> Sequence[Route]:
        return [
            Route("/health", self._health, methods=["GET"]),
            Route("/_control/faults", self._faults, methods=["GET", "POST", "DELETE"]),
            Route("/_control/requests", self._requests, methods=["GET", "DELETE"]),
            Route("/_control/clock", self._clock, methods=["GET", "POST"]),
            Route("/_control/webhooks", self._behaviour, methods=["GET", "PUT"]),
            Route("/_control/secrets", self._secrets, methods=["PUT"]),
            Route("/_control/events/{event}/deliver", self._deliver, methods=["POST"]),
            Route("/_control/state", self._state, methods=["DELETE"]),
        ]

    def advance(self) -> None:
        """Does what automatic collection has to do by now."""
        with self._account.storage.transaction():
            advanced = invoice_states.advance(self._account)
        if advanced:
            self._webhooks.wake()

    async def _health(self, request: Request) -> Response:
        return _json({"status": "ok"})

    async def _faults(self, request: Request) -> Response:
        """`Fault` to add; the list of those that still wait."""
        if request.method == "POST":
            self._api.faults.add(await _read(request, Fault))
        elif request.method == "DELETE":
            self._api.faults.clear()
        return _json({"faults": self._api.faults.waiting})

    async def _requests(self, request: Request) -> Response:
        """The requests to the API in their order, and how many of each kind."""
        if request.method == "DELETE":
            self._api.log.clear()
        return _json({"counts": self._api.log.counts, "requests": list(self._api.log.requests)})

    async def _clock(self, request: Request) -> Response:
        if request.method == "POST":
            self._account.advance((await _read(request, Advance)).seconds)
            self.advance()
        return _json({"now": self._account.now()})

    async def _behaviour(self, request: Request) -> Response:
        """`Behaviour` to follow; with what is still to be delivered."""
        if request.method == "PUT":
            self._webhooks.behave(await _read(request, Behaviour))
        return _json({"behaviour": self._webhooks.behaviour, "pending": self._webhooks.pending()})

    async def _secrets(self, request: Request) -> Response:
        """`Secrets` from now on."""
        secrets = await _read(request, Secrets)
        self._api.key = secrets.api_key
        self._webhooks.endpoint = msgspec.structs.replace(
            self._webhooks.endpoint, secrets=secrets.webhook_secrets
        )
        return Response(status_code=204)

    async def _deliver(self, request: Request) -> Response:
        """Sends one event now, once more if it has been sent; `status` 0: the endpoint did not answer."""
        event = self._account.find("event", request.path_params["event"])
        if event is None:
            return _json({"error": "there is no such event"}, 404)
        return _json({"status": await self._webhooks.deliver(event)})

    async def _state(self, request: Request) -> Response:
        """Forgets everything, faults and behaviour too."""
        self._account.storage.clear()
        self._api.faults.clear()
        self._api.log.clear()
        self._webhooks.behave(Behaviour())
        return Response(status_code=204)


async def refused(request: Request, error: Exception) -> Response:
    """400 for a body that is not what the endpoint takes."""
    return _json({"error": str(error)}, 400)


async def _read(request: Request, kind: type[T]) -> T:
    return msgspec.json.decode(await request.body(), type=kind)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
