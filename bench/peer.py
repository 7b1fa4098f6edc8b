"""Other people's servers, each started alone on the core that our functions are measured on."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench.server import READY_SECONDS, pinned
from local.ports import HOST, Reservation
from local.processes import Server

FOLDER = Path(__file__).parent / "peers"
PYTHON = FOLDER.parents[1] / ".venv-peers" / "bin"
ACCESS_TOKENS = ("jwt", "opaque")


class Peer(msgspec.Struct, frozen=True):
    """One that listens: its port, and what it has made for the load (client, tokens, cookie)."""

    port: int
    made: dict[str, Any]


def missing() -> str:
    """What to do before peers can be started; empty where nothing is missing."""
    if shutil.which("node") is None:
        return "Node.js 20 or newer is not on the PATH."
    if not (FOLDER / "node_modules").is_dir() or not PYTHON.is_dir():
        return "Install the peers with `make peers`."
    return ""


@asynccontextmanager
async def oidc_provider(scratch: Path, sessions: int, access_tokens: str) -> AsyncIterator[Peer]:
    """npm oidc-provider with its in-memory store; `access_tokens` is one of `ACCESS_TOKENS`."""
    async with _node("oidc_provider.mjs", scratch, str(sessions), access_tokens) as peer:
        yield peer


@asynccontextmanager
async def better_auth(scratch: Path) -> AsyncIterator[Peer]:
    """npm better-auth with its in-memory store."""
    async with _node("better_auth.mjs", scratch) as peer:
        yield peer


@asynccontextmanager
async def django_oauth(scratch: Path) -> AsyncIterator[Peer]:
    """django-oauth-toolkit on SQLite under gunicorn with one worker of one thread, as fast as it gets."""
    folder = scratch / "django"
    folder.mkdir(exist_ok=True)
    env = {**_env(scratch), "PEER_FOLDER": str(folder)}
    (folder / "peer.db").unlink(missing_ok=True)
    python = str(PYTHON / "python")
    made = await asyncio.to_thread(
        subprocess.run, [python, "django_oauth.py"], cwd=FOLDER, env=env, check=True, capture_output=True
    )
    port = _free_port()
    command = (str(PYTHON / "gunicorn"), "--bind", f"{HOST}:{port}", "--keep-alive", "60", "--threads", "16")
    server = Server(
        name="django-oauth-toolkit",
        command=(*command, "django_oauth:application"),
        cwd=FOLDER,
        env=env,
        log=scratch / "django.log",
    )
    async with pinned(server, port):
        yield Peer(port, msgspec.json.decode(made.stdout))


@asynccontextmanager
async def _node(script: str, scratch: Path, *arguments: str) -> AsyncIterator[Peer]:
    port = _free_port()
    log = scratch / f"{script}-{port}.log"
    node = shutil.which("node") or "node"
    server = Server(
        name=script,
        command=(node, script, str(port), *arguments),
        cwd=FOLDER,
        env={**_env(scratch), "NODE_ENV": "production"},
        log=log,
    )
    async with pinned(server, port):
        async with asyncio.timeout(READY_SECONDS):
            while not (lines := [line for line in log.read_text().splitlines() if line.startswith("{")]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield Peer(port, msgspec.json.decode(lines[0]))


def _env(scratch: Path) -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(scratch)}


def _free_port() -> int:
    held = Reservation.take()
    held.release()
    return held.port
