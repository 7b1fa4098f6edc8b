"""The entry point, put together from its environment."""

import gc
import importlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from functions.auth.machines.operators import Operators
from shared import entry
from shared.ids import utc_now
from shared.objects.files import FileObjects
from shared.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

MAIN = "functions.auth.main"


@pytest.fixture
async def main(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> AsyncIterator[ModuleType]:
    """What it opens is closed in the end, and the garbage collector stays as it is for other tests."""
    settings = {
        "BACKEND": "embedded",
        "DOORS": "both",
        "ENVIRONMENT": "test",
        "PUBLIC_URL": "http://127.0.0.1:8080",
        "DATA_DIR": str(tmp_path),
        "EVENTS_KEYS": f"file:{tmp_path}/jwks.json",
        "EVENTS_ISSUER": "http://127.0.0.1/local-relay",
        "EVENTS_AUDIENCE": "http://127.0.0.1:8081",
        "EVENTS_CALLER": "relay@local.invalid",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("shared.logs.configure", lambda *settings: None)
    for name in ("freeze", "set_threshold"):
        monkeypatch.setattr(gc, name, lambda *given: None)
    opened: list[Any] = []
    for name in ("open_store", "open_bus"):
        monkeypatch.setattr(entry, name, kept(getattr(entry, name), opened))
    sys.modules.pop(MAIN, None)
    yield importlib.import_module(MAIN)
    sys.modules.pop(MAIN, None)
    for each in opened:
        await each.close()


def kept(opening: Callable[..., Any], opened: list[Any]) -> Callable[..., Any]:
    def keep(*given: Any) -> Any:
        opened.append(opening(*given))
        return opened[-1]

    return keep


def client(main: ModuleType) -> httpx.AsyncClient:
    framework = Starlette(routes=[Route("/{path:path}", main.auth_handler, methods=["GET", "POST"])])
    return httpx.AsyncClient(transport=httpx.ASGITransport(framework), base_url="http://127.0.0.1:8080")


async def test_the_function_makes_its_keys_signs_an_operator_in_and_knows_it_again(
    main: ModuleType, tmp_path: Path
) -> None:
    store = SqliteStore(tmp_path / "store.db", ())
    credentials = await Operators(store, utc_now).bootstrap()
    await store.close()
    async with client(main) as http:
        form = {"grant_type": "client_credentials"}
        tokens = (await http.post("/oauth2/token", data=form, auth=credentials)).json()
        me = await http.get("/v1/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
        assert (me.json()["tenant_id"], me.json()["roles"]) == ("platform", ["operator"])
        published = (await http.get("/.well-known/jwks.json")).content
        assert len(json.loads(published)["keys"]) == 1
        copied = await FileObjects(tmp_path / "objects").get("jwks.json")
        assert copied is not None
        assert copied.data == published
        assert (await http.post("/", json={})).status_code == 401


async def test_a_start_that_fails_is_tried_again_with_the_next_request(
    main: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S1: and what the failed one had opened is closed."""
    closed = []

    class Closing(SqliteStore):
        async def close(self) -> None:
            closed.append(self)
            await super().close()

    async with client(main) as http:
        with monkeypatch.context() as broken:
            broken.setattr("shared.store.sqlite.SqliteStore", Closing)
            broken.setattr(main, "UseCases", lambda ports: None)
            refused = await http.get("/v1/me")
            assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
            assert len(closed) == 1
        assert (await http.get("/health")).status_code == 200


def test_a_missing_setting_stops_the_start_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BACKEND", raising=False)
    sys.modules.pop(MAIN, None)
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(MAIN)
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "auth: BACKEND is not set\n"
