"""A person's browser without scripts: keeps cookies, fills in forms, follows nothing by itself."""

import re
from html import unescape
from types import TracebackType
from urllib.parse import parse_qsl, urlsplit

import httpx

from local.demo.world import DemoFailed

_ACTION = re.compile(r'<form[^>]* action="([^"]+)"')
_INPUT = re.compile(r"<input([^>]*)>")
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')


class Browser:
    """Each has cookies of its own. `page` is what it shows now."""

    def __init__(self, gateway: str) -> None:
        self._http = httpx.AsyncClient(base_url=gateway, timeout=30)
        self.page = httpx.Response(204)

    async def __aenter__(self) -> "Browser":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def open(self, path: str, query: dict[str, str]) -> None:
        self.page = await self._http.get(path, params=query)

    async def send(self, **fields: str) -> None:
        """Sends the form that is shown, with `fields` filled in. Raises `DemoFailed` where there is none."""
        action = self.asks_at
        if not action:
            raise DemoFailed(f"a page without a form: {self.page.status_code} {self.page.text[:400]}")
        inputs = [dict(_ATTRIBUTE.findall(found)) for found in _INPUT.findall(self.page.text)]
        form = {each["name"]: unescape(each.get("value", "")) for each in inputs if "name" in each}
        self.page = await self._http.post(action, data=form | fields)

    @property
    def asks_at(self) -> str:
        """Where the form goes that is shown; empty where there is none."""
        found = _ACTION.search(self.page.text)
        return found[1] if found else ""

    @property
    def sent_to(self) -> tuple[str, dict[str, str]]:
        """The address that the page sends the browser to, and the parameters in it. Raises `DemoFailed`."""
        if self.page.status_code != 303:
            raise DemoFailed(f"no redirect: {self.page.status_code} {self.page.text[:400]}")
        address, _, _ = self.page.headers["location"].partition("?")
        return address, dict(parse_qsl(urlsplit(self.page.headers["location"]).query))
