"""What `python -m local.publish` puts on the bus."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from local import publish
from local.layout import Layout
from shared.bus import BILLING_EVENTS, TENANT_EVENTS, Message
from shared.bus.local import LocalBus
from shared.events import CloudEvent

USAGE = ["usage", "--tenant", "tnt_1", "--meter", "agent_minutes", "--quantity", "3"]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    async def subscribe() -> None:
        bus = LocalBus(Layout(tmp_path).bus)
        await bus.subscribe(BILLING_EVENTS, "billing")
        await bus.subscribe(TENANT_EVENTS, "tenants")
        await bus.close()

    asyncio.run(subscribe())
    return tmp_path


def _published(data_dir: Path, subscription: str = "billing") -> list[Message]:
    async def lease() -> list[Message]:
        bus = LocalBus(Layout(data_dir).bus)
        leased = await bus.lease(subscription, 1000, 60)
        await bus.close()
        return [each.message for each in leased]

    return asyncio.run(lease())


def _run(data_dir: Path, *arguments: str) -> int:
    return publish.main(["--data-dir", str(data_dir), *arguments])


def _data(message: Message) -> Any:
    return msgspec.json.decode(msgspec.json.decode(message.data, type=CloudEvent).data)


def test_usage_goes_out_in_messages_of_500_with_an_id_for_each_event(data_dir: Path) -> None:
    assert _run(data_dir, *USAGE, "--count", "1001", "--time", "2026-10-31T23:59:00+02:00") == 0
    batches = [_data(message)["events"] for message in _published(data_dir)]
    assert sorted(len(batch) for batch in batches) == [1, 500, 500]
    events = [event for batch in batches for event in batch]
    assert len({event.pop("id") for event in events}) == 1001
    assert {json.dumps(event, sort_keys=True) for event in events} == {
        '{"meter": "agent_minutes", "quantity": 3, "time": "2026-10-31T21:59:00Z"}'
    }


def test_a_decimal_quantity_stays_exact(data_dir: Path) -> None:
    assert _run(data_dir, *USAGE[:-1], "0.100000") == 0
    assert _data(_published(data_dir)[0])["events"][0]["quantity"] == "0.100000"


def test_a_close_names_tenant_and_month(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(data_dir, "close", "--tenant", "tnt_1", "--period", "2026-10") == 0
    event = msgspec.json.decode(_published(data_dir)[0].data, type=CloudEvent)
    assert (event.type, event.subject) == ("ai.energent.billing.close.requested.v1", "tnt_1")
    assert msgspec.json.decode(event.data) == {"period": "2026-10"}
    assert "billing-events  ai.energent.billing.close.requested.v1  tnt_1" in capsys.readouterr().out


def test_events_go_to_every_topic_of_their_type(data_dir: Path) -> None:
    event = {
        "id": "e1",
        "source": "//test",
        "type": "ai.energent.invoice.finalized.v1",
        "time": "2026-11-01T00:00:00Z",
        "subject": "tnt_1",
        "data": {"n": 1},
    }
    file = data_dir / "events.jsonl"
    file.write_text(f"{json.dumps(event)}\n\n")
    assert _run(data_dir, "event", str(file)) == 0
    assert [_data(message) for message in _published(data_dir)] == [{"n": 1}]
    assert len(_published(data_dir, "tenants")) == 1


def test_lines_for_a_topic_are_sent_as_they_are_even_when_broken(data_dir: Path) -> None:
    file = data_dir / "events.jsonl"
    file.write_text("{broken\n")
    assert _run(data_dir, "event", str(file), "--topic", "billing-events") == 0
    assert [message.data for message in _published(data_dir)] == [b"{broken"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": 1}', "line 1 is no CloudEvent"),
        (
            '{"id":"e","source":"s","type":"other","time":"2026-11-01T00:00:00Z"}',
            "line 1: no topic is known for type 'other'",
        ),
        ("\xff", "not UTF-8"),
    ],
)
def test_a_file_with_one_wrong_line_publishes_nothing(
    data_dir: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    file = data_dir / "events.jsonl"
    file.write_bytes(text.encode("latin-1"))
    assert _run(data_dir, "event", str(file)) == 1
    assert message in capsys.readouterr().err
    assert _published(data_dir) == []


def test_what_pubsub_would_refuse_is_refused_before_anything_is_published(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = data_dir / "events.jsonl"
    file.write_text("{}\n" + "x" * 10_000_001)
    assert _run(data_dir, "event", str(file), "--topic", "billing-events") == 1
    assert "Pub/Sub would not take it" in capsys.readouterr().err
    assert _published(data_dir) == []


def test_a_folder_without_a_bus_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path, *USAGE) == 1
    assert "make run" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*USAGE[:-1], "0"], "no number above 0"),
        ([*USAGE[:-1], "0.0"], "no number above 0"),
        ([*USAGE[:-1], "-1"], "no number above 0"),
        ([*USAGE[:-1], "1.2345678"], "no number above 0"),
        ([*USAGE, "--time", "yesterday"], "no time like"),
        ([*USAGE, "--time", "2026-10-31T00:00:00"], "no time zone"),
        ([*USAGE, "--count", "0"], "no number from 1"),
        (["close", "--tenant", "tnt/1", "--period", "2026-10"], "no tenant id"),
        (["close", "--tenant", "tnt_1", "--period", "2026-13"], "no month like"),
    ],
)
def test_a_wrong_argument_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        _run(tmp_path, *arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
