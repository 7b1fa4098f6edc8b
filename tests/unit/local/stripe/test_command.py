"""`python -m local.stripe`: what it is told, what it keeps, and that a kill loses nothing answered."""

import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from local.ports import Reservation
from local.stripe import __main__ as command
from local.stripe.control import Secrets
from tests.unit.local.stripe.receiver import Receiver

ROOT = Path(__file__).resolve().parents[4]


@contextmanager
def started(secrets: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """The process, and a client with its key once it is ready."""
    reservation = Reservation.take()
    port = str(reservation.port)
    line = [sys.executable, "-m", "local.stripe", "--port", port, "--secrets-file", str(secrets), *arguments]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
    try:
        ready(process, client)
        client.headers["authorization"] = f"Bearer {msgspec.json.decode(secrets.read_bytes())['api_key']}"
        yield process, client
    finally:
        client.close()
        process.kill()
        process.wait()
        reservation.release()


def ready(process: subprocess.Popen[bytes], client: httpx.Client) -> None:
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.01)
    pytest.fail("the stand-in did not become ready")


def test_state_keys_and_undelivered_events_outlive_a_kill(tmp_path: Path, receiver: Receiver) -> None:
    secrets, data = tmp_path / "secrets.json", f"--data-dir={tmp_path / 'data'}"
    with started(secrets, data, f"--webhook-url={receiver.url}") as (process, client):
        client.put("/_control/webhooks", json={"hold": True})
        made = client.post("/v1/customers", data={"name": "a"}, headers={"idempotency-key": "k"})
        client.post("/_control/clock", json={"seconds": 3600})
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert receiver.received == []
    with started(secrets, data, f"--webhook-url={receiver.url}") as (process, client):
        again = client.post("/v1/customers", data={"name": "a"}, headers={"idempotency-key": "k"})
        assert (again.content, again.headers["idempotent-replayed"]) == (made.content, "true")
        assert client.get("/_control/clock").json()["now"] > time.time() + 3000
        receiver.until(lambda: len(receiver.received) == 1)
        (secret,) = msgspec.json.decode(secrets.read_bytes(), type=Secrets).webhook_secrets
        assert receiver.received[0].event(secret).type == "customer.created"
        process.terminate()
        assert process.wait(5) in (0, -signal.SIGTERM)


def test_secrets_are_made_once_for_their_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "made" / "secrets.json"
    made = command.secrets_in(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert command.secrets_in(file) == made
    assert made.api_key.startswith("sk_test_")
    assert made.webhook_secrets[0].startswith("whsec_")
    assert command.secrets_in(tmp_path / "other.json").api_key != made.api_key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"api_key": "sk_live_1234", "webhook_secrets": ["a"]}',
        '{"api_key": "sk_test_1234", "webhook_secrets": []}',
    ],
)
def test_b27_secrets_that_cannot_be_used_are_refused(tmp_path: Path, capsys: Any, text: str) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(text)
    assert command.main(["--secrets-file", str(file), "--port", "0"]) == 1
    said = capsys.readouterr().err
    assert "must hold" in said
    assert "1234" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--secrets-file=x", "--port=70000"],
        ["--secrets-file=x", "--port=-1"],
        ["--secrets-file=x", "--webhook-url=localhost:80"],
        ["--secrets-file=x", "--advance-seconds=-1"],
        ["--secrets-file=x", "--retry-base-seconds=0"],
        ["--secrets-file=x", "--retry-cap-seconds=nan"],
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2


def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: Any) -> None:
    with started(tmp_path / "secrets.json") as (_, client):
        taken = str(client.base_url.port)
        assert command.main(["--secrets-file", str(tmp_path / "secrets.json"), "--port", taken]) == 1
    assert f"port {taken}: Address already in use" in capsys.readouterr().err


def test_a_folder_that_holds_no_state_of_its_own_is_refused(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "stripe.db").write_text("not a database" * 100)
    secrets = f"--secrets-file={tmp_path / 'secrets.json'}"
    assert command.main([secrets, "--port=0", f"--data-dir={tmp_path}"]) == 1
    assert "cannot hold the state" in capsys.readouterr().err
    assert command.main([f"--secrets-file={tmp_path}", "--port=0"]) == 1
    assert "Is a directory" in capsys.readouterr().err
