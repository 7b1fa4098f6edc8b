"""Control characters take six bytes of JSON each, and no more, however a store holds them."""

import pytest

from shared.store import MAX_DOCUMENT_BYTES, Add, Create, Scope, Store, Update
from tests.contract.store.harness import marker

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("letter", ["\0", "\x01"])
async def test_a_document_of_control_characters_is_as_large_as_its_json(
    store: Store, scope: Scope, letter: str
) -> None:
    key = scope.key("things", "x")
    text = letter * (MAX_DOCUMENT_BYTES // 6 - 10)
    (version,) = await store.commit(Create(key, {"text": text}))
    (_, version) = await store.commit(marker(store), Update(key, {"m": 1}, str(version)))
    await store.commit(marker(store), Add(key, {"n": 1}))
    doc = await scope.get("things", "x")
    assert doc is not None
    assert doc.body == {"text": text, "m": 1, "n": 1}
