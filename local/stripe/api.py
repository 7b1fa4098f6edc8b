"""A request from its arrival to its answer: API key, form, idempotency key, endpoint; and its faults."""

import asyncio
import base64
import binascii
import hmac
import logging
from collections import Counter, deque
from typing import Any

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp

from local.stripe import answers, endpoints, form
from local.stripe.account import Account, Request, random_text
from local.stripe.endpoints import Endpoint
from local.stripe.errors import ApiError, CardDeclined
from local.stripe.expansion import expanded
from local.stripe.faults import Fault, Faults
from local.stripe.idempotency import Answer, IdempotencyKeys
from local.stripe.webhooks import Webhooks

MAX_LOGGED = 10_000

_log = logging.getLogger(__name__)


class Logged(msgspec.Struct):
    """A request as it came. `outcome`: its status, the fault that spoiled its answer, or None so far."""

    request_id: str
    method: str
    path: str
    parameters: dict[str, str]
    idempotency_key: str | None
    outcome: int | str | None = None


class RequestLog:
    """The last requests, and how many there were of each kind since it was cleared."""

    def __init__(self) -> None:
        self.requests: deque[Logged] = deque(maxlen=MAX_LOGGED)
        self.counts: Counter[str] = Counter()

    def add(self, request: Logged) -> None:
        self.requests.append(request)
        self.counts[f"{request.method} {_pattern(request.method, request.path)}"] += 1

    def clear(self) -> None:
        self.requests.clear()
        self.counts.clear()


class Api:
    """Everything below /v1/. `key`: the secret API key that is accepted."""

    def __init__(self, account: Account, webhooks: Webhooks, key: str) -> None:
        self.key = key
        self.faults = Faults()
        self.log = RequestLog()
        self._account = account
        self._webhooks = webhooks
        self._keys = IdempotencyKeys(account)

    async def answer(self, http: HttpRequest) -> ASGIApp:
        """The response, whole or broken as a fault wants it."""
        raw = await http.body() if http.method == "POST" else http.url.query.encode()
        key = http.headers.get("idempotency-key") if http.method == "POST" else None
        logged = Logged(f"req_{random_text(14)}", http.method, http.url.path, _readable(raw), key)
        self.log.add(logged)
        fault = self.faults.hit(http.method, http.url.path)
        if fault is not None and fault.when == "before" and fault.kind != "delay" and not fault.saved:
            return self._sent(answers.of_fault(fault, logged.request_id), logged, fault, None)
        try:
            self._authenticate(http)
            answer = await self._once(http, raw, logged, fault)
        except ApiError as error:
            content = answers.body(error.body)
            answer = Answer(error.status, content, logged.request_id, logged.request_id)
            key = None
        self._webhooks.wake()
        return self._sent(answer, logged, fault, key)

    def _sent(self, answer: Answer, logged: Logged, fault: Fault | None, key: str | None) -> ASGIApp:
        logged.outcome = answer.status
        more: dict[str, str] = {}
        if fault is not None and fault.kind == "status":
            answer = answer if fault.saved else answers.of_fault(fault, logged.request_id)
            logged.outcome = answer.status
            key = key if fault.saved else None
            more = {"location": "/v1/redirected"} if fault.status < 400 else {}
            more |= fault.headers
        elif fault is not None and fault.kind != "delay":
            logged.outcome = fault.kind
        _log.info("%s %s %s %s", logged.request_id, logged.method, logged.path, logged.outcome)
        response = answers.whole(answer, self._account.api_version, key, more)
        return response if fault is None else answers.broken(fault, response)

    async def _once(self, http: HttpRequest, raw: bytes, logged: Logged, fault: Fault | None) -> Answer:
        """The answer kept under the request's key, or the one that its endpoint gives now."""
        fields = _fields(http, raw)
        endpoint, ids = endpoints.find(http.method, http.url.path)
        key, place = logged.idempotency_key, f"{http.method} {http.url.path}"
        told = repr(sorted(fields))
        kept = None if key is None else self._keys.begin(key, place, told, logged.request_id)
        if kept is not None:
            return kept
        try:
            if fault is not None and fault.kind == "delay" and fault.when == "before":
                await asyncio.sleep(fault.seconds)
            answer = self._executed(endpoint, ids, fields, logged, place, told, fault)
            if fault is not None and fault.kind == "delay" and fault.when == "after":
                await asyncio.sleep(fault.seconds)
        finally:
            if key is not None:
                self._keys.end(key)
        return answer

    def _executed(
        self,
        endpoint: Endpoint,
        ids: tuple[str, ...],
        fields: list[tuple[str, str]],
        logged: Logged,
        place: str,
        told: str,
        fault: Fault | None,
    ) -> Answer:
        saved = None if fault is None or not fault.saved else answers.of_fault(fault, logged.request_id)
        with self._account.storage.transaction():
            if saved is not None and fault is not None and fault.when == "before":
                answer, executed = saved, True
            else:
                answer, executed = self._worked(endpoint, ids, fields, logged)
                answer = saved or answer
            if executed and logged.idempotency_key is not None:
                self._keys.keep(logged.idempotency_key, place, told, answer)
        return answer

    def _worked(
        self, endpoint: Endpoint, ids: tuple[str, ...], fields: list[tuple[str, str]], logged: Logged
    ) -> tuple[Answer, bool]:
        """What the endpoint answers, and whether it had begun its work."""
        account = self._account
        account.request = Request(logged.request_id, logged.idempotency_key)
        status, executed = 200, True
        try:
            with account.storage.undone_by(ApiError, but=CardDeclined):
                params = endpoint.checked(form.nested(fields))
                done = endpoint.work(account, *ids, params)
                value: Any = expanded(account, done, params.get("expand", []))
        except ApiError as error:
            status, value, executed = error.status, error.body, error.executed
        finally:
            account.request = Request()
        return Answer(status, answers.body(value), logged.request_id, logged.request_id), executed

    def _authenticate(self, http: HttpRequest) -> None:
        given = _api_key(http.headers.get("authorization", ""))
        if given is None:
            raise ApiError(
                401,
                "You did not provide an API key. You need to provide it in the Authorization header,"
                " using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
                executed=False,
            )
        if not hmac.compare_digest(given.encode(), self.key.encode()):
            shown = f"{given[:8]}{'*' * 8}{given[-4:]}" if len(given) > 20 else "********"
            raise ApiError(401, f"Invalid API Key provided: {shown}", executed=False)
        version = http.headers.get("stripe-version", self._account.api_version)
        if version != self._account.api_version:
            raise ApiError(
                400,
                f"Invalid Stripe API version: {version}. This stand-in speaks {self._account.api_version}.",
                executed=False,
            )
        if "stripe-account" in http.headers:
            raise ApiError(403, "The provided key does not have access to that account.", executed=False)


def _fields(http: HttpRequest, raw: bytes) -> list[tuple[str, str]]:
    kind = http.headers.get("content-type", "").partition(";")[0].strip()
    if http.method == "POST" and raw and kind != "application/x-www-form-urlencoded":
        raise form.not_a_form()
    return form.pairs(raw)


def _readable(raw: bytes) -> dict[str, str]:
    try:
        return dict(form.pairs(raw))
    except ApiError:
        return {}


def _pattern(method: str, path: str) -> str:
    try:
        return endpoints.find(method, path)[0].path
    except ApiError:
        return path


def _api_key(authorization: str) -> str | None:
    """From Bearer, or from Basic with the key as its user name."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None
