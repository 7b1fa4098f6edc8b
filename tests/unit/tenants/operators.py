"""An operator at the quarantine's HTTP door."""

from typing import Any

import httpx

from shared.bus import Message
from shared.envelope import event_of
from shared.http.app import App
from shared.identity import Verifier
from shared.quarantine import Quarantine
from tests.tokens import ISSUER, NOW, SignerKey
from tests.unit.events.deliveries import delivery, event_bytes
from tests.unit.tenants.world import World

SCOPES = "platform:quarantine:read platform:quarantine:write"
SHELF = "/v1/quarantine"
_FIELDS = {"tenant_id": "subject", "type": "type"}


class Operator:
    """The shelf through its HTTP door; what is put on it, the functions' side of it."""

    def __init__(self, world: World, key: SignerKey) -> None:
        self.world = world
        self._key = key
        verifier = Verifier(world.store, ISSUER, ISSUER, lambda: NOW)
        app = App(
            world.routes,
            verifier=verifier,
            event_door=None,
            serves_http=True,
            version="test",
            access_log=lambda line: None,
        )

        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER)

    async def ask(self, method: str, path: str, scope: str = SCOPES, **more: Any) -> httpx.Response:
        token = self._key.token(tid="platform", sub="sa_ops", scope=scope)
        headers = {"Authorization": f"Bearer {token}", "X-Request-Id": "req_the_same"}
        return await self.client.request(method, path, headers=headers, **more)

    async def put(
        self, function: str = "billing", reason: str = "bad", data: bytes | None = None, **changes: Any
    ) -> str:
        """Each a second later than the one before. `tenant_id` and `type` are the event's."""
        event = {name: changes.pop(key) for key, name in _FIELDS.items() if key in changes}
        self.world.clock.move(1)
        sent = delivery(event_bytes(**event) if data is None else data, **changes)
        shelf = Quarantine(self.world.store, self.world.clock, function)
        write = shelf.write(sent, reason, "It is bad.", event_of(sent) if data is None else None)
        await shelf.put(write)
        return write.key.id

    async def ids(self, query: str = "") -> list[str]:
        """Over all pages."""
        found: list[str] = []
        cursor = ""
        while True:
            page = (await self.ask("GET", f"{SHELF}?{query}{cursor}")).json()
            found += (item["id"] for item in page["items"])
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    async def replay_all(self, **body: Any) -> dict[str, Any]:
        answer = await self.ask("POST", f"{SHELF}/replay", json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def sent(self) -> list[tuple[str, Message]]:
        return self.world.bus.messages

    async def audited(self) -> list[tuple[str, str, str]]:
        records = await self.world.audit("platform")
        return [(record.action, record.target, record.actor.id) for record in records]
