"""The ASGI application of a function: what every request goes through, from its headers to its log line."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Protocol

from starlette.types import Receive, Scope, Send

from shared.errors import (
    Error,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    Unauthenticated,
    Unavailable,
    UriTooLong,
)
from shared.http import ENROLLING, PUBLIC, SIGNED_IN, Call, Response, Route, json_response
from shared.http import headers as request_headers
from shared.http.call import Disconnected, HttpCall
from shared.http.deadlines import Deadlines, TimedOut
from shared.http.limits import Limits
from shared.http.problem import oauth_problem, problem
from shared.http.reply import Reply
from shared.http.request_log import RequestLog
from shared.http.router import Found, Router
from shared.http.slots import Slots
from shared.identity import Principal, authorization, bearer_token, require_scope
from shared.logs import Access, log_under
from shared.metrics import CONTENT_TYPE, SCOPE, Metrics, Reading
from shared.secrets import SecretUnusable

ReadBody = Callable[[int], Awaitable[bytes]]

_CLIENT_CLOSED = 499

_log = logging.getLogger(__name__)


class TokenVerifier(Protocol):
    """`shared.identity.Verifier`."""

    async def verify(self, token: str) -> Principal: ...


class EventHandling(Protocol):
    """`shared.event_door.EventDoor`."""

    async def handle(
        self, headers: Mapping[str, str], read_body: ReadBody, flaw: Error | None
    ) -> Response: ...


class _Crash(Error):
    status = 500
    title = "Something is broken"


class App:
    """One function's endpoints: its routes if it serves HTTP, `POST /` if it has an event door, and always
    `GET /health` and, for operators, `GET /metrics`. Every exception becomes an error response.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        verifier: TokenVerifier,
        event_door: EventHandling | None,
        serves_http: bool,
        version: str,
        access_log: Callable[[Access], None],
        limits: Limits | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._verifier = verifier
        self._limits = limits or Limits()
        self._slots = Slots(self._limits)
        self._deadlines = Deadlines(self._limits.handler_seconds)
        self._healthy = json_response({"status": "ok", "version": version})
        self._health = Route("GET", "/health", self._say_healthy, PUBLIC)
        self._event_door = event_door
        self._metrics = metrics or Metrics("", version)
        self._metrics.watch(self)
        self._log = RequestLog(access_log, self._metrics)
        self._in_flight = 0
        doors = [self._health, Route("GET", "/metrics", self._tell_metrics, SCOPE)]
        if event_door is not None:
            doors.append(_delivery(event_door))
        self._router = Router([*doors, *(routes if serves_http else ())])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers, refusal = request_headers.read(scope["headers"], self._limits)
        context = self._log.begin(headers)
        call = HttpCall(scope, receive, headers, context.request_id, self._limits, self._slots)
        found = self._router.find(scope["raw_path"])
        self._in_flight += 1
        try:
            response = await self._answered(call, found, refusal, scope["headers"])
        finally:
            self._in_flight -= 1
        close = call.leaves_much_unread or "Connection" in response.headers
        lingers = self._limits if close and call.is_unfinished else None
        reply = Reply(response, call.request_id, head=call.method == "HEAD", close=close, lingers=lingers)
        self._log.end(call, found, response.status, started, context)
        await reply(scope, receive, send)

    def readings(self) -> Iterator[Reading]:
        """This app's values for `Metrics`."""
        help_text = "Requests that are being answered, those that wait for their turn included."
        yield Reading("energent_http_requests_in_flight", help_text, self._in_flight, counts=False)
        help_text = "Requests that were refused because too many were there already."
        yield Reading("energent_http_requests_shed", help_text, self._slots.shed)

    async def _answered(
        self, call: HttpCall, found: Found | None, refusal: Error | None, raw_headers: request_headers.Raw
    ) -> Response:
        try:
            refusal = refusal or self._too_long(call)
            if refusal is not None:
                return await self._flawed(call, raw_headers, refusal)
            return await self._handled(call, found)
        except Disconnected:
            return Response(_CLIENT_CLOSED)
        except Error as error:
            return self._refused(call, error, found)
        except SecretUnusable:
            _log.exception("a secret is unusable")
            return self._refused(call, _not_ready(), found)
        except Exception:  # noqa: BLE001 - the last resort: a bug is logged once and answered
            _log.exception("a request failed")
            crash = _Crash("internal", "The request failed. It is logged under its request id.")
            return self._refused(call, crash, found)

    def _refused(self, call: HttpCall, error: Error, found: Found | None) -> Response:
        self._metrics.refused(error.code)
        oauth = found is not None and any(route.oauth for route in found[0].by_method.values())
        response = oauth_problem(error) if oauth else problem(error, call.request_id)
        if error.status == 401 and "WWW-Authenticate" not in error.headers:
            basic = oauth and (authorization(call.headers) or "").lower().startswith("basic")
            response.headers["WWW-Authenticate"] = 'Basic realm="token"' if basic else "Bearer"
        return response

    async def _flawed(self, call: HttpCall, raw_headers: request_headers.Raw, refusal: Error) -> Response:
        """Refuses a malformed request. A message for the event door is passed on with its flaw instead, since
        Pub/Sub would deliver a refused one again and again.
        """
        if self._event_door is None or (call.method, call.path) != ("POST", "/"):
            raise refusal
        call.headers, flaw = request_headers.read_message(raw_headers, self._limits)
        return await self._admitted(call, _delivery(self._event_door, flaw or self._too_long(call)))

    def _too_long(self, call: HttpCall) -> Error | None:
        if call.target_bytes <= self._limits.max_target_bytes:
            return None
        return UriTooLong("uri_too_long", "The address is too long. Send a shorter query.")

    async def _handled(self, call: HttpCall, found: Found | None) -> Response:
        if found is None:
            raise NotFound("not_found", "There is nothing here. Check the address.")
        operations, params = found
        route = operations.by_method.get("GET" if call.method == "HEAD" else call.method)
        if route is None:
            allow = {"Allow": operations.allow}
            raise MethodNotAllowed("method_not_allowed", f"Use {operations.allow}.", headers=allow)
        call.enter(route, params)
        if route is self._health:
            return self._healthy
        return await self._admitted(call, route)

    async def _admitted(self, call: HttpCall, route: Route) -> Response:
        """Runs the route once a slot is free, with a time limit. Sheds the call if too many wait already."""
        await self._slots.take()
        try:
            return await self._deadlines.run(self._run(call, route))
        except TimedOut:
            raise Unavailable("timeout", "The request took too long. Try again.") from None
        finally:
            self._slots.leave(call)

    async def _run(self, call: HttpCall, route: Route) -> Response:
        if route.requires != PUBLIC:
            token = bearer_token(call.headers)
            if token is None:
                raise Unauthenticated("unauthenticated", "Send an access token as a Bearer token.")
            principal = await self._verifier.verify(token)
            call.admit(principal)
            log_under(principal.tenant_id)
            if ENROLLING in principal.scopes and not route.enrolling:
                raise _must_enrol()
            if route.requires != SIGNED_IN:
                require_scope(principal, route.requires)
        return await route.handler(call)

    async def _say_healthy(self, call: Call) -> Response:
        return self._healthy

    async def _tell_metrics(self, call: Call) -> Response:
        return Response(200, self._metrics.text(), CONTENT_TYPE)


def _delivery(event_door: EventHandling, flaw: Error | None = None) -> Route:
    async def take(call: Call) -> Response:
        return await event_door.handle(call.headers, call.read, flaw)

    return Route("POST", "/", take, PUBLIC)


def _must_enrol() -> Forbidden:
    detail = "Your tenant requires a second factor. Enrol one under /v1/me/factors, then refresh your tokens."
    return Forbidden("second_factor_required", detail)


def _not_ready() -> Unavailable:
    detail = "The service is not ready. Try again later."
    return Unavailable("not_ready", detail, retry_after_seconds=5)
