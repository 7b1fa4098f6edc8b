"""Auth's HTTP door as a machine of a tenant reaches it."""

from typing import Any

import httpx

from shared.audit import Actor
from shared.logs import Access
from tests.unit.auth.suite import ACME, Suite

ADMIN = ("service_accounts:read", "service_accounts:write", "api_keys:read", "api_keys:write", "usage:read")
ACTOR = Actor("user", "usr_test", ACME)


class MachineDoor:
    """Asks with one access token, or none; keeps the lines that are logged."""

    def __init__(self, suite: Suite, token: str = "") -> None:
        self.logged: list[Access] = []
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._app = suite.app(self.logged.append)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        form: Any = None,
        address: str = "192.0.2.7",
        **headers: str,
    ) -> httpx.Response:
        """Header names with `_` for `-`."""
        given = self._headers | {"X-Forwarded-For": address}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="https://api.example.test") as client:
            return await client.request(method, path, headers=given, json=body, data=form)


async def admin(suite: Suite, *scopes: str, tenant_id: str = ACME) -> MachineDoor:
    """A machine that may manage machines, or has just these scopes."""
    client, secret = await suite.add_machine(*(scopes or ADMIN), tenant_id=tenant_id)
    return MachineDoor(suite, await suite.machine_token(client, secret))
