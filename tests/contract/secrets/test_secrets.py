"""What the secrets port promises, whatever stands behind it."""

import asyncio

import pytest

from shared.secrets import Secrets, SecretUnusable
from tests.contract.secrets.conftest import Opened
from tests.tokens import NOW


def test_versions_are_numbered_from_one_and_each_keeps_its_value(opened: Opened) -> None:
    """S3 S4."""

    async def story(secrets: Secrets) -> None:
        assert await secrets.add("key", b"one") == 1
        assert await secrets.add("key", b"two\x00\xff") == 2
        assert await secrets.add("other", b"else") == 1
        assert await secrets.access("key", 1) == b"one"
        assert await secrets.access("key", 2) == b"two\x00\xff"
        assert [(v.number, v.state, v.created_at) for v in await secrets.versions("key")] == [
            (2, "enabled", NOW),
            (1, "enabled", NOW),
        ]

    asyncio.run(story(opened()))


def test_what_one_instance_adds_another_reads(opened: Opened) -> None:
    async def story() -> None:
        number = await opened().add("key", b"value")
        assert await opened().access("key", number) == b"value"

    asyncio.run(story())


def test_a_secret_that_does_not_exist_has_no_versions(opened: Opened) -> None:
    """S1."""

    async def story(secrets: Secrets) -> None:
        assert await secrets.versions("nothing") == []
        with pytest.raises(SecretUnusable, match="secret nothing version 1 is missing"):
            await secrets.access("nothing", 1)
        with pytest.raises(SecretUnusable, match="missing"):
            await secrets.set_state("nothing", 1, "disabled")

    asyncio.run(story(opened()))


def test_a_disabled_version_is_refused_until_it_is_enabled_again(opened: Opened) -> None:
    """S1 S4."""

    async def story(secrets: Secrets) -> None:
        await secrets.add("key", b"value")
        assert await secrets.access("key", 1) == b"value"
        await secrets.set_state("key", 1, "disabled")
        with pytest.raises(SecretUnusable, match="disabled"):
            await secrets.access("key", 1)
        assert [version.state for version in await secrets.versions("key")] == ["disabled"]
        await secrets.set_state("key", 1, "enabled")
        assert await secrets.access("key", 1) == b"value"

    asyncio.run(story(opened()))


def test_destroying_is_final_and_the_number_is_never_used_again(opened: Opened) -> None:
    """S1."""

    async def story(secrets: Secrets) -> None:
        await secrets.add("key", b"value")
        await secrets.set_state("key", 1, "destroyed")
        for state in ("enabled", "disabled"):
            with pytest.raises(SecretUnusable, match="destroyed"):
                await secrets.set_state("key", 1, state)
        with pytest.raises(SecretUnusable, match="destroyed"):
            await secrets.access("key", 1)
        assert await secrets.add("key", b"new") == 2

    asyncio.run(story(opened()))


def test_adding_at_the_same_time_gives_different_numbers(opened: Opened) -> None:
    async def story() -> None:
        instances = [opened() for _ in range(4)]
        numbers = await asyncio.gather(
            *(instances[n % 4].add("key", f"value {n}".encode()) for n in range(40))
        )
        assert sorted(numbers) == list(range(1, 41))
        reader = opened()
        assert sorted([await reader.access("key", n) for n in numbers]) == sorted(
            f"value {n}".encode() for n in range(40)
        )

    asyncio.run(story())


def test_an_error_never_holds_the_value(opened: Opened) -> None:
    """G1 S1."""

    async def story(secrets: Secrets) -> None:
        await secrets.add("key", b"hunter2")
        await secrets.set_state("key", 1, "disabled")
        with pytest.raises(SecretUnusable) as refused:
            await secrets.access("key", 1)
        assert "hunter2" not in repr(refused.value)

    asyncio.run(story(opened()))


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", ".", "x" * 256, "é"])
def test_a_name_cannot_lead_anywhere_else(opened: Opened, name: str) -> None:
    async def story(secrets: Secrets) -> None:
        with pytest.raises(ValueError, match="no name of a secret"):
            await secrets.add(name, b"x")
        with pytest.raises(ValueError, match="no name of a secret"):
            await secrets.access(name, 1)

    asyncio.run(story(opened()))


def test_an_empty_secret_is_not_stored(opened: Opened) -> None:
    """S1."""

    async def story(secrets: Secrets) -> None:
        with pytest.raises(ValueError, match="empty"):
            await secrets.add("key", b"")
        assert await secrets.versions("key") == []

    asyncio.run(story(opened()))
