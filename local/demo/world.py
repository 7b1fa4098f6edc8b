"""The running suite as the demo meets it: the gateway, the topics, the mailbox, the processes."""

import asyncio
import email
import email.policy
import json
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from os import killpg
from pathlib import Path
from typing import Any, TypeVar

import httpx

from local import backend, status
from local.layout import Layout
from local.suite import CONSUMERS
from shared import events, quarantine
from shared.bus import BILLING_EVENTS, Bus, Message

T = TypeVar("T")

PACE = ("--tick-seconds", "0", "--cluster-delay-seconds", "0", "--jwks-cache-seconds", "1")
"""Nothing comes by the clock, nobody waits for show, and the gateway hears of the keys at once: the story
skips the time that it would have for that.
"""
START_SECONDS = 90.0
SETTLE_SECONDS = 90.0


class DemoFailed(Exception):
    """The story cannot go on; the message says where it stopped and where to look."""


class NotStarted(DemoFailed):
    """There was no suite to tell the story of; the message is what the runner said."""


class World:
    """One suite in one data folder."""

    def __init__(self, layout: Layout, ready_file: Path, client: httpx.AsyncClient, bus: Bus) -> None:
        self.layout = layout
        self.client = client
        self._ready_file = ready_file
        self._bus = bus

    @property
    def ready(self) -> dict[str, Any]:
        """What the runner says runs now."""
        try:
            ready: dict[str, Any] = json.loads(self._ready_file.read_text())
        except FileNotFoundError:
            raise DemoFailed("the suite has stopped") from None
        return ready

    async def call(self, method: str, path: str, token: str | None = None, **rest: Any) -> httpx.Response:
        """One request through the gateway."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers.update(rest.pop("headers", {}))
        return await self.client.request(method, path, headers=headers, **rest)

    async def must(self, status: int, method: str, path: str, token: str | None = None, **rest: Any) -> Any:
        """One request that has to give `status`; its JSON. Raises `DemoFailed`."""
        answer = await self.call(method, path, token, **rest)
        if answer.status_code != status:
            raise DemoFailed(f"{method} {path} gave {answer.status_code}, not {status}: {answer.text[:400]}")
        return answer.json() if answer.content else None

    async def takers(self, tenant_id: str, token: str) -> int:
        """How many functions take the access token of a person of that tenant."""
        answers = [await self.call("GET", path, token) for path in one_of_each(tenant_id)]
        return sum(answer.status_code == 200 for answer in answers)

    async def client_token(self, client_id: str, secret: str) -> str:
        form = {"grant_type": "client_credentials"}
        answer = await self.client.post("/oauth2/token", data=form, auth=(client_id, secret))
        if answer.status_code != 200:
            raise DemoFailed(f"a machine could not sign in: {answer.status_code} {answer.text[:400]}")
        return str(answer.json()["access_token"])

    async def publish_usage(self, tenant_id: str, source: str, batch: Sequence[Any]) -> None:
        """One message to the topic, as a publisher sends it."""
        await self.publish("usage.recorded", tenant_id, {"events": batch}, source)

    async def close_period(self, tenant_id: str, period: str) -> None:
        await self.publish("billing.close.requested", tenant_id, {"period": period}, "//demo/schedule")

    async def publish(
        self, name: str, tenant_id: str, data: Any, source: str, topic: str = BILLING_EVENTS
    ) -> None:
        event = events.make(
            name,
            event_id=f"demo-{datetime.now(UTC).timestamp():.6f}",
            source=source,
            subject=tenant_id,
            time=datetime.now(UTC),
            data=data,
        )
        await self._bus.publish(topic, [events.to_message(event)])

    async def publish_raw(self, data: bytes) -> None:
        await self._bus.publish(BILLING_EVENTS, [Message(data)])

    async def settled(self) -> None:
        """Returns when every delivery is acknowledged."""
        others = self.ready["others"]
        consumers = [others[name]["url"] for name in CONSUMERS]

        async def drained() -> bool | None:
            return await asyncio.to_thread(status.are_drained, consumers) or None

        await until(drained, "all deliveries to be acknowledged")

    async def quarantined(self, reason: str = "") -> int:
        """Messages and events that were set aside as hopeless, for any reason or for one."""
        store = backend.of(self.layout).open_store(quarantine.QUERIES)
        try:
            page = await store.platform().query(quarantine.NEWEST, limit=1000)
        finally:
            await store.close()
        return sum(reason in ("", doc.body["reason"]) for doc in page.docs)

    def kill_function(self, name: str) -> int:
        """`kill -9`, master and workers. Returns the process id that is gone."""
        pid = int(self.ready["functions"][name]["pid"])
        killpg(pid, signal.SIGKILL)
        return pid

    async def restarted(self, name: str, killed: int) -> int:
        """The process id of the function that the runner has started in the place of a killed one."""

        async def look() -> int | None:
            pid = int(self.ready["functions"][name]["pid"])
            return None if pid == killed else pid

        return await until(look, f"{name} to be started again")

    async def mail_to(self, address: str) -> str:
        """The text of the newest mail to somebody, once it is there."""

        async def look() -> str | None:
            for path in sorted(self.layout.mailbox.glob("*.eml"), key=lambda path: -path.stat().st_mtime_ns):
                message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                body = message.get_body(("plain",))
                if address in str(message["to"]) and body is not None:
                    return str(body.get_content())
            return None

        return await until(look, f"a mail to {address} in {self.layout.mailbox}")


async def until(
    look: Callable[[], Awaitable[T | None]], what: str, seconds: float = SETTLE_SECONDS, pause: float = 0.05
) -> T:
    """Looks again after each `pause` (seconds) until there is something. Raises `DemoFailed`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        found = await look()
        if found is not None:
            return found
        await asyncio.sleep(pause)
    raise DemoFailed(f"waited {seconds:.0f} s in vain for {what}")


def one_of_each(tenant_id: str) -> tuple[str, str, str]:
    """Paths of auth, billing and tenants that every person of the tenant may read."""
    return "/v1/me", "/v1/usage", f"/v1/tenants/{tenant_id}"


def token_in(mail: str) -> str:
    """The one-time token in a mail's link."""
    found = re.search(r"token=([A-Za-z0-9_.-]+)", mail)
    if found is None:
        raise DemoFailed(f"no link in the mail: {mail[:400]}")
    return found.group(1)


@asynccontextmanager
async def running(data_dir: Path) -> AsyncIterator[World]:
    """Starts the suite on free ports in a fresh folder and stops it in the end, whatever happens."""
    with tempfile.TemporaryDirectory() as scratch:
        ready_file = Path(scratch) / "ready.json"
        output = Path(scratch) / "runner.out"
        with output.open("wb") as out:
            runner = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "local.run", "--port", "0", "--fresh", "--no-logs"),
                *("--data-dir", str(data_dir), "--ready-file", str(ready_file), *PACE),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            layout = Layout(data_dir.resolve())
            ready = await until(
                lambda: _ready(ready_file, runner, output), "the suite to start", START_SECONDS
            )
            bus = backend.of(layout).open_bus()
            try:
                async with httpx.AsyncClient(base_url=ready["gateway"], timeout=30) as client:
                    yield World(layout, ready_file, client, bus)
            finally:
                await bus.close()
        finally:
            if runner.returncode is None:
                runner.send_signal(signal.SIGTERM)
            await runner.wait()


async def _ready(path: Path, runner: asyncio.subprocess.Process, output: Path) -> dict[str, Any] | None:
    if runner.returncode is not None:
        raise NotStarted(output.read_text(errors="replace").strip()[-2000:])
    try:
        ready: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return ready
