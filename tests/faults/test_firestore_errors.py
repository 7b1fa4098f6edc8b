"""Each of Firestore's refusals has one meaning; those that its emulator never gives come from a script."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth.exceptions import DefaultCredentialsError
from grpc import StatusCode
from grpc.aio import AioRpcError

from shared.errors import Misconfigured, Unavailable
from shared.store import (
    Add,
    AlreadyExists,
    Check,
    Create,
    Delete,
    DocumentTooLarge,
    OutOfRange,
    Replace,
    Stale,
    Update,
    Write,
)
from shared.store.firestore import FirestoreStore, connection
from tests.contract.store.harness import OLDEST, QUERIES
from tests.faults.scripted_firestore import (
    RunQueryResponse,
    ScriptedFirestore,
    body,
    done,
    found,
    missing,
    scripted_firestore,
)

pytestmark = pytest.mark.anyio

DATABASE = "projects/p/databases/d"
DOCUMENTS = f"{DATABASE}/documents/tenants/t/things"
VERSION = "1.000000000"

Call = Callable[[FirestoreStore], Awaitable[object]]


@pytest.fixture
async def firestore() -> AsyncIterator[ScriptedFirestore]:
    async with scripted_firestore() as firestore:
        yield firestore


@pytest.fixture
async def store(firestore: ScriptedFirestore) -> AsyncIterator[FirestoreStore]:
    store = FirestoreStore("p", "d", QUERIES, emulator_host=firestore.address)
    yield store
    await store.close()


def key(store: FirestoreStore, name: str = "x") -> Any:
    return store.tenant("t").key("things", name)


def conditional(store: FirestoreStore) -> list[Write]:
    return [
        Replace(key(store), {}, VERSION),
        Update(key(store), {}, VERSION),
        Delete(key(store), VERSION),
        Check(key(store), VERSION),
    ]


def create(store: FirestoreStore, name: str = "new") -> Create:
    return Create(key(store, name), {})


CALLS: dict[str, Call] = {
    "read": lambda store: store.read(key(store)),
    "query": lambda store: store.tenant("t").query(OLDEST),
    "commit": lambda store: store.commit(create(store)),
    "conditional commit": lambda store: store.commit(*conditional(store)[:1], create(store)),
    "delete": lambda store: store.commit(Delete(key(store))),
}


@pytest.fixture(params=list(CALLS))
def call(request: pytest.FixtureRequest) -> Call:
    return CALLS[request.param]


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (StatusCode.PERMISSION_DENIED, "roles/datastore.user"),
        (StatusCode.UNAUTHENTICATED, "service account"),
        (StatusCode.NOT_FOUND, "FIRESTORE_DATABASE"),
    ],
)
async def test_a_database_that_is_missing_or_forbidden_is_named_with_what_to_do(
    firestore: ScriptedFirestore,
    store: FirestoreStore,
    call: Call,
    status: StatusCode,
    remedy: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    firestore.answers = [(status, "Google's words")] * 2
    with caplog.at_level(logging.ERROR), pytest.raises(Misconfigured, match=DATABASE) as refusal:
        await call(store)
    assert remedy in str(refusal.value)
    assert refusal.value.status == 503
    assert "Google" not in refusal.value.detail
    assert [record.getMessage() for record in caplog.records] == [str(refusal.value)]


async def test_a_query_without_its_index_names_the_file_to_deploy(
    firestore: ScriptedFirestore, store: FirestoreStore
) -> None:
    firestore.answers = [(StatusCode.FAILED_PRECONDITION, "The query requires an index.")]
    with pytest.raises(Misconfigured, match=r"firestore\.indexes\.json"):
        await CALLS["query"](store)


@pytest.mark.parametrize(
    "status",
    [
        StatusCode.UNAVAILABLE,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.INTERNAL,
        StatusCode.UNKNOWN,
        StatusCode.CANCELLED,
    ],
)
async def test_a_short_outage_is_ridden_out(
    firestore: ScriptedFirestore, store: FirestoreStore, call: Call, status: StatusCode
) -> None:
    firestore.answers = [(status, "")] * 2
    await call(store)
    assert len(firestore.asked) == 3


async def test_an_answer_that_is_cut_off_and_ends_well_all_the_same_is_no_answer(
    firestore: ScriptedFirestore, store: FirestoreStore, call: Call
) -> None:
    """gRPC calls that a success, with None for its message, or with fewer documents than were asked for."""
    firestore.answers = [None, None]
    await call(store)
    assert len(firestore.asked) == 3


async def test_documents_of_which_nothing_is_said_are_not_taken_for_missing(
    firestore: ScriptedFirestore, store: FirestoreStore
) -> None:
    both = [found(f"{DOCUMENTS}/{name}") for name in "ab"]
    firestore.answers = [both[:1], both]
    assert None not in await store.read(key(store, "a"), key(store, "b"))
    assert len(firestore.asked) == 2


async def test_a_longer_outage_is_unavailable_after_a_few_tries(
    firestore: ScriptedFirestore, store: FirestoreStore, call: Call
) -> None:
    firestore.answers = [(StatusCode.UNAVAILABLE, "")] * 20
    with pytest.raises(Unavailable) as refusal:
        await call(store)
    assert not isinstance(refusal.value, Misconfigured)
    assert refusal.value.code == "store_unavailable"
    assert 3 <= len(firestore.asked) <= 4 + 3


async def test_a_wrong_request_is_a_bug_and_is_not_sent_again(
    firestore: ScriptedFirestore, store: FirestoreStore, call: Call
) -> None:
    firestore.answers = [(StatusCode.INVALID_ARGUMENT, "wrong")]
    with pytest.raises(AioRpcError, match="wrong"):
        await call(store)
    assert len(firestore.asked) == 1


@pytest.mark.parametrize("status", [StatusCode.FAILED_PRECONDITION, StatusCode.ABORTED, StatusCode.NOT_FOUND])
@pytest.mark.parametrize("kind", range(4))
async def test_a_conditional_write_that_meets_another_version_or_nothing_is_stale(
    firestore: ScriptedFirestore, store: FirestoreStore, status: StatusCode, kind: int
) -> None:
    firestore.answers = [(status, "")]
    with pytest.raises(Stale):
        await store.commit(conditional(store)[kind], create(store))


async def test_a_commit_without_conditions_is_never_stale_but_tried_again(
    firestore: ScriptedFirestore, store: FirestoreStore
) -> None:
    firestore.answers = [(StatusCode.ABORTED, "Too much contention on these documents.")] * 2
    await store.commit(create(store), Add(key(store), {"n": 1}), Delete(key(store, "y")))
    assert len(firestore.asked) == 3


async def test_of_several_that_are_created_the_one_in_the_way_is_named_by_its_name(
    firestore: ScriptedFirestore, store: FirestoreStore
) -> None:
    firestore.answers = [(StatusCode.ALREADY_EXISTS, f"Document already exists: {DOCUMENTS}/b")]
    with pytest.raises(AlreadyExists) as refusal:
        await store.commit(*(create(store, name) for name in ("a", "b", "a/b")))
    assert refusal.value.key == key(store, "b")
    assert len(firestore.asked) == 1


async def test_or_it_is_looked_for(firestore: ScriptedFirestore, store: FirestoreStore) -> None:
    standing = [missing(f"{DOCUMENTS}/a"), found(f"{DOCUMENTS}/b")]
    firestore.answers = [(StatusCode.ALREADY_EXISTS, "one of them"), standing]
    with pytest.raises(AlreadyExists) as refusal:
        await store.commit(create(store, "a"), create(store, "b"))
    assert refusal.value.key == key(store, "b")


async def test_one_that_is_gone_again_is_in_nobodys_way(
    firestore: ScriptedFirestore, store: FirestoreStore
) -> None:
    firestore.answers = [(StatusCode.ALREADY_EXISTS, "one of them"), []]
    assert await store.commit(create(store, "a"), create(store, "b")) == [VERSION, VERSION]


async def test_versions_keep_their_nanoseconds(firestore: ScriptedFirestore, store: FirestoreStore) -> None:
    firestore.answers = [[done(1, 1_795_433_816, 123_456_789)]]
    (version,) = await store.commit(create(store))
    await store.commit(Replace(key(store), {}, str(version)), create(store, "other"))
    asked = firestore.asked[-1].writes[0].current_document.update_time
    assert (asked.seconds, asked.nanos) == (1_795_433_816, 123_456_789)


async def test_the_version_after_a_lost_reply_is_the_time_at_which_its_documents_were_made(
    firestore: ScriptedFirestore, store: FirestoreStore
) -> None:
    firestore.answers = [(StatusCode.UNAVAILABLE, ""), (StatusCode.ALREADY_EXISTS, "")]

    def ours(asked: list[Any]) -> list[Any]:
        attempt = asked[0].writes[0].update.fields["doc"].map_value.fields["made_by"].string_value
        return [[found(f"{DOCUMENTS}/new", attempt, 7)]] * 2

    firestore.answer_later = ours
    versions = await store.commit(create(store), Add(key(store), {"n": 1}), Delete(key(store, "y")))
    assert versions == ["1.000000007", "1.000000007", None]


async def test_a_document_that_grows_too_large_is_told_from_a_wrong_request(
    firestore: ScriptedFirestore, store: FirestoreStore
) -> None:
    large = found(f"{DOCUMENTS}/x")
    body(large.found)["text"].string_value = "x" * 600_000
    for write in (
        Update(key(store), {"more": "x" * 600_000}, VERSION),
        Add(key(store), {}, {"m": "x" * 600_000}),
    ):
        firestore.answers = [(StatusCode.INVALID_ARGUMENT, "too large"), [large]]
        with pytest.raises(DocumentTooLarge):
            await store.commit(write, create(store))


async def test_an_increment_that_met_the_end_of_64_bits_is_told(
    firestore: ScriptedFirestore, store: FirestoreStore
) -> None:
    """A field that stood within 2**48 of the end, unknown to this process."""
    response = done(2, 1, 0)
    response.write_results[0].transform_results.add().integer_value = 2**63 - 1
    firestore.answers = [[response]]
    with pytest.raises(OutOfRange):
        await store.commit(Add(key(store), {"n": 1}), create(store))


async def test_a_counter_seen_far_out_is_counted_on_what_is_read(
    firestore: ScriptedFirestore, store: FirestoreStore
) -> None:
    response = done(2, 1, 0)
    response.write_results[0].transform_results.add().integer_value = 2**62 + 1
    firestore.answers = [[response]]
    await store.commit(Add(key(store), {"n": 1}), create(store))
    near = found(f"{DOCUMENTS}/x", nanos=5)
    body(near.found)["n"].integer_value = 2**63 - 2
    firestore.answers = [[near]]
    await store.commit(Add(key(store), {"n": 1}), create(store))
    write = firestore.asked[-1].writes[0]
    assert body(write.update)["n"].integer_value == 2**63 - 1
    assert write.current_document.update_time.nanos == 5
    assert not write.update_transforms
    firestore.answers = [[near]]
    with pytest.raises(OutOfRange):
        await store.commit(Add(key(store), {"n": 2}), create(store))


async def test_a_read_of_several_documents_is_one_batch_answered_in_any_order(
    firestore: ScriptedFirestore, store: FirestoreStore
) -> None:
    """Which Google promises to be one moment."""
    standing = [found(f"{DOCUMENTS}/{name}", nanos=n) for n, name in enumerate("cab")]
    firestore.answers = [[*standing, missing(f"{DOCUMENTS}/x")]]
    docs = await store.read(*(key(store, name) for name in "abxca"))
    assert [doc and (doc.key.id, doc.version[-1]) for doc in docs] == [
        ("a", "1"), ("b", "2"), None, ("c", "0"), ("a", "1"),
    ]  # fmt: skip
    (asked,) = firestore.asked
    assert list(asked.documents) == [f"{DOCUMENTS}/{name}" for name in "abxc"]
    assert not asked.WhichOneof("consistency_selector")


async def test_calls_say_which_database_they_are_for(
    firestore: ScriptedFirestore, store: FirestoreStore
) -> None:
    """Google's front end routes by it."""
    await store.commit(create(store))
    assert firestore.metadata["google-cloud-resource-prefix"] == DATABASE
    assert firestore.metadata["x-goog-request-params"] == "database=projects%2Fp%2Fdatabases%2Fd"
    await CALLS["query"](store)
    parent = "projects%2Fp%2Fdatabases%2Fd%2Fdocuments%2Ftenants%2Ft"
    assert firestore.metadata["x-goog-request-params"] == f"parent={parent}"


