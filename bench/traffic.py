"""A customer to load the functions with, and what each connection sends."""

import base64
import itertools
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import msgspec

from bench import load
from bench.load import NextRequest, Reply
from local import backend, push, suite
from local.demo.world import World, running, token_in, until
from local.push import Push
from local.relay_identity import Tokens, ensure_keys
from local.suite import Options
from shared import events
from shared.bus import BILLING_EVENTS
from shared.bus.tables import Leased
from shared.events import CloudEvent
from shared.ids import utc_now

FORM = {"content-type": "application/x-www-form-urlencoded"}
_PASSWORD = "correct horse battery staple"  # noqa: S105 - of a throw-away tenant

LOGIN = {"tenant": "bench", "email": "owner@bench.example", "password": _PASSWORD}

_PUSH = Push(audience="", project="bench", is_bare=False)
_sequence = itertools.count()


class Seeded(msgspec.Struct, frozen=True):
    """A data folder with one active tenant in it."""

    options: Options
    tenant_id: str
    access_token: str
    refresh_tokens: list[str]
    refreshes: list[NextRequest]
    """A chain of refresh tokens for each connection, which goes on where the last load left it."""
    client_id: str
    client_secret: str


async def seed(data_dir: Path, sessions: int) -> Seeded:
    """Runs the whole suite once to make the customer, and stops it."""
    async with running(data_dir) as world:
        return await seed_in(world, sessions)


async def seed_in(world: World, sessions: int) -> Seeded:
    """The customer in a suite that runs."""
    ready = world.ready
    servers = {**ready["functions"], **ready["others"]}
    ports = {name: _port(server["url"]) for name, server in servers.items() if server["url"]}
    options = Options(world.layout, ports, backend=backend.of(world.layout).name)
    tenant_id = await _tenant(world)
    signed_in = [await world.must(200, "POST", "/v1/auth/login", json=LOGIN) for _ in range(sessions)]
    account = {"name": "bench", "scopes": ["usage:read"]}
    token = signed_in[0]["access_token"]
    machine = await world.must(201, "POST", "/v1/service-accounts", token, json=account)
    return Seeded(
        options,
        tenant_id,
        token,
        [tokens["refresh_token"] for tokens in signed_in],
        [_chain(tokens["refresh_token"]) for tokens in signed_in],
        machine["client_id"],
        machine["client_secret"],
    )


async def _tenant(world: World) -> str:
    credential = msgspec.json.decode(world.layout.operator.read_bytes())
    operator = await world.client_token(credential["client_id"], credential["client_secret"])
    order = {"slug": "bench", "name": "Bench", "tier": "standard", "owner_email": "owner@bench.example"}
    order["contract_start"] = last_month().isoformat()
    tenant = await world.must(201, "POST", "/v1/tenants", operator, json=order)

    async def active() -> bool | None:
        answer = await world.must(200, "GET", f"/v1/tenants/{tenant['id']}", operator)
        return True if answer["status"] == "active" else None

    await until(active, "the tenant to be provisioned")
    accept = {"token": token_in(await world.mail_to("owner@bench.example")), "password": _PASSWORD}
    await world.must(201, "POST", "/v1/auth/invitations/accept", json={**accept, "name": "Owner"})
    return str(tenant["id"])


def last_month() -> date:
    """Its first day."""
    return (datetime.now(UTC).date().replace(day=1) - timedelta(days=1)).replace(day=1)


def same(payload: bytes, connections: int) -> list[NextRequest]:
    """One request again and again."""
    return [lambda _: payload] * connections


def me(seeded: Seeded, connections: int) -> list[NextRequest]:
    payload = load.request("GET", "/v1/me", {"authorization": f"Bearer {seeded.access_token}"})
    return same(payload, connections)


def machines(seeded: Seeded, connections: int) -> list[NextRequest]:
    payload = load.request(
        "POST", "/oauth2/token", {**FORM, **_basic(seeded)}, b"grant_type=client_credentials"
    )
    return same(payload, connections)


def introspections(seeded: Seeded, connections: int) -> list[NextRequest]:
    """A machine asks about the token of a person."""
    body = f"token={seeded.access_token}".encode()
    payload = load.request("POST", "/oauth2/introspect", {**FORM, **_basic(seeded)}, body)
    return same(payload, connections)


def sign_ins(connections: int) -> list[NextRequest]:
    """The owner, from nowhere in particular."""
    payload = load.request(
        "POST", "/v1/auth/login", {"content-type": "application/json"}, msgspec.json.encode(LOGIN)
    )
    return same(payload, connections)


def _chain(first: str) -> NextRequest:
    token = first

    def following(reply: Reply | None) -> bytes:
        nonlocal token
        if reply is not None:
            token = msgspec.json.decode(reply.body)["refresh_token"]
        return refresh(token)

    return following


def refresh(token: str) -> bytes:
    """The request that exchanges it."""
    body = f"grant_type=refresh_token&refresh_token={quote(token)}"
    return load.request("POST", "/oauth2/token", FORM, body.encode())


def usage(options: Options, tenant_id: str, connections: int, size: int) -> list[NextRequest]:
    """New events in every message, pushed as the relay pushes."""
    identity = _identity(options)

    def following(_: Reply | None) -> bytes:
        number = next(_sequence)
        now = datetime.now(UTC)
        batch = [
            {"id": f"bench-{number}-{index}", "time": now, "meter": "agent_minutes", "quantity": index + 1}
            for index in range(size)
        ]
        event = events.make(
            "usage.recorded",
            event_id=f"bench-{number}",
            source="//bench",
            subject=tenant_id,
            time=now,
            data={"events": batch},
        )
        return _pushed(event, identity)

    return [following] * connections


def close(options: Options, tenant_id: str, period: str) -> bytes:
    """The request that has a month closed."""
    event = events.make(
        "billing.close.requested",
        event_id=f"bench-close-{period}",
        source="//bench",
        subject=tenant_id,
        time=utc_now(),
        data={"period": period},
    )
    return _pushed(event, _identity(options))


def _basic(seeded: Seeded) -> dict[str, str]:
    credentials = base64.b64encode(f"{seeded.client_id}:{seeded.client_secret}".encode()).decode()
    return {"authorization": f"Basic {credentials}"}


def _identity(options: Options) -> str:
    keys = ensure_keys(options.layout.root)
    tokens = Tokens(keys.key, utc_now, issuer=suite.EVENTS_ISSUER, email=suite.EVENTS_CALLER)
    return tokens.token(suite.base_url(options, "billing"))


def _pushed(event: CloudEvent, identity: str) -> bytes:
    leased = Leased(
        id=next(_sequence),
        lease="",
        message_id=event.id,
        subscription="billing",
        topic=BILLING_EVENTS,
        message=events.to_message(event),
        attempt=1,
        published_at=event.time,
    )
    return load.request("POST", "/", push.headers(leased, _PUSH, identity), push.body(leased, _PUSH))


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1])
