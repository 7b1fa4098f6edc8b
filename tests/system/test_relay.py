"""The relay between a bus and an event door: each message arrives in Eventarc's shape, or dies in view."""

import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from local import relay
from local.relay_identity import KeyFiles, ensure_keys
from shared import envelope
from shared.bus import AUTH_EVENTS, BILLING_EVENTS, TENANT_EVENTS, Message
from shared.bus.local import LocalBus
from shared.caller import CallerCheck, FileKeys
from shared.ids import utc_now
from tests.event_server import Answer, EventServer, Push

pytestmark = pytest.mark.anyio

SUBSCRIPTION = "billing-events-push"
REPOSITORY = Path(__file__).resolve().parents[2]
QUIET = ("--sweep-seconds=0", "--tick-seconds=0", "--retry-base-seconds=0.02")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    """Made once: an RSA key takes its time."""
    return ensure_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def data_dir(tmp_path: Path, keys: KeyFiles) -> Path:
    shutil.copytree(keys.key.parent, tmp_path / "relay")
    return tmp_path


@asynccontextmanager
async def relaying(data_dir: Path, *arguments: str) -> AsyncIterator[LocalBus]:
    """A relay in this process, and a bus to publish with."""
    await relay.prepare(data_dir)
    stop = asyncio.Event()
    options = relay.options([f"--data-dir={data_dir}", *QUIET, *arguments])
    running = asyncio.create_task(relay.run(options, stop))
    bus = LocalBus(data_dir / "bus.db")
    try:
        yield bus
    finally:
        stop.set()
        await running
        await bus.close()


@contextmanager
def relay_process(data_dir: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "local.relay", f"--data-dir={data_dir}", *QUIET, *arguments]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)  # noqa: S603
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        if running.stdout:
            running.stdout.close()


