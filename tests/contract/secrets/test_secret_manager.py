"""What the adapter of Secret Manager must do beside the port: checksums, meanings of errors, outages."""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.cloud.secretmanager_v1 import types

from local.google.secret_manager.server import SecretManagerServer
from shared.errors import Misconfigured, Unavailable
from shared.secrets import MAX_VALUE_BYTES, SecretUnusable
from shared.secrets.cached import CachedSecrets
from shared.secrets.secret_manager import PAGE_VERSIONS, SecretManager
from shared.secrets.secret_manager.calls import CALL_SECONDS
from tests.fault_proxy import Fault, fault_proxy
from tests.tokens import Time

pytestmark = pytest.mark.anyio

ACCESS, ADD, CREATE = "AccessSecretVersion", "AddSecretVersion", "CreateSecret"
LIST, DISABLE, DESTROY = "ListSecretVersions", "DisableSecretVersion", "DestroySecretVersion"
KEY = "projects/p/secrets/energent-test-key"

Call = Callable[[SecretManager], Awaitable[object]]

CALLS: dict[str, Call] = {
    ACCESS: lambda secrets: secrets.access("key", 1),
    ADD: lambda secrets: secrets.add("key", b"more"),
    LIST: lambda secrets: secrets.versions("key"),
    DISABLE: lambda secrets: secrets.set_state("key", 1, "disabled"),
    DESTROY: lambda secrets: secrets.set_state("key", 1, "destroyed"),
    CREATE: lambda secrets: secrets.add("new", b"value"),
}
ROLES = {
    ACCESS: "secretAccessor",
    ADD: "secretVersionAdder",
    LIST: "viewer",
    DISABLE: "secretVersionManager",
    DESTROY: "secretVersionManager",
}
OUTAGES = ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "UNKNOWN"]


@pytest.fixture
def server() -> Iterator[SecretManagerServer]:
    server = SecretManagerServer(clock=Time())
    yield server
    server.stop()


@pytest.fixture
async def secrets(server: SecretManagerServer) -> SecretManager:
    """With one version of `key`; what was called for that is forgotten."""
    secrets = _secrets(server)
    await secrets.add("key", b"value")
    server.calls.clear()
    return secrets


def _secrets(server: SecretManagerServer) -> SecretManager:
    labels = {"environment": "test", "service": "authentication"}
    return SecretManager("p", prefix="energent-test-", labels=labels, emulator_host=server.host)


async def test_a_secret_is_made_where_it_is_missing_with_its_labels_everywhere(
    server: SecretManagerServer, secrets: SecretManager
) -> None:
    secret = server.service.get_secret(types.GetSecretRequest(name=KEY))
    assert dict(secret.labels) == {"environment": "test", "service": "authentication"}
    assert "automatic" in secret.replication
    assert await secrets.add("key", b"two") == 2
    assert server.calls == [ADD]


async def test_the_checksum_of_a_new_value_goes_with_it(
    server: SecretManagerServer, secrets: SecretManager
) -> None:
    version = server.service.get_secret_version(types.GetSecretVersionRequest(name=f"{KEY}/versions/1"))
    assert version.client_specified_payload_checksum


async def test_a_value_with_a_wrong_checksum_is_fetched_once_more(
    server: SecretManagerServer, secrets: SecretManager
) -> None:
    """S1."""
    server.corrupt(1)
    assert await secrets.access("key", 1) == b"value"
    server.corrupt(2)
    with pytest.raises(Unavailable) as refused:
        await secrets.access("key", 1)
    assert not isinstance(refused.value, Misconfigured)
    assert server.calls == [ACCESS] * 4


@pytest.mark.parametrize("method", ROLES)
async def test_a_missing_right_is_named_with_its_secret_and_not_asked_for_again(
    server: SecretManagerServer, secrets: SecretManager, method: str
) -> None:
    """S1."""
    server.refuse(method, grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(SecretUnusable) as refused:
        await CALLS[method](secrets)
    assert str(refused.value).startswith("secret key ")
    assert f"roles/secretmanager.{ROLES[method]} on {KEY}" in str(refused.value)
    assert server.calls.count(method) == 1


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "FAILED_PRECONDITION", "NOT_FOUND"])
async def test_a_secret_that_may_not_be_made_is_named(
    server: SecretManagerServer, secrets: SecretManager, code: str
) -> None:
    """S1."""
    server.refuse(CREATE, grpc.StatusCode[code])
    with pytest.raises(SecretUnusable, match="secret new is missing, and ") as refused:
        await secrets.add("new", b"value")
    denied = code == "PERMISSION_DENIED"
    assert ("projects/p/secrets/energent-test-new" in str(refused.value)) == denied
    assert (code in str(refused.value)) != denied


@pytest.mark.parametrize("method", CALLS)
async def test_a_caller_whom_google_does_not_know_is_misconfigured(
    server: SecretManagerServer, secrets: SecretManager, method: str
) -> None:
    server.refuse(method, grpc.StatusCode.UNAUTHENTICATED)
    with pytest.raises(Misconfigured):
        await CALLS[method](secrets)
    assert server.calls.count(method) == 1


