"""G1, G2, G4: whatever secret is pushed through a function's doors, well or badly, it writes none of it."""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from functions.auth import records as auth_records
from functions.billing import records as billing_records
from functions.billing import routes as billing_routes
from functions.billing.invoices import Invoices
from functions.tenants import records as tenants_records
from shared import outbox, quarantine, revocations
from shared.event_door import EventDoor, EventHandler
from shared.http import Call, Response, Route
from shared.http.app import App
from shared.ids import utc_now
from shared.logs import AccessLog, configure
from shared.quarantine import Quarantine
from shared.store.sqlite import SqliteStore
from tests.door import Answer, serve
from tests.stripe_stand_in import secrets as stripe_secrets
from tests.tokens import Time
from tests.unit.auth.suite import OWNER, PASSWORD, Suite
from tests.unit.billing.faulty_store import FaultyStore
from tests.unit.billing.world import World as Billing
from tests.unit.events.deliveries import BINARY, encoded, event_bytes, push
from tests.unit.events.senders import bearer, check, signed
from tests.unit.tenants.world import World as Tenants

pytestmark = pytest.mark.anyio

CANARY = "zq7canaryzq7"
"""Has no secret's form: it is nowhere because nobody writes it."""
FORMED = (
    "rt1_ZqCanaryAAAABBBB",
    "inv1_ZqCanaryAAAABBBB",
    "sk_live_ZqCanaryAAAABBBB",
    "whsec_ZqCanaryAAAABBBB",
    "eyJhbGciOiJFUzI1NiJ9.ZqCanary.AAAABBBB",
    "zqcanary@secret.example",
)
"""Have one: they are taken out even of what is written."""
FIELDS = (
    *("tenant", "email", "password", "token", "name", "role", "slug", "tier", "owner_email", "reason"),
    *("grant_type", "refresh_token", "client_id", "client_secret", "scope", "cursor", "event_type"),
)
LIBRARIES = ("stripe", "grpc", "google", "urllib3", "httpx", "httpcore", "asyncio", "shared", "functions")
QUERIES = {
    *(auth_records.QUERIES + billing_records.QUERIES + tenants_records.QUERIES),
    *(outbox.QUERIES + quarantine.QUERIES + revocations.QUERIES),
}


class Everything:
    """The three functions in one process over one store."""

    def __init__(self, folder: Path, store: FaultyStore, suite: Suite) -> None:
        self._folder = folder
        self._clock = Time()
        self.store = store
        self.suite = suite
        self._tenants = Tenants(store)
        self._billing = Billing(store, secrets=stripe_secrets())
        billing = self._billing
        self.routes: dict[str, Sequence[Route]] = {
            "auth": suite.routes,
            "billing": billing_routes.table(billing.reports, Invoices(store), billing.webhooks),
            "tenants": self._tenants.routes,
        }
        self.handlers: dict[str, dict[str, EventHandler]] = {
            "auth": suite.handlers,
            "billing": billing.handlers,
            "tenants": self._tenants.handlers,
        }

    def app(
        self,
        function: str,
        routes: Sequence[Route] | None = None,
        handlers: dict[str, EventHandler] | None = None,
    ) -> App:
        door = EventDoor(
            self.handlers[function] if handlers is None else handlers,
            check(self._folder / "jwks.json", self._clock),
            Quarantine(self.store, self._clock, function),
            log=logging.getLogger(f"functions.{function}"),
        )
        return App(
            self.routes[function] if routes is None else routes,
            verifier=self.suite.verifier,
            event_door=door,
            serves_http=True,
            version="test",
            access_log=AccessLog(utc_now),
        )

    async def tokens(self) -> list[str]:
        """An operator's and an owner's, and two that are none."""
        form = dict(zip(("client_id", "client_secret"), await self.suite.operators.bootstrap(), strict=True))
        operator = await self.suite.endpoint.answer(
            {"grant_type": "client_credentials"} | form, None, "req_1"
        )
        await self.suite.add_user()
        owner = await self.suite.login()
        self.secrets = [
            *form.values(),
            operator.access_token,
            owner.access_token,
            owner.refresh_token or "",
            PASSWORD,
        ]
        return [operator.access_token, owner.access_token, FORMED[4], CANARY]


@asynccontextmanager
async def _everything(folder: Path) -> AsyncIterator[Everything]:
    store = FaultyStore(SqliteStore(folder / "store.db", QUERIES))
    suite = Suite(folder, store)
    try:
        await suite.assemble()
        await suite.add_tenant()
        yield Everything(folder, store, suite)
    finally:
        suite.passwords.close()
        await store.close()


