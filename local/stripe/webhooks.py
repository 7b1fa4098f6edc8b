"""Webhooks: each event is posted, signed, until the endpoint answers 2xx: at least once, in any order."""

import asyncio
import contextlib
import fnmatch
import hashlib
import hmac
import json
import logging
import random
import time
from collections.abc import Sequence
from typing import Annotated

import httpx
import msgspec
from msgspec import Meta

from local.stripe.account import Account
from local.stripe.storage import Object

AT_ONCE = 8
TIMEOUT_SECONDS = 20.0
LONGEST_NAP_SECONDS = 60.0

_log = logging.getLogger(__name__)


class Endpoint(msgspec.Struct, frozen=True):
    """Where events go: `url` "" is nowhere. With several `secrets`, as while one is rolled, each signs."""

    url: str = ""
    secrets: tuple[str, ...] = ()
    retry_base_seconds: float = 0.5
    retry_cap_seconds: float = 60.0


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a test may ask for. `hold`: nothing is sent by itself; `copies`: each event is delivered so often;
    `spread_seconds`: each delivery waits a random time up to this, so that they come out of order;
    `drop`: types (`invoice.*`) that are never sent, so that they stay undelivered."""

    hold: bool = False
    copies: Annotated[int, Meta(ge=1, le=20)] = 1
    spread_seconds: Annotated[float, Meta(ge=0, le=60)] = 0.0
    drop: tuple[str, ...] = ()
    seed: int = 0


class Pending(msgspec.Struct, frozen=True):
    """A delivery that has not been answered 2xx; `due_in` seconds, below 0 where it is late."""

    event: str
    attempts: int
    due_in: float


class Webhooks:
    """Deliveries to one endpoint, of the events of one account."""

    def __init__(self, account: Account, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._account = account
        self._behaviour = Behaviour()
        self._random = random.Random(0)  # noqa: S311 - a test's order
        self._woken = asyncio.Event()
        self._running: dict[int, asyncio.Task[None]] = {}
        account.emitted = self._schedule

    @property
    def behaviour(self) -> Behaviour:
        return self._behaviour

    def behave(self, behaviour: Behaviour) -> None:
        """From now on; what has been held is sent when it is held no longer."""
        self._behaviour = behaviour
        self._random.seed(behaviour.seed)
        self._woken.set()

    def wake(self) -> None:
        """There may be something to deliver."""
        self._woken.set()

    def pending(self) -> Sequence[Pending]:
        rows = self._account.storage.connection.execute(
            "SELECT event, attempts, due FROM deliveries ORDER BY id"
        )
        return [Pending(event, attempts, due - time.time()) for event, attempts, due in rows]

    async def run(self) -> None:
        """Until it is cancelled."""
        async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_SECONDS) as client:
            try:
                while True:
                    self._woken.clear()
                    now = time.time()
                    self._start(client, now)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._due_after(now)):
                            await self._woken.wait()
            finally:
                for task in self._running.values():
                    task.cancel()

    async def deliver(self, event: Object) -> int:
        """Sends an event now, whatever has been sent of it; the status, 0 where there was no answer."""
        async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_SECONDS) as client:
            status = await self._post(client, event)
        if 200 <= status < 300:
            self._done(event["id"], None)
        return status

    def _schedule(self, event: Object) -> int:
        behaviour = self._behaviour
        if not self.endpoint.url:
            return 0
        if any(fnmatch.fnmatchcase(event["type"], each) for each in behaviour.drop):
            return 1
        for _ in range(behaviour.copies):
            due = time.time() + self._random.uniform(0, behaviour.spread_seconds)
            self._account.storage.connection.execute(
                "INSERT INTO deliveries (event, attempts, due) VALUES (?, 0, ?)", (event["id"], due)
            )
        return 1

    def _start(self, client: httpx.AsyncClient, now: float) -> None:
        """All that is due now, as far as there is room."""
        if self._behaviour.hold:
            return
        rows = self._account.storage.connection.execute(
            "SELECT id, event, attempts FROM deliveries WHERE due <= ? ORDER BY due, id LIMIT ?",
            (now, AT_ONCE),
        ).fetchall()
        for number, event_id, attempts in rows:
            if number not in self._running:
                task = asyncio.create_task(self._deliver(client, number, event_id, attempts))
                self._running[number] = task

    def _due_after(self, now: float) -> float:
        """Seconds until more is due; what was due before is woken for when there is room."""
        if self._behaviour.hold or len(self._running) >= AT_ONCE:
            return LONGEST_NAP_SECONDS
        row = self._account.storage.connection.execute(
            "SELECT min(due) FROM deliveries WHERE due > ?", (now,)
        ).fetchone()
        return (
            LONGEST_NAP_SECONDS if row[0] is None else min(max(row[0] - time.time(), 0), LONGEST_NAP_SECONDS)
        )

    async def _deliver(self, client: httpx.AsyncClient, number: int, event_id: str, attempts: int) -> None:
        try:
            event = self._account.find("event", event_id)
            status = 200 if event is None else await self._post(client, event)
            if 200 <= status < 300:
                self._done(event_id, number)
            else:
                _log.info("webhook %s answered %d at attempt %d", event_id, status, attempts + 1)
                self._later(number, attempts + 1)
        finally:
            del self._running[number]
            self._woken.set()

    async def _post(self, client: httpx.AsyncClient, event: Object) -> int:
        content = json.dumps({**event, "pending_webhooks": 1}, indent=2, ensure_ascii=False).encode()
        headers = {
            "content-type": "application/json; charset=utf-8",
            "stripe-signature": signature(content, self.endpoint.secrets, int(time.time())),
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            response = await client.post(self.endpoint.url, content=content, headers=headers)
        except httpx.HTTPError as failure:
            _log.info("webhook %s: %s", event["id"], type(failure).__name__)
            return 0
        return response.status_code

    def _done(self, event_id: str, number: int | None) -> None:
        """One delivery has succeeded, or all of the event's where none is named."""
        connection = self._account.storage.connection
        with self._account.storage.transaction():
            connection.execute(
                "DELETE FROM deliveries WHERE event = ? AND id = coalesce(?, id)", (event_id, number)
            )
            left = connection.execute(
                "SELECT count(*) FROM deliveries WHERE event = ?", (event_id,)
            ).fetchone()[0]
            event = self._account.find("event", event_id)
            if event is not None and not left:
                self._account.save({**event, "pending_webhooks": 0})

    def _later(self, number: int, attempts: int) -> None:
        pause = self.endpoint.retry_base_seconds * 2 ** min(attempts - 1, 30)
        due = time.time() + min(pause, self.endpoint.retry_cap_seconds)
        self._account.storage.connection.execute(
            "UPDATE deliveries SET attempts = ?, due = ? WHERE id = ?", (attempts, due, number)
        )


def signature(content: bytes, secrets: Sequence[str], at: int) -> str:
    """The `Stripe-Signature` header: the time, one `v1` for each secret, and the `v0` of test events."""
    signed = b"%d.%s" % (at, content)
    made = [f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}" for secret in secrets]
    return ",".join([f"t={at}", *made, f"v0={hashlib.sha256(signed).hexdigest()}"])