@pytest.mark.parametrize("method", [ACCESS, ADD, CREATE])
async def test_a_short_outage_is_not_felt_and_a_longer_one_ends_in_time(
    server: SecretManagerServer, secrets: SecretManager, method: str
) -> None:
    """D6."""
    server.refuse(method, grpc.StatusCode.UNAVAILABLE, times=2)
    await CALLS[method](secrets)
    assert server.calls.count(method) == 3
    server.refuse(method, grpc.StatusCode.UNAVAILABLE, times=3)
    with pytest.raises(Unavailable, match="secrets_unavailable"):
        await (CALLS[method](secrets) if method != CREATE else secrets.add("newer", b"value"))
    assert server.calls.count(method) == 6


@pytest.mark.parametrize("method", CALLS)
async def test_an_answer_that_is_cut_off_and_ends_well_all_the_same_is_no_answer(
    server: SecretManagerServer, secrets: SecretManager, method: str
) -> None:
    """gRPC calls that a success, with None for its message."""
    before = server.calls.count(method)
    server.cut(method)
    await CALLS[method](secrets)
    assert server.calls.count(method) == before + 2


@pytest.mark.parametrize("code", OUTAGES)
async def test_every_error_that_may_pass_is_an_outage(
    server: SecretManagerServer, secrets: SecretManager, code: str
) -> None:
    """D6."""
    server.refuse(ACCESS, grpc.StatusCode[code], times=3)
    with pytest.raises(Unavailable) as refused:
        await secrets.access("key", 1)
    assert (refused.value.status, type(refused.value)) == (503, Unavailable)


async def test_a_secret_that_another_instance_makes_first_is_as_good(
    server: SecretManagerServer, secrets: SecretManager
) -> None:
    numbers = await asyncio.gather(*(_secrets(server).add("raced", b"%d" % n) for n in range(8)))
    assert sorted(numbers) == list(range(1, 9))
    made = server.calls.count(CREATE)
    server.refuse("AddSecretVersion", grpc.StatusCode.NOT_FOUND, times=1)
    assert await secrets.add("raced", b"8") == 9
    assert server.calls.count(CREATE) == made + 1


async def test_a_lost_reply_to_making_a_secret_or_destroying_a_version_changes_nothing(
    server: SecretManagerServer, secrets: SecretManager
) -> None:
    server.lose(CREATE)
    assert await secrets.add("new", b"value") == 1
    server.lose(DESTROY)
    await secrets.set_state("new", 1, "destroyed")
    assert [version.state for version in await secrets.versions("new")] == ["destroyed"]
    assert server.calls.count(DESTROY) == 2


async def test_a_lost_reply_to_a_new_version_leaves_one_without_a_reader(
    server: SecretManagerServer, secrets: SecretManager
) -> None:
    server.lose(ADD)
    assert await secrets.add("key", b"two") == 3
    assert await secrets.access("key", 3) == b"two"


async def test_a_state_that_google_words_in_another_way_is_still_refused(
    server: SecretManagerServer, secrets: SecretManager
) -> None:
    server.refuse(ACCESS, grpc.StatusCode.FAILED_PRECONDITION)
    with pytest.raises(SecretUnusable, match="secret key version 1 is refused: "):
        await secrets.access("key", 1)
    assert server.calls == [ACCESS]


async def test_all_versions_are_listed_over_several_pages(
    server: SecretManagerServer, secrets: SecretManager
) -> None:
    for _ in range(PAGE_VERSIONS):
        server.service.add_secret_version(types.AddSecretVersionRequest(parent=KEY, payload={"data": b"x"}))
    versions = await secrets.versions("key")
    assert [version.number for version in versions] == list(range(PAGE_VERSIONS + 1, 0, -1))
    assert server.calls == [LIST, LIST]


async def test_a_secret_without_versions_has_none(
    server: SecretManagerServer, secrets: SecretManager
) -> None:
    server.service.create_secret(
        types.CreateSecretRequest(
            parent="projects/p",
            secret_id="energent-test-bare",
            secret=types.Secret(replication={"automatic": {}}),
        )
    )
    assert await secrets.versions("bare") == []


async def test_a_value_over_the_limit_and_a_name_too_long_with_its_prefix_are_refused_here(
    server: SecretManagerServer, secrets: SecretManager
) -> None:
    assert await secrets.add("large", b"x" * MAX_VALUE_BYTES) == 1
    server.calls.clear()
    with pytest.raises(ValueError, match="65537 bytes"):
        await secrets.add("larger", b"x" * (MAX_VALUE_BYTES + 1))
    with pytest.raises(ValueError, match="no name of a secret"):
        await secrets.access("x" * 250, 1)
    assert server.calls == []


