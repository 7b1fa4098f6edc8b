"""What only objects in files have: permissions, broken files, what a crash leaves."""

import stat
from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.objects.files import FileObjects

pytestmark = pytest.mark.anyio


async def test_only_the_owner_can_read_them_and_nothing_half_written_stays(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path / "data" / "objects")
    generation = await objects.create("a/b", b"1", "text/plain")
    await objects.replace("a/b", b"2", "text/plain", generation)
    found = sorted((tmp_path / "data").rglob("*"))
    assert [path.name for path in found] == ["objects", ".lock", "a%b"]
    for path in (tmp_path / "data", *found):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("content", [b"", b"{}\n", b"no json\nx", b'{"content_type":"a"}\nx'])
async def test_a_broken_file_is_an_outage_and_not_an_object(tmp_path: Path, content: bytes) -> None:
    objects = FileObjects(tmp_path)
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(Unavailable):
        await objects.get("a")
    with pytest.raises(Unavailable):
        await objects.create("a", b"1", "text/plain")
    assert (tmp_path / "a").read_bytes() == content


async def test_a_folder_that_cannot_be_written_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    objects = FileObjects(tmp_path / "file")
    with pytest.raises(Unavailable):
        await objects.create("a", b"1", "text/plain")
    with pytest.raises(Unavailable):
        await objects.get("a")