@pytest.fixture
async def everything(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Everything]:
    """With all loggers at DEBUG, and logging as it is deployed."""
    root = logging.getLogger()
    before = (root.handlers, root.level, {name: logging.getLogger(name).level for name in LIBRARIES})
    configure("energent", "energent-test", "r-1")
    for name in (None, *LIBRARIES):
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        async with _everything(tmp_path) as made:
            yield made
    finally:
        root.handlers, root.level = before[:2]
        for name, level in before[2].items():
            logging.getLogger(name).setLevel(level)


def requests_to(route: Route, token: str, secret: str) -> list[dict[str, Any]]:
    """The secret in every place of a request but its method, its own path and its request id."""
    path = "/".join(secret if part.startswith("{") else part for part in route.path.split("/"))
    headers = {
        "authorization": f"Bearer {token}",
        "cookie": f"session={secret}",
        "user-agent": secret,
        "accept": secret,
        "idempotency-key": secret,
        "stripe-signature": f"t=1,v1={secret}",
        "x-apigateway-api-userinfo": secret,
        "traceparent": secret,
        "function-execution-id": f"{secret} ",
    }
    fields = dict.fromkeys(FIELDS, secret)
    known = {
        "/v1/auth/login": {"tenant": "acme", "email": OWNER, "password": secret},
        "/v1/auth/invitations/accept": {"token": secret, "password": secret * 2, "name": "Ada"},
        "/v1/invitations": {"email": f"{CANARY}@acme.example", "role": "member"},
        "/oauth2/token": {"grant_type": "refresh_token", "refresh_token": secret},
    }
    bodies: list[tuple[str, bytes]] = [
        ("application/json", msgspec.json.encode(known.get(route.path, fields))),
        ("application/json", msgspec.json.encode(fields)),
        ("application/json", f'{{"a": "{secret}'.encode()),
        ("application/x-www-form-urlencoded", urlencode(known.get(route.path, fields)).encode()),
        (
            "application/x-www-form-urlencoded",
            urlencode(
                {"grant_type": "client_credentials", "client_id": secret, "client_secret": secret}
            ).encode(),
        ),
        (secret, secret.encode()),
    ]
    queries = (urlencode({"limit": secret, "cursor": secret}), "")
    sent = [(query, *body) for query in queries for body in bodies]
    if route.method in ("GET", "DELETE"):
        sent = [(query, *bodies[0]) for query in queries]
    return [
        {
            "method": route.method,
            "path": path,
            "query": query,
            "headers": headers | {"content-type": kind},
            "body": body,
        }
        for query, kind, body in sent
    ]


async def send(app: App, request: dict[str, Any]) -> Answer:
    target = f"{request['path']}?{request['query']}"
    return await serve(app, request["method"], target, list(request["headers"].items()), request["body"])


def lines_without(capfd: pytest.CaptureFixture[str], *secrets: str) -> list[dict[str, Any]]:
    """What was written: JSON lines only, with none of these in any."""
    out, err = capfd.readouterr()
    assert err == ""
    lines = out.splitlines()
    for secret in (CANARY, *secrets):
        assert [line for line in lines if secret in line] == []
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("function", ["auth", "billing", "tenants"])
@pytest.mark.parametrize("secret", [CANARY, FORMED[0], FORMED[5]])
async def test_a_request_leaves_nothing_secret_behind(
    everything: Everything, capfd: pytest.CaptureFixture[str], function: str, secret: str
) -> None:
    tokens = await everything.tokens()
    app = everything.app(function)
    refused = b""
    count = 0
    for route in everything.routes[function]:
        for token in tokens:
            for request in requests_to(route, token, secret):
                answer = await send(app, request)
                refused += answer.body if answer.status >= 400 else b""
                assert answer.status != 500, (route.path, answer.body)
                count += 1
    lines = lines_without(capfd, secret, *everything.secrets)
    assert len([line for line in lines if "httpRequest" in line]) == count
    assert secret.encode() not in refused


@pytest.mark.parametrize("function", ["auth", "billing", "tenants"])
async def test_an_outage_and_a_bug_leave_nothing_secret_behind(
    everything: Everything, capfd: pytest.CaptureFixture[str], function: str
) -> None:
    """G2: the exception says it, its cause too."""

    async def broken(call: Call) -> Response:
        try:
            raise KeyError(f"{CANARY} {FORMED[2]}", await call.body())
        except KeyError as cause:
            raise RuntimeError(f"{CANARY} {FORMED[4]}") from cause

    tokens = await everything.tokens()
    bugs = [msgspec.structs.replace(route, handler=broken) for route in everything.routes[function]]
    apps = [everything.app(function), everything.app(function, routes=bugs)]
    statuses = set()
    for is_down, app in ((True, apps[0]), (False, apps[1])):
        everything.store.is_down = is_down
        for route in everything.routes[function]:
            for token in tokens[:2]:
                for request in requests_to(route, token, CANARY)[:2]:
                    answer = await send(app, request)
                    assert CANARY.encode() not in answer.body
                    statuses.add(answer.status)
    lines = lines_without(capfd, *FORMED, *everything.secrets)
    assert {500, 503} <= statuses
    stacks = [line for line in lines if "stack_trace" in line]
    assert stacks
    assert all(line["serviceContext"]["service"] == "energent-test" for line in stacks)


