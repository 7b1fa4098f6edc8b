"""The relay between a bus and an event door: each message arrives in Eventarc's shape, or dies in view."""

import asyncio
import json
import os
import shutil
import signal
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import broker, relay
from local.relay_identity import KeyFiles, ensure_keys
from shared import envelope
from shared.bus import AUTH_EVENTS, BILLING_EVENTS, TENANT_EVENTS, Message, dead_letters
from shared.caller import CallerCheck, FileKeys
from shared.ids import new_id, utc_now
from tests import relays
from tests.event_server import Answer, EventServer, Push
from tests.relays import Place

pytestmark = pytest.mark.anyio

START_SECONDS = 60.0
"""For a process on a busy machine."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    """Made once: an RSA key takes its time."""
    return ensure_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(params=["embedded", "pubsub-emulator"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, keys: KeyFiles) -> AsyncIterator[Place]:
    shutil.copytree(keys.key.parent, tmp_path / "relay")
    options = broker.Options(tmp_path)
    if request.param == "pubsub-emulator":
        host = request.getfixturevalue("pubsub_emulator")
        options = broker.Options(tmp_path, host, new_id("project").replace("_", "-"))
    async with relays.opened(options) as opened:
        yield opened


def is_dead(push: Push) -> bool:
    return dead_letters.SOURCE_SUBSCRIPTION in push.body["message"]["attributes"]


async def test_a_message_is_pushed_as_eventarc_does_and_its_sender_is_proven(place: Place) -> None:
    server = EventServer()
    url = await server.start()
    async with place.relaying(f"--billing={url}"):
        await place.bus.publish(BILLING_EVENTS, [Message(b"\x00\xff", {"type": "t"})])
        await place.until_drained()
    await server.stop()
    (push,) = server.pushes
    assert push.target == "POST / HTTP/1.1"
    assert push.headers["content-type"] == "application/json"
    assert push.headers["ce-specversion"] == "1.0"
    assert push.headers["ce-type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert (
        push.headers["ce-source"] == f"//pubsub.googleapis.com/projects/{place.project}/topics/billing-events"
    )
    assert push.headers["ce-id"] == push.body["message"]["messageId"]
    assert push.headers["ce-time"] == push.body["message"]["publishTime"]
    assert push.headers["ce-time"].endswith("Z")
    taken = envelope.parse(push.headers, push.raw, 10_000)
    assert (taken.data, taken.attributes, taken.topic) == (b"\x00\xff", {"type": "t"}, BILLING_EVENTS)
    assert taken.subscription == f"projects/{place.project}/subscriptions/billing-events-push"
    assert taken.attempt == 1
    keys = FileKeys(ensure_keys(place.data_dir).jwks)
    check = CallerCheck("http://127.0.0.1/local-relay", url, "relay@local.invalid", keys, utc_now)
    check.check(push.headers)


async def test_every_topic_goes_to_its_function(place: Place) -> None:
    servers = {name: EventServer() for name in ("auth", "billing", "tenants")}
    urls = [f"--{name}={await server.start()}/" for name, server in servers.items()]
    async with place.relaying(*urls):
        for topic in (AUTH_EVENTS, BILLING_EVENTS, TENANT_EVENTS):
            await place.bus.publish(topic, [Message(topic.encode())])
        for server in servers.values():
            await server.until(lambda server=server: bool(server.pushes))  # type: ignore[misc]
    for server in servers.values():
        await server.stop()
    assert [server.datas for server in servers.values()] == [
        [b"auth-events"],
        [b"billing-events"],
        [b"tenant-events"],
    ]


async def test_what_fails_comes_again_and_says_which_try_it_is(place: Place) -> None:
    answers: list[Answer] = [503, "drop", 500, 204]

    async def answer(push: Push) -> Answer:
        attempt: int = push.body["deliveryAttempt"]
        return answers[attempt - 1]

    server = EventServer(answer)
    async with place.relaying(f"--billing={await server.start()}"):
        await place.publish(3)
        await place.until_drained()
    await server.stop()
    tries = sorted((push.data, push.body["deliveryAttempt"]) for push in server.pushes)
    assert tries == [(data, attempt) for data in (b"0", b"1", b"2") for attempt in (1, 2, 3, 4)]
    assert len({push.headers["ce-id"] for push in server.pushes}) == 3


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_a_message_is_done_with_a_success(place: Place, status: int) -> None:
    """P8."""

    async def answer(push: Push) -> Answer:
        return status

    server = EventServer(answer)
    async with place.relaying(f"--billing={await server.start()}"):
        await place.publish(1)
        await place.until_drained()
    await server.stop()
    assert len(server.pushes) == 1


async def test_after_five_failures_of_any_kind_a_message_comes_as_a_dead_letter(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """P8, P15. The same door gets it, bare: with a plain push subscription there is no Eventarc."""
    statuses = (202, 205, 302, 400, 401, 404, 429, 500, 503)

    async def answer(push: Push) -> Answer:
        return 204 if is_dead(push) else statuses[int(push.data)]

    server = EventServer(answer)
    async with place.relaying(f"--billing={await server.start()}"):
        datas = await place.publish(len(statuses))
        await place.until_drained()
    await server.stop()
    letters = [push for push in server.pushes if is_dead(push)]
    assert sorted(push.data for push in letters) == datas
    assert len(server.pushes) == 6 * len(statuses)
    for push in letters:
        (first,) = {
            each.headers["ce-time"] for each in server.pushes if each.data == push.data and not is_dead(each)
        }
        taken = envelope.parse(push.headers, push.raw, 10_000)
        assert taken.attributes == {
            "CloudPubSubDeadLetterSourceDeliveryCount": "5",
            "CloudPubSubDeadLetterSourceSubscription": "billing-events-push",
            "CloudPubSubDeadLetterSourceSubscriptionProject": place.project,
            "CloudPubSubDeadLetterSourceTopicPublishTime": f"{first[:23]}Z",
        }
        assert taken.subscription.endswith("/subscriptions/billing-events-dead-letter-push")
        assert (taken.topic, taken.attempt) == ("", None)
        assert not [name for name in push.headers if name.startswith("ce-")]
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(lines) == len(statuses)


async def test_a_dead_letter_comes_until_it_is_taken_and_never_dies_again(place: Place) -> None:
    async def answer(push: Push) -> Answer:
        return 204 if len(server.pushes) == 12 else 503

    server = EventServer(answer)
    async with place.relaying(f"--billing={await server.start()}", "--retry-cap-seconds=0.05"):
        await place.publish(1)
        await place.until_drained()
    await server.stop()
    assert [is_dead(push) for push in server.pushes] == [False] * 5 + [True] * 7
    assert len({push.body["message"]["messageId"] for push in server.pushes}) == 2


async def test_an_answer_after_the_deadline_is_a_failure(place: Place) -> None:
    """Finding 9: the first try still runs when the second comes, and nobody waits for it."""
    over = asyncio.Event()

    async def answer(push: Push) -> Answer:
        if push.body["deliveryAttempt"] == 1:
            await over.wait()
        return 204

    server = EventServer(answer)
    async with place.relaying(f"--billing={await server.start()}", "--ack-deadline-seconds=0.2"):
        await place.publish(2)
        await place.until_drained()
    over.set()
    await server.stop()
    assert sorted(server.datas) == [b"0", b"0", b"1", b"1"]


async def test_a_function_that_is_away_costs_no_message_an_attempt(place: Place) -> None:
    """With delays of 0.02 s five attempts are over in 0.3 s, and the function is away for longer."""
    server = EventServer()
    url = await server.start()
    await server.stop()
    async with place.relaying(f"--billing={url}"):
        datas = await place.publish(80)
        await asyncio.sleep(0.6)
        await server.start(int(url.rpartition(":")[2]))
        await place.until_drained()
    await server.stop()
    assert sorted(server.datas) == sorted(datas)
    assert {push.body["deliveryAttempt"] for push in server.pushes} == {1}


async def test_a_function_that_hangs_up_for_a_while_costs_hardly_a_message_its_attempts(
    place: Place,
) -> None:
    since = 0.0

    async def answer(push: Push) -> Answer:
        nonlocal since
        since = since or time.monotonic()
        return 204 if time.monotonic() > since + 0.6 else "drop"

    server = EventServer(answer)
    async with place.relaying(f"--billing={await server.start()}"):
        datas = await place.publish(100)
        await place.until_drained()
    await server.stop()
    assert set(server.datas) == set(datas)
    assert 1 < len(server.pushes) - len(datas) <= 20
    assert not any(is_dead(push) for push in server.pushes)


async def test_a_failure_that_nobody_foresaw_loses_no_message(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is closed while it is made can reach us as an AttributeError of the library below."""
    server = EventServer()
    url = await server.start()
    post = httpx.AsyncClient.post
    failures = iter([AttributeError("'NoneType' object has no attribute 'getpeername'")])

    async def once_broken(*arguments: Any, **options: Any) -> Any:
        for failure in failures:
            raise failure
        return await post(*arguments, **options)

    monkeypatch.setattr(httpx.AsyncClient, "post", once_broken)
    (data,) = await place.publish(1)
    async with place.relaying(f"--billing={url}"):
        await place.until_drained()
    await server.stop()
    assert server.datas == [data]


