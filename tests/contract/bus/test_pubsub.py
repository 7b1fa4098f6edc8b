"""The bus on Pub/Sub where it goes wrong: what each of Google's errors means, and who hears what in time."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.pubsub_v1.types import PublishRequest, PublishResponse
from grpc import StatusCode

from shared.bus import BILLING_EVENTS, MAX_MESSAGE_BYTES, Message, size
from shared.bus.pubsub import PubSubBus, batches
from shared.errors import Misconfigured, Unavailable
from tests import emulators
from tests.contract.bus.harness import PubSubHarness
from tests.fault_proxy import Fault, FaultProxy

pytestmark = pytest.mark.anyio
on_shared_emulator = pytest.mark.parametrize("harness", ["pubsub-emulator"], indirect=True)

ONE = [Message(b"one")]


class Publisher(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Pub/Sub's method Publish, answered with the given statuses one after the other, then with success."""

    def __init__(self, *answers: StatusCode | float | None) -> None:
        """A number: no answer for so many seconds. None: success without a message, as if it were cut off."""
        self.requests: list[PublishRequest] = []
        self.routed: list[str] = []
        self._answers = list(answers)

    def service(self, call: Any) -> Any:
        if call.method == "/google.pubsub.v1.Publisher/Publish":
            return grpc.unary_stream_rpc_method_handler(
                self._publish, PublishRequest.deserialize, PublishResponse.serialize
            )
        return None

    async def _publish(self, request: PublishRequest, context: Any) -> AsyncIterator[PublishResponse]:
        self.requests.append(request)
        self.routed.append(dict(context.invocation_metadata())["x-goog-request-params"])
        answer = self._answers.pop(0) if self._answers else StatusCode.OK
        if isinstance(answer, float):
            await asyncio.sleep(answer)
        elif answer not in (StatusCode.OK, None):
            await context.abort(answer, "as the test says")
        if answer is not None:
            yield PublishResponse(message_ids=["1"] * len(request.messages))


