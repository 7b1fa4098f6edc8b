"""The cluster stand-in."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from local import broker
from local.broker import Subscription
from local.cluster import SUBSCRIPTION, Cluster, answer
from shared import events
from shared.bus import TENANT_EVENTS, Message
from shared.errors import Unavailable
from shared.events import CloudEvent
from shared.payloads import StatusReported, StepRequested
from shared.tiers import LIMITS

AT = datetime(2026, 11, 1, tzinfo=UTC)


def _requested(operation_id: str = "op_1", subject: str = "tnt_1") -> bytes:
    step = StepRequested(operation_id, "provision", "acme", "basic", "shared", LIMITS["basic"])
    event = events.make(
        "tenant.step.requested",
        event_id="e1",
        source="//energent/tenants",
        subject=subject,
        time=AT,
        data=step,
    )
    return events.to_message(event).data


def test_a_step_is_reported_as_done_for_its_tenant_and_operation() -> None:
    report = answer(_requested(), lambda: AT)
    assert report is not None
    assert (report.type, report.subject) == ("ai.energent.tenant.status.reported.v1", "tnt_1")
    assert msgspec.json.decode(report.data, type=StatusReported) == StatusReported(
        "op_1", "provision", "succeeded"
    )


def test_the_same_request_gets_the_same_event_and_another_one_another() -> None:
    again, other = answer(_requested(), lambda: AT), answer(_requested("op_2"), lambda: AT)
    first = answer(_requested(), lambda: AT)
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.id == again.id != other.id


@pytest.mark.parametrize(
    "data",
    [
        b'{"id":"e","source":"s","type":"other","time":"2026-11-01T00:00:00Z"}',
        _requested().replace(b"step.requested", b"status.reported"),
    ],
)
def test_any_other_event_on_the_topic_is_left_alone(data: bytes) -> None:
    assert answer(data, lambda: AT) is None


BROKEN = [
    b"junk",
    b"\xff",
    b"[]",
    _requested().replace(b"operation_id", b"operation"),
    _requested()[:-1] + b',"extension":' + b"[" * 3000 + b"]" * 3000 + b"}",
    b'{"id":"a","source":"b","type":"ai.energent.tenant.step.requested.v1","time":"2026-11-22T00:00:00Z",'
    b'"data":' + b"[" * 3000 + b"]" * 3000 + b"}",
    _requested(subject="t" * 1025),
    _requested(subject="../x"),
    _requested().replace(b'"slug":', b'"a\\n\\u001b%b":' % (b"x" * 10_000)),
    _requested("x" * 9_000_000),
]


def test_a_broken_message_is_named_in_a_line_and_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> int:
        async with broker.opened(broker.Options(tmp_path)) as source:
            await source.prepare(SUBSCRIPTION)
            subscriber = source.subscriber(SUBSCRIPTION)
            cluster = Cluster(subscriber, source.bus, lambda: AT, delay_seconds=0)
            await source.bus.publish(TENANT_EVENTS, [Message(data) for data in BROKEN])
            await source.bus.publish(TENANT_EVENTS, [Message(b"", {"a": "b"})])
            taken = await cluster.work()
            assert await subscriber.pending() == 0
            return taken

    assert asyncio.run(story()) == len(BROKEN) + 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(BROKEN) + 1
    assert all(line.startswith("message ") and len(line) < 300 and line.isprintable() for line in lines)


class Down:
    """A bus that nothing can be published to."""

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        raise Unavailable("bus_unavailable", "No answer.")

    async def close(self) -> None: ...


def test_a_request_whose_report_cannot_be_published_comes_again(tmp_path: Path) -> None:
    async def story() -> list[int]:
        async with broker.opened(broker.Options(tmp_path, retry_base_seconds=0.01)) as source:
            await source.prepare(SUBSCRIPTION)
            subscriber = source.subscriber(SUBSCRIPTION)
            await source.bus.publish(TENANT_EVENTS, [Message(_requested())])
            assert await Cluster(subscriber, Down(), lambda: AT, delay_seconds=0).work() == 1
            async with asyncio.timeout(5):
                while not (again := await subscriber.lease(10)):
                    await subscriber.wait()
            return [each.attempt for each in again]

    assert asyncio.run(story()) == [2]


def test_every_message_is_acknowledged_and_only_requests_are_answered(tmp_path: Path) -> None:
    async def story() -> list[CloudEvent]:
        async with broker.opened(broker.Options(tmp_path)) as source:
            tenants = Subscription("tenants", TENANT_EVENTS)
            await source.prepare(SUBSCRIPTION, tenants)
            subscriber = source.subscriber(SUBSCRIPTION)
            cluster = Cluster(subscriber, source.bus, lambda: AT, delay_seconds=0)
            await source.bus.publish(TENANT_EVENTS, [Message(_requested()), Message(b"junk")])
            while await cluster.work():
                pass
            assert await subscriber.pending() == 0
            seen = await source.subscriber(tenants).lease(10)
        return [
            msgspec.json.decode(each.message.data, type=CloudEvent)
            for each in seen
            if each.message.data != b"junk"
        ]

    names = [events.short_name(event.type) for event in asyncio.run(story())]
    assert names == ["tenant.step.requested", "tenant.status.reported"]
