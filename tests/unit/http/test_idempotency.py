"""Idempotency-Key at the door: what is asked for twice is done once, and whose key it is."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from shared.http import Call, Response, json_response
from shared.http.idempotency import MAX_ANSWER_BYTES, Idempotency, Once
from shared.identity import Principal
from shared.store import Delete
from shared.store.bodies import stamp
from shared.store.sqlite import SqliteStore
from tests.door import principal
from tests.tokens import NOW, Time
from tests.unit.http.things import QUERIES, Instance, SteppedStore, names, records, replayed

pytestmark = pytest.mark.anyio

DAY = 24 * 3600


@pytest.fixture
async def plain(tmp_path: Path, anyio_backend: str) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db", QUERIES)
    yield store
    await store.close()


@pytest.fixture
def store(plain: SqliteStore) -> SteppedStore:
    return SteppedStore(plain)


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def function(store: SteppedStore, clock: Time) -> Instance:
    return Instance(store, clock)


async def test_without_a_key_each_request_makes_a_thing(store: SteppedStore, function: Instance) -> None:
    first, second = await function.post(None), await function.post(None)

    assert (first.status, second.status) == (201, 201)
    assert first.json()["id"] != second.json()["id"]
    assert await names(store) == ["a", "a"]
    assert await records(store) == []
    assert store.reads == 0, "who sends no key pays for none"


async def test_a_repeated_request_gets_its_first_answer(store: SteppedStore, function: Instance) -> None:
    first = await function.post("key-1")
    again = await function.post("key-1")

    assert first.status == again.status == 201
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["cache-control"] == "no-store"
    assert (replayed(first), replayed(again)) == (False, True)
    assert await names(store) == ["a"]


async def test_an_answer_outlives_the_instance_that_gave_it(store: SteppedStore, clock: Time) -> None:
    first = await Instance(store, clock).post("key-1")
    again = await Instance(store, clock).post("key-1")
    assert (again.json()["id"], replayed(again)) == (first.json()["id"], True)


async def test_a_secret_is_in_the_first_answer_and_nowhere_else(
    tmp_path: Path, plain: SqliteStore, function: Instance
) -> None:
    """G1."""
    first = (await function.post("key-1")).json()
    again = (await function.post("key-1")).json()

    secret = first.pop("secret")
    assert secret.startswith("secret_")
    assert again == first
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert first["id"].encode() in stored
    assert secret.encode() not in stored


async def test_a_record_holds_neither_key_nor_request(plain: SqliteStore, function: Instance) -> None:
    """G1: a key may be chosen badly."""
    await function.post("sk_a-secret-as-a-key", {"name": "a", "unique": True})
    (record,) = await records(plain)
    text = msgspec.json.encode(record.body).decode() + record.key.path
    assert "sk_" not in text
    assert "unique" not in text
    assert "usr_1" not in text
    assert record.body["expires_at"] == stamp(NOW + timedelta(hours=24))


@pytest.mark.parametrize(
    "body", [{"name": "b"}, {"name": "a", "unique": True}, {"name": "a", "unique": False}]
)
async def test_another_payload_under_the_same_key_is_refused(
    store: SteppedStore, function: Instance, body: Any
) -> None:
    await function.post("key-1", {"name": "a"})
    refused = await function.post("key-1", body)

    assert (refused.status, refused.code) == (422, "idempotency_key_reused")
    assert "new one" in refused.json()["detail"]
    assert await names(store) == ["a"]
    assert replayed(await function.post("key-1", {"name": "a"})), "the key is still the first one's"


async def test_the_same_payload_may_be_written_differently(function: Instance) -> None:
    first = await function.post("key-1", b'{"name": "\\u0061", "unique": true}')
    again = await function.post("key-1", b'{"unique":true,\n "name":"a"}')
    assert (again.json()["id"], replayed(again)) == (first.json()["id"], True)


GOOD = {
    "plain": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    "one character": "x",
    "as long as may be": "k" * 255,
    "spaces inside": "order 1 line 2",
    "all that needs no quotes": "!#$%&'()*+-./09:;<=>?@AZ[\\]^_`az{|}~",
    "quoted": '"8e03978e"',
    "quoted comma": '"a, b"',
    "quoted and escaped": '"say \\"hi\\" \\\\ bye"',
    "as long as may be, escaped": '"' + '\\"' * 255 + '"',
}
BAD: dict[str, str | bytes] = {
    "empty": "",
    "only quotes": '""',
    "too long": "k" * 256,
    "too long in quotes": '"' + "k" * 256 + '"',
    "unbalanced": '"abc',
    "a quote in the middle": 'a"b',
    "two of a list": "key-1, key-2",
    "two quoted ones": '"a", "b"',
    "parameters": '"a";b=1',
    "a wrong escape": '"a\\b"',
    "an open escape": '"a\\"',
    "tab": "a\tb",
    "NUL": b"a\0b",
    "DEL": b"a\x7fb",
    "UTF-8": "kläy".encode(),
}


@pytest.mark.parametrize("key", GOOD.values(), ids=GOOD.keys())
async def test_a_good_key(function: Instance, key: str) -> None:
    assert not replayed(await function.post(key))
    assert replayed(await function.post(key))


@pytest.mark.parametrize("key", BAD.values(), ids=BAD.keys())
async def test_a_malformed_key_is_refused_and_nothing_is_made(
    store: SteppedStore, function: Instance, key: str | bytes
) -> None:
    """H1."""
    refused = await function.post(key)
    assert (refused.status, refused.code) == (400, "invalid_idempotency_key")
    assert "UUID" in refused.json()["detail"]
    assert await names(store) == []


async def test_a_key_in_quotes_is_the_same_key(function: Instance) -> None:
    await function.post("key-1")
    assert replayed(await function.post('"key-1"'))
    await function.post('"a\\\\b"')
    assert replayed(await function.post("a\\b"))


async def test_two_keys_in_one_request_are_refused(store: SteppedStore, function: Instance) -> None:
    refused = await function.post("key-1", more=[("Idempotency-Key", "key-1")])
    assert (refused.status, refused.code) == (400, "bad_header")
    assert await names(store) == []


@pytest.mark.parametrize(
    "other",
    [{"who": "tnt_2.usr_1"}, {"who": "tnt_1.usr_2"}, {"path": "/v1/thingsk"}],
    ids=["tenant", "subject", "operation"],
)
async def test_a_key_belongs_to_one_caller_and_one_operation(
    function: Instance, other: dict[str, Any]
) -> None:
    """T2, T9: nobody gets another's answer, or learns that there is one."""
    first = await function.post("key-1")
    foreign = await function.post("key-1", **other)
    assert (foreign.status, replayed(foreign)) == (201, False)
    assert foreign.json()["id"] != first.json()["id"]
    another_payload = await function.post("key-1", {"name": "b"}, who="tnt_1.usr_3")
    assert another_payload.status == 201
    assert (await function.post("key-1")).json()["id"] == first.json()["id"]


