"""Auth's HTTP door as a client of it reaches it."""

import httpx

from shared.logs import Access
from tests.unit.auth.suite import OWNER, PASSWORD, Suite

LOGIN = {"tenant": "acme", "email": OWNER, "password": PASSWORD}


class Door:
    """A client of the function, and the lines it logs."""

    def __init__(self, suite: Suite) -> None:
        self.logged: list[Access] = []
        self._app = suite.app(self.logged.append)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self._app), base_url="https://api.example.test"
        )

    async def bearer(self, **login: str) -> dict[str, str]:
        answer = await self.client.post("/v1/auth/login", json=LOGIN | login)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}