async def test_a_function_that_dies_over_a_message_gets_it_five_times_and_the_others_once(
    place: Place,
) -> None:
    async def answer(push: Push) -> Answer:
        return "drop" if push.data == b"3" and not is_dead(push) else 204

    server = EventServer(answer)
    async with place.relaying(f"--billing={await server.start()}"):
        await place.publish(10)
        await place.until_drained()
    await server.stop()
    assert [server.datas.count(b"%d" % number) for number in range(10)] == [1, 1, 1, 6, 1, 1, 1, 1, 1, 1]


async def test_several_deliveries_are_in_flight_and_no_more_than_allowed(place: Place) -> None:
    gate = asyncio.Event()

    async def answer(push: Push) -> Answer:
        await gate.wait()
        return 204

    server = EventServer(answer)
    async with place.relaying(f"--billing={await server.start()}"):
        datas = await place.publish(30)
        await server.until(lambda: len(server.pushes) == 8)
        await asyncio.sleep(0.1)
        assert len(server.pushes) == 8
        gate.set()
        await place.until_drained()
    await server.stop()
    assert sorted(server.datas) == sorted(datas)
    assert server.busiest == 8


async def test_a_slow_message_holds_no_other_up(place: Place) -> None:
    gate = asyncio.Event()

    async def answer(push: Push) -> Answer:
        if push.data == b"0":
            await gate.wait()
        return 204

    server = EventServer(answer)
    async with place.relaying(f"--billing={await server.start()}", "--in-flight=2"):
        datas = await place.publish(20)
        await server.until(lambda: len(server.pushes) == 20)
        gate.set()
        await place.until_drained()
    await server.stop()
    assert sorted(server.datas) == sorted(datas)