@asynccontextmanager
async def publishing_to(publisher: Publisher) -> AsyncIterator[PubSubBus]:
    """Its channel is already there."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([publisher])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    bus = PubSubBus("p", emulator_host=f"127.0.0.1:{port}")
    try:
        yield bus
    finally:
        await bus.close()
        await server.stop(None)


@pytest.mark.parametrize(
    "status",
    [
        StatusCode.UNAVAILABLE,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.ABORTED,
        StatusCode.INTERNAL,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.UNKNOWN,
        None,
    ],
)
async def test_an_outage_that_passes_is_not_noticed_and_one_that_lasts_is_unavailable(
    status: StatusCode | None,
) -> None:
    short, lasting = Publisher(status), Publisher(*[status] * 9)
    async with publishing_to(short) as bus:
        await bus.publish(BILLING_EVENTS, [Message(b"one", {"k": "v"})])
    assert [request.messages[0].data for request in short.requests] == [b"one", b"one"]
    assert short.requests[1].topic == "projects/p/topics/billing-events"
    assert short.routed[1] == "topic=projects%2Fp%2Ftopics%2Fbilling-events", "as AIP-4222 has it"
    assert dict(short.requests[1].messages[0].attributes) == {"k": "v"}
    async with publishing_to(lasting) as bus:
        with pytest.raises(Unavailable) as outage:
            await bus.publish(BILLING_EVENTS, ONE)
    assert (outage.value.code, type(outage.value)) == ("bus_unavailable", Unavailable)
    assert len(lasting.requests) == 3


@pytest.mark.parametrize(
    "status", [StatusCode.NOT_FOUND, StatusCode.PERMISSION_DENIED, StatusCode.UNAUTHENTICATED]
)
async def test_a_topic_that_is_missing_or_forbidden_is_named_in_the_log_and_to_nobody_else(
    status: StatusCode, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher(status)
    async with publishing_to(publisher) as bus:
        with pytest.raises(Misconfigured) as refused:
            await bus.publish(BILLING_EVENTS, ONE)
    assert len(publisher.requests) == 1, "no retry heals it"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "projects/p/topics/billing-events" in caplog.text
    assert "billing" not in refused.value.detail
    assert (refused.value.status, refused.value.code) == (503, "not_ready")


async def test_what_pubsub_takes_for_malformed_is_tried_once_and_said_loudly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    publisher = Publisher(StatusCode.INVALID_ARGUMENT)
    async with publishing_to(publisher) as bus:
        with pytest.raises(Unavailable):
            await bus.publish(BILLING_EVENTS, ONE)
    assert len(publisher.requests) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_no_answer_is_unavailable_within_two_seconds() -> None:
    async with publishing_to(Publisher(*[5.0] * 9)) as bus:
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await bus.publish(BILLING_EVENTS, ONE)
        assert 0.8 < time.monotonic() - started < 2.1


async def test_what_was_published_before_an_outage_is_published() -> None:
    publisher = Publisher(StatusCode.OK, *[StatusCode.UNAVAILABLE] * 9)
    async with publishing_to(publisher) as bus:
        with pytest.raises(Unavailable):
            await bus.publish(BILLING_EVENTS, [Message(b"%d" % number) for number in range(1500)])
    assert [len(request.messages) for request in publisher.requests] == [1000, 500, 500, 500]


async def test_it_connects_before_the_first_publish_which_has_little_time() -> None:
    connected = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    bus = PubSubBus("p", emulator_host=f"{host}:{port}")
    async with asyncio.timeout(5):
        await connected.wait()
    await bus.close()
    server.close()


async def test_many_first_publishes_share_one_connection() -> None:
    connections = 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    bus = PubSubBus("p", emulator_host=f"{host}:{port}")
    outcomes = await asyncio.gather(
        *(bus.publish(BILLING_EVENTS, ONE) for _ in range(50)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert connections < 10, "one, tried again now and then"
    await bus.close()
    server.close()


async def test_a_caller_that_gives_up_while_it_connects_takes_no_other_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The outbox waits 300 ms. Here Google's library waits for somebody to write to its file."""
    credentials = tmp_path / "key.json"
    os.mkfifo(credentials)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
    bus = PubSubBus("p")
    first = asyncio.create_task(bus.publish(BILLING_EVENTS, ONE))
    second = asyncio.create_task(bus.publish(BILLING_EVENTS, ONE))
    await asyncio.sleep(0.05)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    with credentials.open("w") as file:
        file.write("no credentials")
    with pytest.raises(Misconfigured):
        await second
    await bus.close()


async def test_closing_lets_what_is_on_its_way_end() -> None:
    publisher = Publisher(0.3)
    async with publishing_to(publisher) as bus:
        under_way = asyncio.create_task(bus.publish(BILLING_EVENTS, ONE))
        while not publisher.requests:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await bus.close()
        await under_way
        with pytest.raises(Unavailable):
            await bus.publish(BILLING_EVENTS, ONE)


async def test_the_emulators_variable_in_the_environment_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PUBSUB_EMULATOR_HOST", "https_proxy", "http_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    publisher = Publisher()
    async with publishing_to(publisher) as bus:
        await bus.publish(BILLING_EVENTS, ONE)
    assert len(publisher.requests) == 1


async def test_without_credentials_it_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(Misconfigured):
        await PubSubBus("p").publish(BILLING_EVENTS, ONE)
    assert "credentials" in caplog.text


async def test_without_an_emulator_it_goes_to_google(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, service_account: Callable[[Path], Path]
) -> None:
    """Met on the way, at a proxy that lets nobody through."""
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.close()

    proxy = await asyncio.start_server(refuse, "127.0.0.1", 0)
    host, port = proxy.sockets[0].getsockname()
    monkeypatch.setenv("https_proxy", f"http://{host}:{port}")
    monkeypatch.setenv("no_grpc_proxy", "")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(service_account(tmp_path)))
    bus = PubSubBus("p")
    with pytest.raises(Unavailable):
        await bus.publish(BILLING_EVENTS, ONE)
    await bus.close()
    proxy.close()
    assert set(asked) == {b"CONNECT pubsub.googleapis.com:443 HTTP/1.1\r\n"}


@pytest.fixture
def service_account() -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "k",
            "private_key": key.decode(),
            "client_email": "functions@p.iam.gserviceaccount.com",
            "token_uri": "http://127.0.0.1:1/token",
        }
        path = folder / "key.json"
        path.write_text(json.dumps(account))
        return path

    return make


