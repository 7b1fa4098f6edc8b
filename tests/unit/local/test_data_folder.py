"""Data folders: one runner each, and nothing of a person's own is deleted."""

from pathlib import Path

import pytest

from local import data_folder
from local.data_folder import DataFolderError
from local.files import write_atomically
from local.layout import Layout


def test_a_folder_has_one_runner_at_a_time(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    with (
        data_folder.held(layout, fresh=False),
        pytest.raises(DataFolderError, match=r"another runner, process \d+"),
    ):
        data_folder.held(layout, fresh=False).__enter__()
    with data_folder.held(layout, fresh=False):
        assert layout.root.stat().st_mode & 0o777 == 0o700


def test_fresh_empties_a_folder_of_ours_and_no_other_start_does(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    with data_folder.held(layout, fresh=True):
        layout.store.touch()
        layout.mailbox.mkdir()
        (layout.root / "link").symlink_to(outside)
    with data_folder.held(layout, fresh=False):
        assert layout.store.exists()
    with data_folder.held(layout, fresh=True):
        assert [item.name for item in layout.root.iterdir()] == [layout.lock.name]
    assert (outside / "kept").exists()


def test_fresh_never_touches_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(DataFolderError, match="no data folder of ours"):
        data_folder.held(Layout(tmp_path), fresh=True).__enter__()
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_running_folder_is_not_emptied_under_its_runner(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    with data_folder.held(layout, fresh=False):
        layout.store.touch()
        with pytest.raises(DataFolderError):
            data_folder.held(layout, fresh=True).__enter__()
        assert layout.store.exists()


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderError, match="cannot be used"):
        data_folder.held(Layout(tmp_path / "file"), fresh=False).__enter__()


def test_a_file_is_replaced_as_a_whole_and_is_the_owners_only(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_atomically(file, "one")
    write_atomically(file, "two")
    assert file.read_text() == "two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]