async def test_a_new_message_is_on_its_way_at_once(place: Place) -> None:
    server = EventServer()
    waits = []
    async with place.relaying(f"--billing={await server.start()}"):
        await place.publish(1)
        await place.until_drained()
        for number in range(1, 8):
            await asyncio.sleep(0.03)
            started = time.monotonic()
            await place.publish(1, number)
            await server.until(lambda number=number: len(server.pushes) > number)  # type: ignore[misc]
            waits.append(time.monotonic() - started)
    await server.stop()
    assert statistics.median(waits) < 0.25


async def test_the_schedules_are_published_by_the_clock(place: Place) -> None:
    servers = {name: EventServer() for name in ("auth", "billing", "tenants")}
    urls = [f"--{name}={await server.start()}" for name, server in servers.items()]
    async with place.relaying(*urls, "--sweep-seconds=0.2", "--tick-seconds=0.3"):
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


async def test_on_sigterm_it_finishes_what_is_in_flight_and_ends_cleanly(place: Place) -> None:
    async def answer(push: Push) -> Answer:
        await asyncio.sleep(0.5)
        return 204

    server = EventServer(answer)
    await place.publish(20)
    with place.relay_process(f"--billing={await server.start()}") as running:
        await server.until(lambda: len(server.pushes) == 8, START_SECONDS)
        running.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(running.wait, 10) == 0
        assert running.stdout is not None
        assert running.stdout.read() == ""
    await server.stop()
    assert len(server.pushes) == 8
    rest = place.source.subscriber(relay.subscriptions("billing")[0])
    assert len(await rest.lease(100)) == 12
    await rest.close()