async def until_empty(bus: LocalBus, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while await bus.pending(SUBSCRIPTION):  # noqa: ASYNC110 - another process empties it
            await asyncio.sleep(0.01)


async def publish(bus: LocalBus, count: int, start: int = 0) -> list[bytes]:
    datas = [b"%d" % number for number in range(start, start + count)]
    await bus.publish(BILLING_EVENTS, [Message(data) for data in datas])
    return datas


async def test_a_message_is_pushed_as_eventarc_does_and_its_sender_is_proven(data_dir: Path) -> None:
    server = EventServer()
    url = await server.start()
    async with relaying(data_dir, f"--billing={url}") as bus:
        await bus.publish(BILLING_EVENTS, [Message(b"\x00\xff", {"type": "t"})])
        await until_empty(bus)
    await server.stop()
    (push,) = server.pushes
    assert push.target == "POST / HTTP/1.1"
    assert push.headers["content-type"] == "application/json"
    assert push.headers["ce-specversion"] == "1.0"
    assert push.headers["ce-type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert push.headers["ce-source"] == "//pubsub.googleapis.com/projects/local/topics/billing-events"
    assert push.headers["ce-id"] == push.body["message"]["messageId"]
    assert push.headers["ce-time"] == push.body["message"]["publishTime"]
    assert push.headers["ce-time"].endswith("Z")
    taken = envelope.parse(push.headers, push.raw, 10_000)
    assert (taken.data, taken.attributes, taken.topic) == (b"\x00\xff", {"type": "t"}, BILLING_EVENTS)
    assert taken.subscription == "projects/local/subscriptions/billing-events-push"
    assert taken.attempt == 1
    keys = FileKeys(ensure_keys(data_dir).jwks)
    check = CallerCheck("http://127.0.0.1/local-relay", url, "relay@local.invalid", keys, utc_now)
    check.check(push.headers)


async def test_every_topic_goes_to_its_function(data_dir: Path) -> None:
    servers = {name: EventServer() for name in ("auth", "billing", "tenants")}
    urls = [f"--{name}={await server.start()}/" for name, server in servers.items()]
    async with relaying(data_dir, *urls) as bus:
        for topic in (AUTH_EVENTS, BILLING_EVENTS, TENANT_EVENTS):
            await bus.publish(topic, [Message(topic.encode())])
        for server in servers.values():
            await server.until(lambda server=server: bool(server.pushes))  # type: ignore[misc]
    for server in servers.values():
        await server.stop()
    assert [server.datas for server in servers.values()] == [
        [b"auth-events"],
        [b"billing-events"],
        [b"tenant-events"],
    ]


async def test_what_fails_comes_again_and_says_which_try_it_is(data_dir: Path) -> None:
    answers: list[Answer] = [503, "drop", 500, 204]

    async def answer(push: Push) -> Answer:
        attempt: int = push.body["deliveryAttempt"]
        return answers[attempt - 1]

    server = EventServer(answer)
    async with relaying(data_dir, f"--billing={await server.start()}") as bus:
        await publish(bus, 3)
        await until_empty(bus)
        assert await bus.dead_letters() == []
    await server.stop()
    tries = sorted((push.data, push.body["deliveryAttempt"]) for push in server.pushes)
    assert tries == [(data, attempt) for data in (b"0", b"1", b"2") for attempt in (1, 2, 3, 4)]
    assert len({push.headers["ce-id"] for push in server.pushes}) == 3


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_a_message_is_done_with_a_success(data_dir: Path, status: int) -> None:
    """P8."""

    async def answer(push: Push) -> Answer:
        return status

    server = EventServer(answer)
    async with relaying(data_dir, f"--billing={await server.start()}") as bus:
        await publish(bus, 1)
        await until_empty(bus)
    await server.stop()
    assert len(server.pushes) == 1


async def test_after_five_failures_of_any_kind_a_message_is_a_dead_letter(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """P8, P15."""
    statuses = (202, 205, 302, 400, 401, 404, 429, 500, 503)

    async def answer(push: Push) -> Answer:
        return statuses[int(push.data)]

    server = EventServer(answer)
    async with relaying(data_dir, f"--billing={await server.start()}") as bus:
        await publish(bus, len(statuses))
        await until_empty(bus)
        dead = await bus.dead_letters()
    await server.stop()
    assert len(server.pushes) == 5 * len(statuses)
    assert sorted(letter.last_status for letter in dead) == sorted(map(str, statuses))
    assert {letter.attempts for letter in dead} == {5}
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(lines) == len(statuses)


async def test_an_answer_after_the_deadline_is_a_failure(data_dir: Path) -> None:
    """Finding 9: the first try may still run when the second comes."""

    async def answer(push: Push) -> Answer:
        if push.body["deliveryAttempt"] == 1:
            await asyncio.sleep(5)
        return 204

    server = EventServer(answer)
    started = time.monotonic()
    async with relaying(data_dir, f"--billing={await server.start()}", "--ack-deadline-seconds=0.2") as bus:
        await publish(bus, 2)
        await until_empty(bus)
    assert time.monotonic() - started < 4
    await server.stop()
    assert sorted(server.datas) == [b"0", b"0", b"1", b"1"]


async def test_a_function_that_is_not_there_yet_gets_everything_later(data_dir: Path) -> None:
    server = EventServer()
    url = await server.start()
    await server.stop()
    async with relaying(data_dir, f"--billing={url}", "--retry-base-seconds=0.2") as bus:
        datas = await publish(bus, 5)
        await asyncio.sleep(0.3)
        await server.start(int(url.rpartition(":")[2]))
        await until_empty(bus)
    await server.stop()
    assert sorted(server.datas) == datas


async def test_a_function_that_restarts_costs_hardly_a_message_its_attempts(data_dir: Path) -> None:
    """With delays of 0.02 s five attempts are over in 0.3 s, and the function is away for longer."""
    server = EventServer()
    url = await server.start()
    await server.stop()
    async with relaying(data_dir, f"--billing={url}") as bus:
        datas = await publish(bus, 200)
        await asyncio.sleep(1.5)
        await server.start(int(url.rpartition(":")[2]))
        await until_empty(bus)
        assert await bus.dead_letters() == []
    await server.stop()
    assert sorted(server.datas) == sorted(datas)
    attempts = [push.body["deliveryAttempt"] for push in server.pushes]
    assert sum(attempt > 1 for attempt in attempts) <= 20


async def test_several_deliveries_are_in_flight_and_no_more_than_allowed(data_dir: Path) -> None:
    gate = asyncio.Event()

    async def answer(push: Push) -> Answer:
        await gate.wait()
        return 204

    server = EventServer(answer)
    async with relaying(data_dir, f"--billing={await server.start()}") as bus:
        datas = await publish(bus, 30)
        await server.until(lambda: len(server.pushes) == 8)
        await asyncio.sleep(0.1)
        assert len(server.pushes) == 8
        gate.set()
        await until_empty(bus)
    await server.stop()
    assert sorted(server.datas) == sorted(datas)
    assert server.busiest == 8


async def test_a_slow_message_holds_no_other_up(data_dir: Path) -> None:
    gate = asyncio.Event()

    async def answer(push: Push) -> Answer:
        if push.data == b"0":
            await gate.wait()
        return 204

    server = EventServer(answer)
    async with relaying(data_dir, f"--billing={await server.start()}", "--in-flight=2") as bus:
        await publish(bus, 20)
        await server.until(lambda: len(server.pushes) == 20)
        gate.set()
        await until_empty(bus)
    await server.stop()


async def test_a_new_message_is_on_its_way_at_once(data_dir: Path) -> None:
    server = EventServer()
    waits = []
    async with relaying(data_dir, f"--billing={await server.start()}") as bus:
        await publish(bus, 1)
        await until_empty(bus)
        for number in range(1, 8):
            await asyncio.sleep(0.03)
            started = time.monotonic()
            await publish(bus, 1, number)
            await server.until(lambda number=number: len(server.pushes) > number)  # type: ignore[misc]
            waits.append(time.monotonic() - started)
    await server.stop()
    assert statistics.median(waits) < 0.25


async def test_the_schedules_are_published_by_the_clock(data_dir: Path) -> None:
    servers = {name: EventServer() for name in ("auth", "billing", "tenants")}
    urls = [f"--{name}={await server.start()}" for name, server in servers.items()]
    async with relaying(data_dir, *urls, "--sweep-seconds=0.2", "--tick-seconds=0.3"):
        for server in servers.values():
            await server.until(lambda server=server: len(server.pushes) >= 4)  # type: ignore[misc]
    for server in servers.values():
        await server.stop()
    types = {}
    for name, server in servers.items():
        found = [envelope.event_of(envelope.parse(p.headers, p.raw, 10_000)) for p in server.pushes]
        assert {event.subject for event in found} == {""}
        assert len({event.id for event in found}) == len(found)
        types[name] = {event.type for event in found}
    sweep, tick = "ai.energent.outbox.sweep.v1", "ai.energent.billing.tick.v1"
    assert types == {"auth": {sweep}, "billing": {sweep, tick}, "tenants": {sweep}}


async def test_on_sigterm_it_finishes_what_is_in_flight_and_ends_cleanly(data_dir: Path) -> None:
    async def answer(push: Push) -> Answer:
        await asyncio.sleep(0.5)
        return 204

    server = EventServer(answer)
    await relay.prepare(data_dir)
    bus = LocalBus(data_dir / "bus.db")
    await publish(bus, 20)
    with relay_process(data_dir, f"--billing={await server.start()}") as running:
        await server.until(lambda: len(server.pushes) == 8)
        running.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(running.wait, 10) == 0
        assert running.stdout is not None
        assert running.stdout.read() == ""
    await server.stop()
    assert len(server.pushes) == 8
    assert await bus.pending(SUBSCRIPTION) == 12
    assert len(await bus.lease(SUBSCRIPTION, 100, 60)) == 12
    await bus.close()


async def test_killed_again_and_again_it_loses_nothing(data_dir: Path) -> None:
    """P18."""

    async def answer(push: Push) -> Answer:
        await asyncio.sleep(0.002)
        return 204

    server = EventServer(answer)
    await relay.prepare(data_dir)
    bus = LocalBus(data_dir / "bus.db")
    datas = await publish(bus, 400)
    arguments = (f"--billing={await server.start()}", "--ack-deadline-seconds=0.2", "--in-flight=4")
    for pushed in (1, 40, 90):
        with relay_process(data_dir, *arguments) as running:
            await server.until(lambda pushed=pushed: len(server.pushes) >= pushed)  # type: ignore[misc]
            os.kill(running.pid, signal.SIGKILL)
    assert await bus.pending(SUBSCRIPTION) > 0
    async with relaying(data_dir, *arguments):
        await until_empty(bus)
    await server.stop()
    assert await bus.dead_letters() == []
    await bus.close()
    assert set(server.datas) == set(datas)


async def test_what_it_says_is_one_json_object_a_line(data_dir: Path) -> None:
    async def answer(push: Push) -> Answer:
        return 500

    server = EventServer(answer)
    await relay.prepare(data_dir)
    bus = LocalBus(data_dir / "bus.db")
    await bus.publish(BILLING_EVENTS, [Message(b"secret content")])
    with relay_process(data_dir, f"--billing={await server.start()}") as running:
        await until_empty(bus)
        running.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(running.wait, 10) == 0
        assert running.stdout is not None
        lines = running.stdout.read().splitlines()
    await server.stop()
    await bus.close()
    entries = [json.loads(line) for line in lines]
    assert [entry["severity"] for entry in entries] == ["WARNING"] * 5 + ["ERROR"]
    assert "500 at attempt 5" in entries[-2]["message"]
    assert "dead letter" in entries[-1]["message"]
    assert "secret content" not in "".join(lines)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--data-dir=/x", "--billing=127.0.0.1:1"],
        ["--data-dir=/x", "--billing=http://127.0.0.1:1/path"],
        ["--data-dir=/x", "--in-flight=0"],
        ["--data-dir=/x", "--ack-deadline-seconds=0"],
        ["--data-dir=/x", "--retry-base-seconds=-1"],
        ["--data-dir=/x", "--sweep-seconds=nan"],
        ["--data-dir=/x", "--tick-seconds=often"],
        ["--data-dir=/x", "--unknown"],
    ],
)
def test_a_wrong_argument_ends_it_with_a_message_that_names_it(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        relay.options(arguments)
    assert ended.value.code == 2
    named = arguments[-1].partition("=")[0] if arguments else "--data-dir"
    assert named in capsys.readouterr().err.splitlines()[-1]
