"""`/metrics`: what is counted, who sees it, and that nobody outside makes a series of his own."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared import keyring
from shared.bus import AUTH_EVENTS, BILLING_EVENTS, Message
from shared.errors import Unavailable
from shared.http import PUBLIC, Call, Response, Route
from shared.http.limits import Limits
from shared.identity import Verifier
from shared.metrics import MAX_SERIES, Counts, Metrics, Reading
from shared.outbox import QUERIES, Outbox, PublishingStore
from shared.secrets.cached import CachedSecrets
from shared.store import AlreadyExists, Create, Delete, Stale
from shared.store.metered import MeteredStore
from shared.store.sqlite import SqliteStore
from shared.tenant import key as tenant_key
from tests.documents import Documents
from tests.door import Door
from tests.tokens import ISSUER, SignerKey, Time, ring, tenant

SEEN = "scope:platform:metrics:read"


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """As a Prometheus server reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics.text())[name, tuple(sorted(labels.items()))]


async def _fine(call: Call) -> Response:
    return Response(200, b"{}")


async def _down(call: Call) -> Response:
    raise Unavailable("x", "X.")


ROUTES = (Route("GET", "/v1/things/{thing_id}", _fine, PUBLIC), Route("POST", "/v1/down", _down, PUBLIC))


def scraped(door: Door) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = door.ask("GET", "/metrics", [("authorization", f"Bearer {SEEN}")])
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    return samples(answer.body)


def requests_of(door: Door) -> dict[tuple[str, str, str], float]:
    """By method, route and class of status."""
    return {
        (labels["method"], labels["route"], labels["status"]): count
        for (name, pairs), count in scraped(door).items()
        if name == "energent_http_request_duration_seconds_count"
        for labels in [dict(pairs)]
    }


def test_requests_are_counted_by_method_template_and_class_of_status() -> None:
    door = Door(*ROUTES)
    for target in ("/v1/things/a", "/v1/things/b?c=d", "/health"):
        door.ask("GET", target)
    door.ask("HEAD", "/v1/things/a")
    door.ask("POST", "/v1/things/a")
    door.ask("POST", "/v1/down")
    door.ask("GET", "/v1/nothing")
    assert requests_of(door) == {
        ("GET", "/v1/things/{thing_id}", "2xx"): 2,
        ("HEAD", "/v1/things/{thing_id}", "2xx"): 1,
        ("POST", "/v1/things/{thing_id}", "4xx"): 1,
        ("POST", "/v1/down", "5xx"): 1,
        ("GET", "/health", "2xx"): 1,
        ("GET", "other", "4xx"): 1,
    }


def test_no_request_makes_a_series_of_its_own() -> None:
    """Methods and paths are the client's; 10 000 of them would be the end of any monitoring."""
    door = Door(*ROUTES)
    for number in range(50):
        door.ask(f"METHOD{number}", f"/v1/things/{number}")
        door.ask("GET", f"/{number}", [("x-request-id", f"request-{number}")])
    assert requests_of(door) == {
        ("other", "/v1/things/{thing_id}", "4xx"): 50,
        ("GET", "other", "4xx"): 50,
    }


def test_a_request_is_in_its_bucket_and_in_all_above() -> None:
    metrics = Metrics("auth", "r-1")
    metrics.answered("GET", "/v1/me", 200, 0.003)
    labels = {"method": "GET", "route": "/v1/me", "status": "2xx"}
    name = "energent_http_request_duration_seconds"
    found = {bound: value(metrics, f"{name}_bucket", le=bound, **labels) for bound in ("0.0025", "0.005")}
    assert found == {"0.0025": 0, "0.005": 1}
    assert value(metrics, f"{name}_sum", **labels) == pytest.approx(0.003)


