"""The cluster stand-in and `local.publish` as processes, on the Pub/Sub emulator."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from local import broker, publish, status
from local.broker import Subscription
from local.ports import HOST, Reservation
from shared.bus import TENANT_EVENTS, Message
from shared.ids import new_id
from tests.suite import until

REPOSITORY = Path(__file__).resolve().parents[2]
SEEN = Subscription("seen", TENANT_EVENTS)

REQUEST = {
    "id": "e1",
    "source": "//energent/tenants",
    "type": "ai.energent.tenant.step.requested.v1",
    "time": "2026-11-01T00:00:00Z",
    "subject": "tnt_1",
    "data": {
        "operation_id": "op_1",
        "step": "provision",
        "slug": "acme",
        "tier": "basic",
        "isolation": "shared",
        "limits": {"cpu": 1, "memory_gb": 2, "storage_gb": 10, "concurrent_workflows": 1},
    },
}


@pytest.fixture(params=["pubsub-emulator"])
def options(pubsub_emulator: str, tmp_path: Path) -> broker.Options:
    return broker.Options(tmp_path, pubsub_emulator, new_id("project").replace("_", "-"))


def where(options: broker.Options) -> list[str]:
    return [f"--data-dir={options.data_dir}", f"--pubsub={options.pubsub}", f"--project={options.project}"]


def test_what_is_published_is_answered_by_a_cluster_that_says_when_it_is_done(
    options: broker.Options,
) -> None:
    asyncio.run(prepare(options))
    port = Reservation.take()
    url = f"http://{HOST}:{port.port}"
    command = [sys.executable, "-m", "local.cluster", *where(options), f"--status-port={port.port}"]
    cluster = subprocess.Popen([*command, "--delay-seconds=0.1"], cwd=REPOSITORY)  # noqa: S603
    try:
        until(lambda: status.read(url) is not None, "the cluster to start", 20)
        asyncio.run(publish.publish(options, list(publish.lines([json.dumps(REQUEST)], None))))
        until(lambda: status.are_drained([url]), "the cluster to answer", 20)
    finally:
        cluster.terminate()
        cluster.wait()
        port.release()
    request, report = asyncio.run(seen(options))
    assert request["id"] == "e1"
    assert report["data"] == {
        "operation_id": "op_1",
        "step": "provision",
        "status": "succeeded",
        "message": "",
    }


def test_publishing_where_no_suite_is_says_what_to_do(options: broker.Options) -> None:
    usage = [(TENANT_EVENTS, Message(b"{}"))]
    with pytest.raises(publish.Refused, match="make run BACKEND=gcp"):
        asyncio.run(publish.publish(options, usage))
    nobody = msgspec.structs.replace(options, pubsub="127.0.0.1:1")
    with pytest.raises(publish.Refused, match=r"127\.0\.0\.1:1"):
        asyncio.run(publish.publish(nobody, usage))


async def prepare(options: broker.Options) -> None:
    async with broker.opened(options) as source:
        await source.prepare(SEEN)


async def seen(options: broker.Options) -> list[Any]:
    async with broker.opened(options) as source:
        subscriber = source.subscriber(SEEN)
        events = [json.loads(one.message.data) for one in await subscriber.lease(10)]
        await subscriber.close()
        return events
