"""The stand-in as a server: its parts put together, and run on a socket of 127.0.0.1."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from local.stripe import control, hosted_page
from local.stripe.account import Account
from local.stripe.answers import Transport
from local.stripe.api import Api
from local.stripe.control import Control
from local.stripe.storage import Storage
from local.stripe.webhooks import Endpoint, Webhooks

HOST = "127.0.0.1"
API_VERSION = stripe.api_version
COLLECT_SECONDS = 0.5
DATABASE = "stripe.db"


class Settings(msgspec.Struct, frozen=True):
    """`data_dir` None: nothing is kept. `advance_seconds`: the pauses of automatic collection."""

    api_key: str
    webhooks: Endpoint = Endpoint()
    data_dir: Path | None = None
    advance_seconds: int = 3600


class StandIn:
    """One account behind one port."""

    def __init__(self, settings: Settings, port: int) -> None:
        if settings.data_dir is not None:
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._storage = Storage(None if settings.data_dir is None else settings.data_dir / DATABASE)
        account = Account(
            self._storage,
            api_version=API_VERSION,
            base_url=f"http://{HOST}:{port}",
            advance_seconds=settings.advance_seconds,
        )
        self._webhooks = Webhooks(account, settings.webhooks)
        self._api = Api(account, self._webhooks, settings.api_key)
        self._control = Control(account, self._api, self._webhooks)
        page = hosted_page.HostedPage(account, self._webhooks)
        self.app = Starlette(
            routes=[*self._control.routes, page.route, Route("/{path:path}", _Everything(self._api))],
            exception_handlers={msgspec.DecodeError: control.refused},
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._webhooks.run()), asyncio.create_task(self._collect())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._storage.close()

    async def _collect(self) -> None:
        while True:
            await asyncio.sleep(COLLECT_SECONDS)
            self._control.advance()


class _Everything:
    """The API as an application, so that it is asked with any method."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._api.answer(Request(scope, receive))
        await response(scope, receive, send)


def server(settings: Settings, port: int, *, log_level: str = "warning") -> uvicorn.Server:
    """Not yet started; `run` or `serve` take the socket that listens on the port."""
    config = uvicorn.Config(
        StandIn(settings, port).app,
        http=Transport,
        lifespan="on",
        log_level=log_level,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def listening(port: int = 0) -> socket.socket:
    """A socket of 127.0.0.1 on this port, 0: any free one. Raises `OSError`."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen(128)
    except OSError:
        found.close()
        raise
    return found


@contextlib.contextmanager
def running(settings: Settings, port: int = 0) -> Iterator[str]:
    """The stand-in in a thread of its own, ready when the block begins; its base URL."""
    with listening(port) as found:
        port = found.getsockname()[1]
        serving = server(settings, port)
        thread = threading.Thread(target=serving.run, args=([found],), daemon=True)
        thread.start()
        while not serving.started and thread.is_alive():
            thread.join(0.01)
        try:
            if not serving.started:
                raise RuntimeError("the stand-in for Stripe did not start")
            yield f"http://{HOST}:{port}"
        finally:
            serving.should_exit = True
            thread.join()
