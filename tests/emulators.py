"""Google's emulators for tests: one of each for a whole run, started when the first test asks for it."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from local import emulators
from local.emulators import Emulators, Missing
from local.ports import HOST, Reservation
from shared.bus import pubsub as pubsub_bus
from tests.loopback import NO_CERTIFICATES

START_SECONDS = 60.0


class Running(msgspec.Struct, frozen=True):
    """An emulator of one's own. `group`: its process group, for signals; a shell leads it, Java follows."""

    host: str
    group: int

    def signal(self, number: signal.Signals) -> None:
        """After a SIGSTOP every thread has stopped: on a busy machine some would still answer for a while."""
        os.killpg(self.group, number)
        while number == signal.SIGSTOP and not self._states() <= {"T", "Z"}:
            time.sleep(0.001)

    def _states(self) -> set[str]:
        """Of all threads of the group."""
        threads = [
            thread
            for process in Path("/proc").glob("[0-9]*")
            if _state_and_group(process / "stat")[1] == self.group
            for thread in (process / "task").glob("*/stat")
        ]
        return {_state_and_group(thread)[0] for thread in threads}


def _state_and_group(stat: Path) -> tuple[str, int]:
    """By proc(5); one that has gone is as good as a zombie."""
    try:
        state, _, group, *_ = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return "Z", 0
    return state, int(group)


def installed() -> Emulators:
    """Skips the test where the emulators are missing; with REQUIRE_EMULATORS=1 it fails instead."""
    try:
        return emulators.find()
    except Missing as missing:
        if os.environ.get("REQUIRE_EMULATORS") == "1":
            pytest.fail(f"REQUIRE_EMULATORS=1, but {missing}", pytrace=False)
        pytest.skip(f"without Google's emulators: {missing}")


@contextlib.contextmanager
def firestore(folder: Path) -> Iterator[Running]:
    """A Firestore emulator; its log is `folder/firestore.log`."""
    with _running(installed().firestore, folder / "firestore.log") as running:
        yield running


@contextlib.contextmanager
def pubsub(folder: Path) -> Iterator[Running]:
    """A Pub/Sub emulator; its log is `folder/pubsub.log`."""
    with _running(installed().pubsub, folder / "pubsub.log") as running:
        yield running


@contextlib.contextmanager
def patience() -> Iterator[None]:
    """Each publish of this process is tried once and has a minute: on a busy machine the emulator may take
    longer than production has, which is the subject of tests/contract/bus/test_pubsub.py alone.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pubsub_bus, "PUBLISH_SECONDS", 60.0)
        patched.setattr(pubsub_bus, "TRY_SECONDS", 60.0)
        yield


@contextlib.contextmanager
def _running(command: Callable[[int], tuple[str, ...]], log: Path) -> Iterator[Running]:
    port = Reservation.take()
    with contextlib.ExitStack() as held, log.open("wb") as out:
        held.callback(port.release)
        process = subprocess.Popen(  # noqa: S603 - found in the Cloud SDK
            command(port.port),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=emulators.environment(),
            process_group=0,
        )
        try:
            _until_up(process, f"http://{HOST}:{port.port}/", log)
            yield Running(f"{HOST}:{port.port}", process.pid)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _until_up(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, trust_env=False, verify=NO_CERTIFICATES).status_code == 200:
                return
        waiting = process.poll() is None and time.monotonic() < deadline
        assert waiting, f"an emulator does not start; it said:\n{log.read_text(errors='replace')[-2000:]}"
        time.sleep(0.05)
