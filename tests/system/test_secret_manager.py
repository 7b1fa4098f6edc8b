"""Secret Manager's stand-in as a process of its own."""

import sys
from pathlib import Path

import pytest

from local.ports import HOST, Reservation
from local.processes import Processes, Server
from local.suite import REPOSITORY
from shared.secrets.secret_manager import SecretManager

pytestmark = pytest.mark.anyio


async def test_the_stand_in_is_ready_when_it_takes_connections_and_ends_when_it_is_told(
    tmp_path: Path,
) -> None:
    port = Reservation.take()
    command = (sys.executable, "-m", "local.google.secret_manager", "--port", str(port.port))
    host = f"{HOST}:{port.port}"
    log = tmp_path / "log"
    server = Server("secrets", command, REPOSITORY, {}, log, ready_url=f"tcp://{host}")
    processes = Processes(lambda server, sentence: None, lambda: None)
    try:
        await processes.start(server)
        secrets = SecretManager("p", prefix="x-", emulator_host=host)
        assert await secrets.add("key", b"value") == 1
        assert await secrets.access("key", 1) == b"value"
        await secrets.close()
    finally:
        await processes.stop()
        port.release()
    assert log.read_text() == f"Secret Manager's stand-in listens on {host}\n"
