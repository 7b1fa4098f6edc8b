"""Finding and starting Google's emulators."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local import emulators
from local.emulators import Missing


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    emulators.find.cache_clear()
    yield
    emulators.find.cache_clear()


def _program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _sdk(folder: Path, *programs: str) -> Path:
    """A `bin` folder for the PATH with a java and a gcloud that names an SDK with these programs."""
    for program in programs:
        _program(folder / "sdk" / "platform" / program, "exit 0")
    _program(folder / "bin" / "java", "exit 0")
    _program(folder / "bin" / "gcloud", f"echo {folder / 'sdk'}")
    return folder / "bin"


def test_both_are_found_through_gcloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found_in = _sdk(
        tmp_path,
        "cloud-firestore-emulator/cloud_firestore_emulator",
        "pubsub-emulator/bin/cloud-pubsub-emulator",
    )
    monkeypatch.setenv("PATH", f"{found_in}:/bin:/usr/bin")
    found = emulators.find()
    assert found.firestore(8181)[1:] == ("start", "--host=127.0.0.1", "--port=8181")
    assert found.pubsub(8182)[1:] == ("--host=127.0.0.1", "--port=8182")
    assert found.firestore_program.exists()
    assert found.pubsub_program.exists()


@pytest.mark.parametrize(
    ("installed", "said"),
    [
        (("pubsub-emulator/bin/cloud-pubsub-emulator",), "cloud_firestore_emulator is not in the Cloud SDK"),
        (
            ("cloud-firestore-emulator/cloud_firestore_emulator",),
            "cloud-pubsub-emulator is not in the Cloud SDK",
        ),
    ],
)
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    installed: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{_sdk(tmp_path, *installed)}:/bin:/usr/bin")
    with pytest.raises(Missing, match=f"{said}: gcloud components install"):
        emulators.find()


def test_without_gcloud_or_java_that_is_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match="no java"):
        emulators.find()
    _program(tmp_path / "java", "exit 0")
    with pytest.raises(Missing, match="no gcloud on the PATH"):
        emulators.find()
    _program(tmp_path / "gcloud", "exit 3")
    with pytest.raises(Missing, match="does not say where it is installed"):
        emulators.find()


@pytest.mark.parametrize("emulator", ["firestore-emulator", "pubsub-emulator"])
def test_it_starts(emulator: str, request: pytest.FixtureRequest) -> None:
    host = request.getfixturevalue(emulator.replace("-", "_"))
    assert httpx.get(f"http://{host}/", trust_env=False).text.strip() == "Ok"


@pytest.mark.parametrize(("required", "outcome"), [("0", "1 skipped"), ("1", "1 error")])
def test_a_machine_without_them_skips_and_fails_where_they_are_required(
    required: str, outcome: str, tmp_path: Path
) -> None:
    test = tmp_path / "test_asks.py"
    test.write_text("from tests.conftest import *\n\ndef test_asks(firestore_emulator: str) -> None: ...\n")
    root = Path(__file__).parents[3]
    environ = {"PATH": str(tmp_path), "REQUIRE_EMULATORS": required, "PYTHONPATH": str(root)}
    done = subprocess.run(  # noqa: S603 - pytest itself
        [sys.executable, "-m", "pytest", "-rs", "-c", os.devnull, "-p", "no:cacheprovider", str(test)],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in done.stdout
    assert "no java on the PATH" in done.stdout
    assert done.returncode == int(required)