def test_function_version_and_process_are_named_and_nothing_is_said_twice() -> None:
    metrics = Metrics("auth", 'r-"1')
    metrics.answered("GET", "/v1/me", 200, 0.003)
    text = metrics.text()
    assert samples(text)["energent_build_info", (("function", "auth"), ("version", 'r-"1'))] == 1
    assert samples(text)["process_start_time_seconds", ()] > 1_700_000_000
    assert b"_created" not in text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 401),
        ([("authorization", "Bearer junk")], 401),
        ([("authorization", "Bearer good")], 403),
        ([("authorization", "Bearer scope:platform:tenants:read")], 403),
        ([("authorization", f"Bearer {SEEN}")], 200),
    ],
)
@pytest.mark.parametrize("serves_http", [True, False])
def test_only_an_operator_with_the_scope_sees_it_on_every_function(
    headers: list[tuple[str, str]], status: int, serves_http: bool
) -> None:
    answer = Door(serves_http=serves_http).ask("GET", "/metrics", headers)
    assert answer.status == status
    assert (b"energent_" in answer.body) == (status == 200)


def test_what_is_under_way_and_what_was_shed_is_told() -> None:
    limits = Limits(running=1, waiting=1)

    async def story() -> None:
        gate = asyncio.Event()

        async def slow(call: Call) -> Response:
            await gate.wait()
            return Response(204)

        door = Door(Route("GET", "/slow", slow, PUBLIC), limits=limits)
        asked = [asyncio.create_task(door.send("GET", "/slow")) for _ in range(4)]
        await asyncio.wait(asked[2:])
        busy = {reading.name: reading.value for reading in door.app.readings()}
        gate.set()
        await asyncio.gather(*asked)
        quiet = {reading.name: reading.value for reading in door.app.readings()}
        assert busy == {"energent_http_requests_in_flight": 2, "energent_http_requests_shed": 2}
        assert quiet == {"energent_http_requests_in_flight": 0, "energent_http_requests_shed": 2}

    asyncio.run(story())


async def _store_calls(folder: Path) -> Metrics:
    metrics = Metrics("auth", "r-1")
    store = MeteredStore(SqliteStore(folder / "store.db", QUERIES), metrics)
    key = store.platform().key("slugs", "acme")
    await store.commit(Create(key, {"tenant_id": "t"}))
    with pytest.raises(AlreadyExists):
        await store.commit(Create(key, {"tenant_id": "t"}))
    with pytest.raises(Stale):
        await store.commit(Delete(key, "0"), Create(store.platform().key("slugs", "b"), {"tenant_id": "t"}))
    await store.read(key)
    await store.platform().query(QUERIES[0], "outbox", "auth-0")
    await store.close()
    with pytest.raises(Unavailable):
        await store.read(key)
    return metrics


def test_calls_of_the_store_are_counted_by_kind_and_outcome(tmp_path: Path) -> None:
    metrics = asyncio.run(_store_calls(tmp_path))
    found = {
        (labels["call"], labels["outcome"]): count
        for (name, pairs), count in samples(metrics.text()).items()
        if name == "energent_store_call_duration_seconds_count"
        for labels in [dict(pairs)]
    }
    assert found == {
        ("commit", "ok"): 1,
        ("commit", "exists"): 1,
        ("commit", "stale"): 1,
        ("read", "ok"): 1,
        ("query", "ok"): 1,
        ("read", "unavailable"): 1,
    }


class Bus:
    """`down`: the topic that takes nothing."""

    def __init__(self) -> None:
        self.down = ""

    async def publish(self, topic: str, messages: Any) -> None:
        if topic == self.down:
            raise Unavailable("bus_unavailable", "No.")

    async def close(self) -> None:
        pass


def _read(*sources: Any) -> dict[str, float]:
    return {reading.name: reading.value for source in sources for reading in source.readings()}


def test_events_left_to_a_sweep_and_swept_are_counted(tmp_path: Path) -> None:
    async def story() -> None:
        bus, clock = Bus(), Time()
        store = PublishingStore(SqliteStore(tmp_path / "store.db", QUERIES), bus)
        outbox = Outbox(store, bus, clock, "billing")
        message = Message(b"{}", {"type": "t"})
        await store.commit(outbox.entry(BILLING_EVENTS, message))
        assert _read(store, outbox) == {"energent_outbox_left": 0, "energent_outbox_swept": 0}
        bus.down = BILLING_EVENTS
        await store.commit(
            outbox.entry(AUTH_EVENTS, message),
            outbox.entry(BILLING_EVENTS, message),
            outbox.entry(BILLING_EVENTS, message),
        )
        bus.down = ""
        clock.move(60)
        await outbox.sweep()
        assert _read(store, outbox) == {"energent_outbox_left": 2, "energent_outbox_swept": 2}
        await store.close()

    asyncio.run(story())


