"""Ids stay distinct and stay inside of their scope, whatever they hold."""

from itertools import pairwise

import pytest

from shared.store import Create, Delete, Scope, Store
from tests.contract.store.harness import BY_ID, ENTRIES, TENANTS

pytestmark = pytest.mark.anyio

AWKWARD = [
    "/", "//", "a/b", "a%2Fb", "a%252Fb", "%2F", "%252F", "%", "%25", "%2", "..", ".", "...", "%2E", "%2E%2E",
    "../b", "a/users/x", "__x__", "%5F_x__", "__x", "x__", "____", "__", "\0", "%00", "a\0b", "a", "A",
    "é", "e\u0301", "😀", " ", "a ", "*", "?", "#", "~", "`", "'", '"', "\\", "\n", "\u202e", "\uffff",
    "x" * 1500, "😀" * 375,
]  # fmt: skip


async def test_awkward_ids_are_distinct_documents_and_come_back_as_they_were(
    store: Store, scope: Scope
) -> None:
    """T5"""
    for text in AWKWARD:
        await store.commit(Create(scope.key("things", text), {"id": text}))
    for text in AWKWARD:
        doc = await scope.get("things", text)
        assert doc is not None
        assert doc.body == {"id": text}
        assert (doc.key.id, doc.key.kind, doc.key.collection) == (text, "things", "tenants/t/things")
    page = await scope.query(BY_ID, limit=1000)
    assert sorted(doc.key.id for doc in page.docs) == sorted(AWKWARD)
    for text in AWKWARD:
        await store.commit(Delete(scope.key("things", text)))
    assert (await scope.query(BY_ID)).docs == []


async def test_a_walk_page_by_page_meets_every_awkward_id_once(store: Store, scope: Scope) -> None:
    await store.commit(*(Create(scope.key("things", text), {}) for text in AWKWARD))
    met: list[str] = []
    cursor = None
    for _ in AWKWARD:
        page = await scope.query(BY_ID, limit=1, cursor=cursor)
        met += [doc.key.path for doc in page.docs]
        cursor = page.cursor
    assert cursor is None
    assert all(one < other for one, other in pairwise(met))
    assert len(met) == len(AWKWARD)


@pytest.mark.parametrize("text", ["", "x" * 1501, "😀" * 376, "/" * 501, "\ud800"])
async def test_an_id_that_no_document_can_have_is_refused(store: Store, scope: Scope, text: str) -> None:
    """T5"""
    with pytest.raises(ValueError, match=r".+"):
        scope.key("things", text)
    with pytest.raises(ValueError, match=r".+"):
        store.tenant(text)


@pytest.mark.parametrize("text", ["..", "../b", "b/..", "a/users/x", "/", "//b", "%2e%2e", "a\0", "."])
async def test_an_id_cannot_lead_out_of_its_tenant(store: Store, text: str) -> None:
    """T5"""
    a, b = store.tenant("a"), store.tenant("b")
    await store.commit(Create(b.key("users", "x"), {"of": "b"}))
    await store.commit(Create(a.key("users", text), {"of": "a"}))
    assert a.key("users", text).path.startswith("tenants/a/users/")
    assert a.key("users", text).path.count("/") == 3
    doc = await b.get("users", "x")
    assert doc is not None
    assert doc.body == {"of": "b"}
    assert await a.get("users", "x") is None
    outside = store.tenant(text)
    assert outside.key("users", "x").path.count("/") == 3
    assert await outside.get("users", "x") is None


async def test_a_tenant_whose_id_begins_like_anothers_shares_nothing_with_it(store: Store) -> None:
    scopes = {name: store.tenant(name) for name in ("t1", "t10", "t", "t1/things", "T1")}
    for name, scope in scopes.items():
        await store.commit(Create(scope.key("things", "same"), {"of": name}))
    for name, scope in scopes.items():
        page = await scope.query(BY_ID)
        assert [doc.body for doc in page.docs] == [{"of": name}]
        doc = await scope.get("things", "same")
        assert doc is not None
        assert doc.body == {"of": name}


@pytest.mark.parametrize(
    "segments",
    [
        ("users", "x"),
        ("things", "x"),
        ("tenants", "t", "users", "x"),
        ("tenants", "t", "users"),
        ("tenants",),
        (),
        ("tenants/t/users", "x"),
        ("../tenants", "t"),
    ],
)
async def test_the_platform_scope_reaches_nothing_of_a_tenant(
    store: Store, segments: tuple[str, ...]
) -> None:
    platform = store.platform()
    with pytest.raises(ValueError, match=r".+"):
        platform.key(*segments)
    with pytest.raises(ValueError, match=r".+"):
        await platform.get(*segments)


async def test_a_platform_query_reaches_nothing_of_a_tenant(store: Store, scope: Scope) -> None:
    await store.commit(Create(scope.key("things", "x"), {}))
    for parents in (("tenants", "t"), (), ("tenants/t", "things"), ("tenants",)):
        with pytest.raises(ValueError, match=r".+"):
            await store.platform().query(BY_ID, *parents)


@pytest.mark.parametrize("name", ["", "a/b", "..", "Things", "a-b", "a.b", "é", "1a", "a b", "a\0"])
async def test_a_collection_has_a_plain_name(scope: Scope, name: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        scope.key(name, "x")


async def test_the_platform_scope_reaches_the_root_collections_and_below(store: Store) -> None:
    platform = store.platform()
    tenant = platform.key("tenants", "t1")
    entry = platform.key("outbox", "auth-0", "entries", "e1")
    await store.commit(
        Create(tenant, {"status": "active", "name": "One"}),
        Create(store.tenant("t1").key("tenants", "odd"), {"status": "active", "name": "Odd"}),
        Create(entry, {"at": 1}),
        Create(platform.key("outbox", "auth-1", "entries", "e2"), {"at": 1}),
    )
    tenants = await platform.query(TENANTS, equal={"status": "active"})
    assert [doc.key for doc in tenants.docs] == [tenant]
    entries = await platform.query(ENTRIES, "outbox", "auth-0")
    assert [doc.key for doc in entries.docs] == [entry]