@on_shared_emulator
async def test_replies_that_are_lost_are_heard_of_and_lose_nothing(
    harness: PubSubHarness, pubsub_emulator: str
) -> None:
    """P18, P19: twice is no harm."""
    proxy = FaultProxy(pubsub_emulator)
    server = await proxy.serve()
    await harness.subscribe(BILLING_EVENTS, "all")
    bus = PubSubBus(harness.project, emulator_host=proxy.address)
    await bus.publish(BILLING_EVENTS, [Message(b"0")])
    said = [b"0"]
    for number, fault in enumerate((Fault.LOST_REPLIES, Fault.LOST_REQUESTS, Fault.RESET), start=1):
        proxy.fault = fault
        publishing = asyncio.create_task(bus.publish(BILLING_EVENTS, [Message(b"%d" % number)]))
        while not proxy.losses:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        proxy.fault, proxy.losses = Fault.NONE, 0
        await publishing
        said.append(b"%d" % number)
    arrived = [delivery.message.data for delivery in await harness.receive("all")]
    assert set(arrived) == set(said)
    await bus.close()
    server.close()


@on_shared_emulator
async def test_a_connection_on_which_nothing_comes_back_is_given_up(
    harness: PubSubHarness, pubsub_emulator: str
) -> None:
    proxy = FaultProxy(pubsub_emulator)
    server = await proxy.serve()
    bus = PubSubBus(harness.project, emulator_host=proxy.address)
    await bus.publish(BILLING_EVENTS, ONE)
    proxy.fault = Fault.HALF_DEAD
    publishing = asyncio.create_task(bus.publish(BILLING_EVENTS, ONE))
    await asyncio.sleep(0.3)
    proxy.fault = Fault.NONE
    await publishing
    assert proxy.connections == 2
    await bus.close()
    server.close()


async def test_a_stopped_emulator_is_unavailable_in_two_seconds_and_healed_in_five(tmp_path: Path) -> None:
    """P20."""
    with emulators.pubsub(tmp_path) as running:
        harness = PubSubHarness(running.host)
        await harness.create_topics()
        await harness.subscribe(BILLING_EVENTS, "all")
        bus = harness.open()
        await bus.publish(BILLING_EVENTS, [Message(b"before")])
        running.signal(signal.SIGSTOP)
        started = time.monotonic()
        callers = [bus.publish(BILLING_EVENTS, [Message(b"during")]) for _ in range(20)]
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert time.monotonic() - started < 2.1
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
        running.signal(signal.SIGCONT)
        async with asyncio.timeout(5):
            await bus.publish(BILLING_EVENTS, [Message(b"after")])
        arrived = [delivery.message.data for delivery in await harness.receive("all")]
        assert {b"before", b"after"} <= set(arrived)
        running.signal(signal.SIGKILL)
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await bus.publish(BILLING_EVENTS, ONE)
        assert time.monotonic() - started < 2.1
        await harness.close()


def test_a_batch_keeps_pubsubs_limits_and_the_order() -> None:
    small = [Message(b"%d" % number) for number in range(2500)]
    assert [len(batch) for batch in batches(small)] == [1000, 1000, 500]
    assert [message for batch in batches(small) for message in batch] == small
    mixed = [Message(b"x" * 4_000_000), Message(b"x" * MAX_MESSAGE_BYTES), *[Message(b"x" * 3_300_000)] * 4]
    assert [[size(message) for message in batch] for batch in batches(mixed)] == [
        [4_000_000],
        [9_900_000],
        [3_300_000] * 3,
        [3_300_000],
    ]
    assert list(batches([])) == []
    heavy = [Message(b"", {f"{number:09}": "v" * 90 for number in range(100)})] * 1005
    requests = [{"topic": "t" * 300, "messages": _plain(batch)} for batch in batches(heavy)]
    sizes = [len(PublishRequest.serialize(PublishRequest(request))) for request in requests]
    assert len(sizes) == 2
    assert 9_000_000 < sizes[0] < 10_000_000


def _plain(batch: list[Message]) -> list[dict[str, Any]]:
    return [{"data": message.data, "attributes": message.attributes} for message in batch]