EVENTS = [
    ("tenant.activated", {"owner_email": CANARY}),
    ("mail.requested", {"invitation_id": CANARY, "token": CANARY}),
    ("usage.recorded", {"events": [{"id": CANARY, "meter": CANARY, "quantity": CANARY}]}),
    ("billing.close.requested", {"period": CANARY}),
    ("stripe.event.received", {"id": CANARY}),
    ("tenant.status.reported", {"operation_id": CANARY, "step": CANARY, "status": CANARY}),
    (CANARY, {CANARY: CANARY}),
]


@pytest.mark.parametrize("function", ["auth", "billing", "tenants"])
async def test_an_event_leaves_nothing_secret_behind(
    everything: Everything, capfd: pytest.CaptureFixture[str], function: str
) -> None:
    async def broken(event: Any, delivery: Any) -> None:
        raise ValueError(f"{CANARY} {FORMED[2]}", event, delivery)

    events = [event_bytes(type=f"ai.energent.{name}.v1", data=data, source=CANARY) for name, data in EVENTS]
    bodies = [push(data=encoded(each), attributes={"a": CANARY, "b": FORMED[0]}) for each in events]
    bodies += [push(data=encoded(CANARY.encode())), push(data=CANARY + "!"), CANARY.encode()]
    bodies.append(
        push(data=encoded(events[0]), attributes={"CloudPubSubDeadLetterSourceSubscription": CANARY})
    )
    token = signed()
    headers = {**BINARY, **bearer(token), "x-mark": CANARY, "cookie": FORMED[0], "user-agent": FORMED[2]}
    healthy = everything.app(function)
    buggy = everything.app(function, handlers=dict.fromkeys(everything.handlers[function], broken))
    statuses = set()
    for is_down, app in ((False, healthy), (True, healthy), (False, buggy)):
        everything.store.is_down = is_down
        for body in bodies:
            for caller in (headers, headers | bearer(CANARY), headers | bearer(FORMED[4])):
                answer = await serve(app, "POST", "/", list(caller.items()), body)
                assert CANARY.encode() not in answer.body
                statuses.add(answer.status)
    assert statuses == {204, 401, 503}
    assert lines_without(capfd, token, *FORMED)


async def test_a_secret_in_an_address_that_is_nowhere_is_taken_out_by_its_form(
    everything: Everything, capfd: pytest.CaptureFixture[str]
) -> None:
    app = everything.app("auth")
    for secret in FORMED:
        for path in (f"/{secret}", f"/v1/users/{secret}/x", f"/reset?token={secret}", f"/a=token={secret}"):
            await serve(app, "GET", path, [], b"")
    assert len(lines_without(capfd, *FORMED)) == 4 * len(FORMED)


@pytest.fixture
def say() -> Iterator[Callable[[str], logging.Logger]]:
    """A library's logger as it is before anybody has set it; put back in the end."""
    touched: list[tuple[logging.Logger, int, bool, bool]] = []

    def logger(name: str) -> logging.Logger:
        for length in range(1, name.count(".") + 2):
            found = logging.getLogger(".".join(name.split(".")[:length]))
            touched.append((found, found.level, found.propagate, found.disabled))
            found.setLevel(logging.NOTSET)
            found.propagate = True
            found.disabled = False
        return found

    yield logger
    for found, level, propagate, disabled in reversed(touched):
        found.setLevel(level)
        found.propagate = propagate
        found.disabled = disabled


async def test_what_libraries_say_at_debug_is_cleaned(
    everything: Everything, say: Callable[[str], logging.Logger], capfd: pytest.CaptureFixture[str]
) -> None:
    """G4: in the words of each of them."""
    say("stripe").debug(
        "message='Request to Stripe api' headers=%s", {"Authorization": f"Bearer {FORMED[2]}"}
    )
    say("httpcore.http11").debug("send_request_headers [(b'authorization', b'Basic %s')]", CANARY)
    say("httpx").info('HTTP Request: GET https://x.example/?access_token=%s "200 OK"', CANARY)
    say("urllib3.connectionpool").debug('https://x:443 "POST /token?client_secret=%s HTTP/1.1" 200', CANARY)
    say("google.auth").debug("id_token: %s", FORMED[4])
    payload = {"rpcResponse": {"payload": CANARY}}
    say("google.cloud.secretmanager_v1").debug("Received response via AccessSecretVersion", extra=payload)
    say("grpc._channel").debug("metadata=(('authorization', 'Bearer %s'),)", CANARY)
    assert len(lines_without(capfd, *FORMED)) == 7
