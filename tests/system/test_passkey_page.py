"""A passkey on the hosted pages in a real browser, which takes one for `localhost` and for no IP address."""

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import uvicorn
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests import chromium
from tests.authenticator import Authenticator
from tests.unit.auth.browser import Browser, add_client, request
from tests.unit.auth.second_factor import person
from tests.unit.auth.suite import OWNER, PASSWORD, Suite, running

pytestmark = pytest.mark.anyio


async def test_a_person_signs_in_with_a_passkey_on_the_pages(tmp_path: Path) -> None:
    chromium.installed()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://localhost:{listening.getsockname()[1]}"
        async with running(tmp_path, issuer=address) as suite, served(suite, listening):
            ada, laptop = await person(suite), Authenticator()
            laptop.origin, laptop.rp_id = address, "localhost"
            await ada.enrol_passkey(laptop)
            credential = known_to_chromium(laptop, ada.user.id)
            back = f"{address}/health"
            client_id = await add_client(suite, redirect_uris=(back,))
            asked = request(client_id, redirect_uri=back)
            await asyncio.to_thread(sign_in_twice, tmp_path / "profile", address, asked, credential)


def sign_in_twice(profile: Path, address: str, asked: dict[str, str], credential: dict[str, Any]) -> None:
    """With the passkey alone, and with the password and the passkey."""
    authorize, back = f"{address}/oauth2/authorize?{urlencode(asked)}", f"{address}/health?code="
    with chromium.running(profile) as tab:
        tab.hold_passkey(credential)
        tab.let_scripts_run(True)
        tab.open(authorize)
        tab.click("#use-passkey")
        assert tab.url.startswith(back), tab.html
        tab.open(f"{authorize}&prompt=login")
        tab.type("#email", OWNER)
        tab.type("#password", PASSWORD)
        tab.press_enter()
        assert "One more step" in tab.html
        tab.click("#use-passkey")
        assert tab.url.startswith(back), tab.html
        assert tab.complaints == []


def known_to_chromium(key: Authenticator, user_id: str) -> dict[str, Any]:
    private = key.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {
        "credentialId": base64.b64encode(key.credential_id).decode(),
        "privateKey": base64.b64encode(private).decode(),
        "userHandle": base64.b64encode(user_id.encode()).decode(),
        "rpId": key.rp_id,
        "signCount": key.count,
        "isResidentCredential": True,
    }


@contextlib.asynccontextmanager
async def served(suite: Suite, listening: socket.socket) -> AsyncIterator[None]:
    app = Browser(suite).app
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield
    server.should_exit = True
    await serving