async def test_where_one_part_of_a_name_ends_is_part_of_it(function: Instance) -> None:
    """T9."""
    await function.post("key-1", path="/v1/things")
    other = await function.post("ey-1", path="/v1/thingsk")
    assert (other.status, replayed(other)) == (201, False)


async def test_a_record_is_below_its_callers_tenant(plain: SqliteStore, function: Instance) -> None:
    """T2."""
    await function.post("key-1", who="tnt_2.usr_1")
    assert await records(plain, "tnt_1") == []
    (record,) = await records(plain, "tnt_2")
    assert record.key.collection == "tenants/tnt_2/idempotency"


@pytest.mark.parametrize("body", [b"{", b'{"name": 1}', b'{"name":"a","name":"b"}'])
async def test_a_bad_body_uses_no_key_up(function: Instance, body: bytes) -> None:
    assert (await function.post("key-1", body)).status in (400, 422)
    made = await function.post("key-1")
    assert (made.status, replayed(made)) == (201, False)


async def test_a_refusal_uses_no_key_up(plain: SqliteStore, function: Instance) -> None:
    wanted = {"name": "a", "unique": True}
    await function.post(None, wanted)
    refused = await function.post("key-1", wanted)
    assert (refused.status, refused.code) == (409, "name_taken")
    assert await records(plain) == []
    made = await function.post("key-1", {"name": "b", "unique": True})
    assert (made.status, replayed(made)) == (201, False)


async def test_a_key_is_good_for_24_hours(plain: SqliteStore, function: Instance, clock: Time) -> None:
    first = await function.post("key-1")
    clock.move(DAY - 0.001)
    assert replayed(await function.post("key-1"))

    clock.move(0.001)
    anew = await function.post("key-1", {"name": "b"})
    assert (anew.status, replayed(anew)) == (201, False)
    assert anew.json()["id"] != first.json()["id"]
    (record,) = await records(plain)
    assert record.body["expires_at"] == stamp(NOW + timedelta(hours=48))
    assert replayed(await function.post("key-1", {"name": "b"}))
    assert (await function.post("key-1")).status == 422


async def test_a_record_that_the_store_has_deleted_is_no_record(
    plain: SqliteStore, function: Instance, clock: Time
) -> None:
    await function.post("key-1")
    clock.move(DAY)
    await plain.commit(*(Delete(record.key) for record in await records(plain)))
    assert not replayed(await function.post("key-1"))
    assert len(await records(plain)) == 1


async def test_an_answer_that_is_too_large_to_keep_is_a_bug_that_changes_nothing(
    store: SteppedStore, plain: SqliteStore, clock: Time
) -> None:
    function = Instance(store, clock)
    limit = MAX_ANSWER_BYTES - len(msgspec.json.encode({"id": "thg_" + "0" * 32, "name": ""}))
    assert (await function.post("key-1", {"name": "a" * limit})).status == 201
    assert (await function.post("key-2", {"name": "a" * (limit + 1)})).status == 500
    assert len(await names(plain)) == len(await records(plain)) == 1


class _Repeated(msgspec.Struct):
    """A `Call`, as far as it is looked at."""

    headers: dict[str, str]
    method: str = "POST"
    path: str = "/v1/numbers"
    principal: Principal = principal()

    async def body(self) -> bytes:
        return b"{}"


async def test_an_answer_without_a_secret_is_kept_to_the_byte(store: SteppedStore, clock: Time) -> None:
    made: list[int] = []

    async def make(once: Once[int]) -> int:
        async def attempt() -> int:
            made.append(7)
            await store.commit(*once.writes(7))
            return 7

        return await once.run(attempt)

    def show(number: int) -> Response:
        return json_response({"ü": number}, 202, {"X-Number": str(number)})

    idempotency, call = Idempotency(store, clock), cast(Call, _Repeated({"idempotency-key": "key-1"}))
    first = await idempotency.answer(call, make, show)
    again = await idempotency.answer(call, make, show)
    assert (again.status, again.body, again.content_type) == (first.status, first.body, first.content_type)
    assert again.headers == {"X-Number": "7", "Idempotency-Replayed": "true"}
    assert made == [7]
