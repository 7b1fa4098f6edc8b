"""What only secrets in files have: permissions, processes, broken files."""

import asyncio
import multiprocessing
import stat
from pathlib import Path

import pytest

from shared.ids import utc_now
from shared.secrets import SecretUnusable
from shared.secrets.files import FileSecrets
from tests.tokens import Time


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    asyncio.run(FileSecrets(folder, Time()).add("key", b"value"))
    for path in (folder, *folder.rglob("*")):
        assert _mode(path) == (0o700 if path.is_dir() else 0o600), path


def test_a_destroyed_value_is_gone_from_the_disk(tmp_path: Path) -> None:
    async def story(secrets: FileSecrets) -> None:
        await secrets.add("key", b"hunter2")
        await secrets.set_state("key", 1, "destroyed")

    asyncio.run(story(FileSecrets(tmp_path, Time())))
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or (
            b"hunter2" not in path.read_bytes() and b"aHVudGVyMg" not in path.read_bytes()
        )


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"no json", b'{"state":"enabled","created_at":1,"value":"x"}']
)
def test_a_broken_file_is_an_unusable_secret(tmp_path: Path, content: bytes) -> None:
    """S1."""

    async def story(secrets: FileSecrets) -> None:
        await secrets.add("key", b"value")
        (tmp_path / "key" / "1").write_bytes(content)
        with pytest.raises(SecretUnusable, match="unreadable"):
            await secrets.access("key", 1)

    asyncio.run(story(FileSecrets(tmp_path, Time())))


def test_nothing_half_written_is_left_behind(tmp_path: Path) -> None:
    async def story(secrets: FileSecrets) -> None:
        for n in range(5):
            await secrets.add("key", b"value %d" % n)

    asyncio.run(story(FileSecrets(tmp_path, Time())))
    assert sorted(path.name for path in (tmp_path / "key").iterdir()) == [".lock", "1", "2", "3", "4", "5"]


def _add_many(folder: Path) -> list[int]:
    async def story() -> list[int]:
        secrets = FileSecrets(folder, utc_now)
        return [await secrets.add("key", b"value") for _ in range(20)]

    return asyncio.run(story())


def test_processes_that_add_at_once_get_different_numbers(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        numbers = [number for added in pool.map(_add_many, [tmp_path] * 3) for number in added]
    assert sorted(numbers) == list(range(1, 61))