async def test_a_service_that_never_answers_is_given_up_within_two_seconds() -> None:
    """D6."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        secrets = SecretManager("p", prefix="x-", emulator_host=f"127.0.0.1:{silent.getsockname()[1]}")
        await secrets._calls._connected()
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await secrets.access("key", 1)
        assert CALL_SECONDS / 2 < time.monotonic() - started < 2
        await secrets.close()


async def test_a_service_that_comes_back_is_used_again(server: SecretManagerServer) -> None:
    """D6."""
    secrets = _secrets(server)
    await secrets.add("key", b"value")
    server.stop()
    with pytest.raises(Unavailable):
        await secrets.access("key", 1)
    back = SecretManagerServer(server.port)
    end = time.monotonic() + 5
    while True:
        try:
            assert await secrets.versions("key") == []
            break
        except Unavailable:
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
    back.stop()


async def test_a_connection_on_which_nothing_comes_back_is_given_up(server: SecretManagerServer) -> None:
    """D6."""
    async with fault_proxy(server.host) as proxy:
        secrets = SecretManager("p", prefix="energent-test-", emulator_host=proxy.address)
        await secrets.add("key", b"value")
        proxy.fault = Fault.HALF_DEAD
        asking = asyncio.create_task(secrets.access("key", 1))
        await asyncio.sleep(0.3)
        proxy.fault = Fault.NONE
        assert await asking == b"value"
        assert server.calls[-2:] == [ACCESS, ACCESS]
        await secrets.close()


async def test_after_closing_nothing_is_asked(server: SecretManagerServer, secrets: SecretManager) -> None:
    await secrets.close()
    with pytest.raises(Unavailable, match="secrets_closed"):
        await secrets.access("key", 1)
    assert server.calls == []


async def test_no_log_holds_a_value_whatever_the_environment_asks_google_to_log(
    secrets: SecretManager, caplog: pytest.LogCaptureFixture
) -> None:
    """G1."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "google")
    await secrets.add("key", b"hunter2hunter2")
    assert await secrets.access("key", 2) == b"hunter2hunter2"
    said = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert "hunter2" not in said
    assert "aHVudGVyMmh1bnRlcjI" not in said


async def test_a_hundred_requests_ask_google_once_in_five_minutes(
    server: SecretManagerServer, secrets: SecretManager
) -> None:
    """S5."""
    clock = Time()
    cached = CachedSecrets(secrets, clock)
    for asked in (1, 2):
        values = await asyncio.gather(*(cached.access("key", 1) for _ in range(100)))
        assert set(values) == {b"value"}
        clock.move(299)
        await cached.access("key", 1)
        assert server.calls == [ACCESS] * asked
        clock.move(1)


async def test_an_outage_is_bridged_for_an_hour(server: SecretManagerServer, secrets: SecretManager) -> None:
    """S2 D6."""
    clock = Time()
    cached = CachedSecrets(secrets, clock)
    await cached.access("key", 1)
    for code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED):
        clock.move(1790)
        server.refuse(ACCESS, code, times=3 if code is grpc.StatusCode.UNAVAILABLE else 1)
        assert await cached.access("key", 1) == b"value"
    clock.move(20)
    server.refuse(ACCESS, grpc.StatusCode.UNAVAILABLE, times=3)
    with pytest.raises(Unavailable):
        await cached.access("key", 1)
    assert await cached.access("key", 1) == b"value"


@pytest.mark.parametrize("state", ["disabled", "destroyed"])
async def test_what_is_disabled_or_destroyed_elsewhere_ends_with_the_next_asking(
    server: SecretManagerServer, secrets: SecretManager, state: str
) -> None:
    """S2 S8."""
    clock = Time()
    cached = CachedSecrets(secrets, clock)
    await cached.access("key", 1)
    await _secrets(server).set_state("key", 1, "disabled" if state == "disabled" else "destroyed")
    clock.move(300)
    with pytest.raises(SecretUnusable, match=state):
        await cached.access("key", 1)
    clock.move(10)
    server.refuse(ACCESS, grpc.StatusCode.UNAVAILABLE, times=3)
    with pytest.raises(Unavailable):
        await cached.access("key", 1)


async def test_the_stand_in_knows_no_latest(secrets: SecretManager, caplog: pytest.LogCaptureFixture) -> None:
    """S6."""
    with pytest.raises(Unavailable), caplog.at_level(logging.WARNING):
        await secrets._calls.ask(KEY, ACCESS, {"name": f"{KEY}/versions/latest"})
    assert "INVALID_ARGUMENT" in caplog.text


@pytest.mark.parametrize(
    ("call", "routed"),
    [
        (ACCESS, f"name={KEY}/versions/1"),
        (ADD, f"parent={KEY}"),
        (LIST, f"parent={KEY}"),
        (DESTROY, f"name={KEY}/versions/1"),
    ],
)
async def test_google_is_told_where_a_call_belongs(call: str, routed: str) -> None:
    """AIP-4222."""
    said: list[str] = []

    class Service(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            said.append(dict(details.invocation_metadata)["x-goog-request-params"])

    server = grpc.aio.server()
    server.add_generic_rpc_handlers([Service()])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    secrets = SecretManager("p", prefix="energent-test-", emulator_host=f"127.0.0.1:{port}")
    with pytest.raises(Unavailable):
        await CALLS[call](secrets)
    assert set(said) == {routed.replace("/", "%2F")}
    await secrets.close()
    await server.stop(None)