async def test_without_credentials_the_store_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    store = FirestoreStore("p", "d", QUERIES)
    for call in CALLS.values():
        with pytest.raises(Misconfigured, match="credentials"):
            await call(store)
    assert len(caplog.records) == len(CALLS)


async def test_credentials_that_do_not_come_are_waited_for_no_longer_than_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """D1: the metadata server may hang as Firestore may."""
    asked = 0

    def hangs(scopes: object) -> tuple[None, None]:
        nonlocal asked
        asked += 1
        time.sleep(2.5)
        raise DefaultCredentialsError("none")  # type: ignore[no-untyped-call]

    monkeypatch.setattr("google.auth.default", hangs)
    store = FirestoreStore("p", "d", QUERIES)
    began = time.monotonic()
    outcomes = await asyncio.gather(*(call(store) for call in CALLS.values()), return_exceptions=True)
    assert time.monotonic() - began < 2
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert asked == 1
    await store.close()


async def test_with_credentials_it_speaks_to_nobody_who_does_not_speak_tls(
    firestore: ScriptedFirestore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {
        "type": "service_account",
        "client_email": "f@p.iam.gserviceaccount.com",
        "private_key": pem,
        "token_uri": "http://127.0.0.1:9/token",
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    monkeypatch.setattr(connection, "_TARGET", firestore.address)
    store = FirestoreStore("p", "d", QUERIES)
    with pytest.raises(Unavailable) as refusal:
        await CALLS["read"](store)
    await store.close()
    assert not isinstance(refusal.value, Misconfigured)
    assert firestore.asked == []


async def test_a_query_that_ends_with_a_bare_read_time_is_no_document(
    firestore: ScriptedFirestore, store: FirestoreStore
) -> None:
    firestore.answers = [[RunQueryResponse(), RunQueryResponse()]]
    page = await store.tenant("t").query(OLDEST)
    assert (page.docs, page.cursor) == ([], None)
