"""What the objects port promises, whatever stands behind it."""

import asyncio

import pytest

from shared.objects import MAX_NAME_CHARS, Object, ObjectChanged, ObjectExists, Objects
from tests.contract.objects.conftest import Opened

pytestmark = pytest.mark.anyio

JSON, PDF = "application/json", "application/pdf"


@pytest.mark.parametrize("data", [b"", b"{}", b"a\nb\r\n\r\n--\x00\xff", b"x" * 300_000])
async def test_an_object_is_read_as_it_was_written(objects: Objects, data: bytes) -> None:
    generation = await objects.create("jwks.json", data, JSON)
    assert await objects.get("jwks.json") == Object(data, JSON, generation)
    again = await objects.replace("jwks.json", data + b"2", PDF, generation)
    assert await objects.get("jwks.json") == Object(data + b"2", PDF, again)


async def test_what_was_never_written_is_not_there(objects: Objects) -> None:
    assert await objects.get("jwks.json") is None
    await objects.create("jwks.json", b"{}", JSON)
    assert await objects.get("jwks") is None
    assert await objects.get("jwks.json/x") is None


async def test_an_object_is_created_once(objects: Objects) -> None:
    generation = await objects.create("a", b"first", JSON)
    with pytest.raises(ObjectExists, match="object a exists"):
        await objects.create("a", b"second", JSON)
    assert await objects.get("a") == Object(b"first", JSON, generation)


async def test_each_write_is_a_new_generation_and_only_the_present_one_is_replaced(objects: Objects) -> None:
    first = await objects.create("a", b"1", JSON)
    second = await objects.replace("a", b"2", JSON, first)
    assert second > first > 0
    with pytest.raises(ObjectChanged, match="object a is another generation"):
        await objects.replace("a", b"3", JSON, first)
    with pytest.raises(ObjectChanged):
        await objects.replace("a", b"3", JSON, second + 1)
    assert await objects.get("a") == Object(b"2", JSON, second)


async def test_what_is_not_there_is_not_replaced(objects: Objects) -> None:
    with pytest.raises(ObjectChanged):
        await objects.replace("a", b"1", JSON, 7)
    assert await objects.get("a") is None


async def test_objects_whose_names_begin_alike_are_different(objects: Objects) -> None:
    names = ["a", "a/b", "a/b.json", "a-b", "a.b", "A", "tenants/tnt_1/invoices/inv_1.pdf"]
    for name in names:
        await objects.create(name, name.encode(), JSON)
    found = [await objects.get(name) for name in names]
    assert [each.data.decode() for each in found if each] == names


async def test_of_many_who_create_at_once_one_does(opened: Opened) -> None:
    """B23."""
    instances = [opened() for _ in range(4)]
    results = await asyncio.gather(
        *(instances[n % 4].create("a", b"%d" % n, JSON) for n in range(16)), return_exceptions=True
    )
    generations = [result for result in results if isinstance(result, int)]
    assert len(generations) == 1
    assert sum(isinstance(result, ObjectExists) for result in results) == 15
    found = await opened().get("a")
    assert found == Object(b"%d" % results.index(generations[0]), JSON, generations[0])


async def test_of_many_who_replace_at_once_one_does(opened: Opened) -> None:
    instances = [opened() for _ in range(4)]
    first = await instances[0].create("a", b"first", JSON)
    results = await asyncio.gather(
        *(instances[n % 4].replace("a", b"%d" % n, JSON, first) for n in range(16)), return_exceptions=True
    )
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, ObjectChanged) for result in results) == 15


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a/.b", "a b", "a%b", "é", "a\n", "x" * 201]
)
async def test_a_name_cannot_lead_anywhere_else(objects: Objects, name: str) -> None:
    with pytest.raises(ValueError, match="is no name of an object"):
        await objects.create(name, b"x", JSON)
    with pytest.raises(ValueError, match="is no name of an object"):
        await objects.get(name)


async def test_the_longest_name_is_kept(objects: Objects) -> None:
    name = "x" * MAX_NAME_CHARS
    await objects.create(name, b"long", JSON)
    assert await objects.get(name) is not None
