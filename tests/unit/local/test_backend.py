"""What a suite keeps its things in, as the tools around it learn it."""

from pathlib import Path

import pytest

from local import backend, run
from local.backend import Backend
from local.layout import Layout
from shared.config import Emulators

GCP = Backend("gcp", "/data", Emulators("h:1", "h:2", "h:3", "http://h:4"))


def test_the_tools_find_the_backend_in_the_data_folder(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert backend.of(layout) == Backend("embedded", str(tmp_path))
    backend.keep(GCP, layout)
    assert backend.of(layout) == GCP


def test_an_embedded_backend_says_nothing_of_stand_ins() -> None:
    assert not [name for name in Backend("embedded", "/data").settings() if name.endswith("_EMULATOR_HOST")]


@pytest.mark.parametrize(("held", "asked"), [("embedded", "gcp"), ("gcp", "embedded")])
def test_the_data_of_one_backend_is_not_opened_or_emptied_for_the_other(
    held: str, asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = Layout(tmp_path)
    layout.lock.touch()
    layout.store.write_text("something dear")
    if held == "gcp":
        backend.keep(GCP, layout)
    monkeypatch.setenv("BACKEND", asked)
    assert run.main(["--data-dir", str(tmp_path)]) == 1
    assert f"belongs to BACKEND={held}" in capsys.readouterr().err
    assert layout.store.read_text() == "something dear"


def test_a_backend_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKEND", "aws")
    assert run.main(["--data-dir", str(tmp_path)]) == 1
    assert "BACKEND=aws is none; use BACKEND=embedded or BACKEND=gcp" in capsys.readouterr().err