@pytest.mark.parametrize("place", ["pubsub-emulator"], indirect=True)
async def test_what_waits_for_its_next_try_is_given_back_when_it_stops(place: Place) -> None:
    async def answer(push: Push) -> Answer:
        return 503

    server = EventServer(answer)
    async with place.relaying(f"--billing={await server.start()}", "--retry-base-seconds=60"):
        await place.publish(3)
        await server.until(lambda: len(server.pushes) == 3)
    await server.stop()
    rest = place.source.subscriber(relay.subscriptions("billing")[0])
    assert len(await rest.lease(100)) == 3
    await rest.close()


async def test_killed_again_and_again_it_loses_nothing(place: Place) -> None:
    """P18. What it held comes again when its lease is over; until then nobody calls it drained."""

    async def answer(push: Push) -> Answer:
        await asyncio.sleep(0.002)
        return 204

    server = EventServer(answer)
    datas = await place.publish(150)
    arguments = (f"--billing={await server.start()}", "--ack-deadline-seconds=0.2", "--in-flight=4")
    for pushed in (1, 40):
        with place.relay_process(*arguments) as running:
            await server.until(
                lambda pushed=pushed: len(server.pushes) >= pushed,  # type: ignore[misc]
                START_SECONDS,
            )
            os.kill(running.pid, signal.SIGKILL)
    assert len(set(server.datas)) < 150
    async with place.relaying(*arguments):
        await place.until_drained()
    await server.stop()
    assert set(server.datas) == set(datas)
    assert not any(is_dead(push) for push in server.pushes)


async def test_it_tells_what_is_not_acknowledged_yet(place: Place) -> None:
    """Published, in flight and between two tries all count; what is not a question is not answered."""
    answers: list[Answer] = [503, 204]
    gate = asyncio.Event()

    async def answer(push: Push) -> Answer:
        await gate.wait()
        attempt: int = push.body["deliveryAttempt"]
        return answers[attempt - 1]

    server = EventServer(answer)
    arguments = (f"--billing={await server.start()}", "--in-flight=2", "--retry-base-seconds=0.5")
    async with place.relaying(*arguments):
        assert await place.pending() == {"billing-events-push": 0, "billing-events-dead-letter-push": 0}
        await place.publish(3)
        assert (await place.pending())["billing-events-push"] > 0
        gate.set()
        await server.until(lambda: len(server.pushes) == 3)
        assert (await place.pending())["billing-events-push"] > 0
        await place.until_drained()
        assert len(server.pushes) == 6
        async with httpx.AsyncClient(base_url=place.url, trust_env=False) as client:
            assert (await client.get("/other")).status_code == 404
            assert (await client.post("/pending")).status_code == 404
    await server.stop()


async def test_what_it_says_is_one_json_object_a_line(place: Place) -> None:
    async def answer(push: Push) -> Answer:
        return 204 if is_dead(push) else 500

    server = EventServer(answer)
    await place.bus.publish(BILLING_EVENTS, [Message(b"secret content")])
    with place.relay_process(f"--billing={await server.start()}") as running:
        await server.until(lambda: len(server.pushes) == 6, START_SECONDS)
        await place.until_drained()
        running.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(running.wait, 10) == 0
        assert running.stdout is not None
        lines = running.stdout.read().splitlines()
    await server.stop()
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
        ["--data-dir=/x", "--pubsub=http://127.0.0.1:1"],
        ["--data-dir=/x", "--status-port=65536"],
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