def test_verdicts_that_were_known_and_stale_ones_are_told() -> None:
    async def story() -> None:
        clock, documents, key = Time(), Documents(), SignerKey()
        documents.put(keyring.key(documents), ring(key))
        documents.put(tenant_key(documents, "tnt_acme"), tenant())
        verifier = Verifier(documents, ISSUER, ISSUER, clock)
        token = key.token()
        for _ in range(3):
            await verifier.verify(token)
        assert _read(verifier) == {
            "energent_token_verifications": 3,
            "energent_token_signature_checks": 1,
            "energent_token_stale_answers": 0,
        }
        documents.down = True
        clock.move(30)
        await verifier.verify(token)
        assert _read(verifier)["energent_token_stale_answers"] == 1

    asyncio.run(story())


class Vault:
    """One secret; `down` makes it unreachable."""

    def __init__(self) -> None:
        self.down = False

    async def access(self, name: str, version: int) -> bytes:
        if self.down:
            raise Unavailable("secrets_unavailable", "No.")
        return b"hunter2"

    async def versions(self, name: str) -> list[Any]:
        return []


def test_the_age_of_secrets_and_the_use_of_stale_ones_is_told() -> None:
    async def story() -> None:
        vault, clock = Vault(), Time()
        secrets = CachedSecrets(vault, clock)  # type: ignore[arg-type]
        assert _read(secrets)["energent_secret_oldest_seconds"] == 0
        await secrets.access("a", 1)
        clock.move(400)
        vault.down = True
        await secrets.access("a", 1)
        assert _read(secrets) == {
            "energent_secret_stale_answers": 1,
            "energent_secret_oldest_seconds": 400,
        }

    asyncio.run(story())


def test_refusals_are_counted_by_our_code_and_what_was_let_in_is_not() -> None:
    """Also those of the door itself."""
    door = Door(*ROUTES)
    door.ask("GET", "/v1/things/a")
    for _ in range(2):
        door.ask("POST", "/v1/down")
    door.ask("GET", "/v1/nothing")
    door.ask("GET", "/metrics")
    found = {
        dict(labels)["code"]: count
        for (name, labels), count in scraped(door).items()
        if name == "energent_http_refusals_total"
    }
    assert found == {"x": 2, "not_found": 1, "unauthenticated": 1}


def test_a_name_of_several_sources_is_there_once_with_all_its_series() -> None:
    one, other = Counts("energent_a", "A.", "kind", "result"), Counts("energent_a", "A.", "kind", "result")
    with one.result("x"):
        pass
    for error in (Unavailable("down", "No."), Stale(), Unavailable("down", "No.")):
        with contextlib.suppress(Exception), other.result("y"):
            raise error
    metrics = Metrics("auth", "r-1")
    metrics.watch(one, other)
    text = metrics.text().decode()
    assert text.count("# TYPE energent_a_total counter") == 1
    assert value(metrics, "energent_a_total", kind="x", result="ok") == 1
    assert value(metrics, "energent_a_total", kind="y", result="down") == 2
    assert text.count("energent_a_total{") == 2, "a race that was lost is no result"


def test_the_series_of_a_name_are_bounded() -> None:
    counts = Counts("energent_a", "A.", "code")
    for number in range(MAX_SERIES + 50):
        counts.add(f"code_{number}")
    found = {reading.labels["code"]: reading.value for reading in counts.readings()}
    assert len(found) == MAX_SERIES + 1
    assert found["other"] == 50


def test_what_is_watched_is_part_of_the_answer() -> None:
    class Source:
        def readings(self) -> list[Reading]:
            return [Reading("energent_a", "A.", 3), Reading("energent_b", "B.", 4.5, counts=False)]

    metrics = Metrics("auth", "r-1")
    metrics.watch(Source())
    text = metrics.text().decode()
    assert "# TYPE energent_a_total counter\nenergent_a_total 3.0\n" in text
    assert "# TYPE energent_b gauge\nenergent_b 4.5\n" in text
