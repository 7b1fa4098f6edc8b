"""The first operator of a deployed suite: made once, shown once."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import first_operator
from deploy.rehearsal import ROOT
from functions.auth import records
from shared import tenant
from shared.errors import Misconfigured, Unavailable
from shared.store import Store, Version, Write
from shared.store.firestore import FirestoreStore
from shared.store.sqlite import SqliteStore


class Opened:
    """Opens the same store each time, and remembers which one was asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[tuple[str, str]] = []

    def __call__(self, project: str, database: str) -> Store:
        self.asked.append((project, database))
        return SqliteStore(self.path, records.QUERIES)


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path / "store.db")


def credential(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_credential_is_shown_once_and_a_second_call_is_refused(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    assert first_operator.main(["--project", "acme"], opened) == 0
    shown = credential(capsys.readouterr().out)
    assert set(shown) == {"client_id", "client_secret"}

    assert first_operator.main(["--project", "acme"], opened) == 1
    refused = capsys.readouterr()
    assert refused.out == ""
    assert refused.err == (
        "deploy.first_operator: There is a first operator. With --another NAME one more is made.\n"
    )
    assert opened.asked == [("acme", "energent-metadata-production")] * 2


def test_where_the_secret_was_lost_another_operator_is_made(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    assert first_operator.main(["--project", "acme", "--another", "Ada"], opened) == 1
    assert "leave --another out" in capsys.readouterr().err
    assert first_operator.main(["--project", "acme"], opened) == 0
    first = credential(capsys.readouterr().out)
    assert first_operator.main(["--project", "acme", "--another", "Ada"], opened) == 0
    assert credential(capsys.readouterr().out)["client_id"] != first["client_id"]


def test_each_environment_has_operators_of_its_own(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    assert first_operator.main(["--project", "acme", "--environment", "staging"], opened) == 0
    assert opened.asked == [("acme", "energent-metadata-staging")]


class Broken(SqliteStore):
    """Refuses its first commits."""

    def __init__(self, path: Path, failure: Unavailable, times: int) -> None:
        super().__init__(path, ())
        self._failures = [failure] * times

    async def commit(self, *writes: Write) -> list[Version | None]:
        if self._failures:
            raise self._failures.pop()
        return await super().commit(*writes)


def test_a_database_that_is_missing_is_named_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = Misconfigured("projects/acme/databases/d", "missing: create it")

    def open_store(project: str, database: str) -> Store:
        return Broken(tmp_path / "store.db", missing, 1)

    assert first_operator.main(["--project", "acme"], open_store) == 1
    assert "projects/acme/databases/d: missing" in capsys.readouterr().err


LOGS_WHAT_IT_RAISES = """
import logging, sys
from deploy import first_operator
from shared.errors import Misconfigured

def refusing(project, database):
    logging.getLogger("shared.store.firestore").error("there are no credentials")
    raise Misconfigured("projects/acme", "there are no credentials")

sys.exit(first_operator.main(["--project", "acme"], refusing))
"""


def test_what_is_wrong_is_said_once_though_the_store_logs_it_too() -> None:
    """In a process of its own: where tests run, logs have handlers."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", LOGS_WHAT_IT_RAISES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("there are no credentials") == 1


@pytest.mark.parametrize(("times", "code"), [(2, 0), (3, 1)])
def test_a_slow_answer_is_waited_for_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, times: int, code: int
) -> None:
    monkeypatch.setattr(first_operator, "PAUSES_SECONDS", (0, 0))
    slow = Unavailable("store_unavailable", "Try again.")

    def open_store(project: str, database: str) -> Store:
        return Broken(tmp_path / "store.db", slow, times)

    assert first_operator.main(["--project", "acme"], open_store) == code


def test_on_firestore_the_first_operator_is_there_for_the_functions_to_find(
    firestore_emulator: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def on_emulator(project: str, database: str) -> Store:
        return FirestoreStore(project, database, records.QUERIES, emulator_host=firestore_emulator)

    assert first_operator.main(["--project", "first-operator"], on_emulator) == 0
    assert first_operator.main(["--project", "first-operator"], on_emulator) == 1

    async def status() -> str:
        store = on_emulator("first-operator", "energent-metadata-production")
        try:
            (found,) = await store.read(tenant.key(store, "platform"))
            assert found is not None
            return str(found.body["status"])
        finally:
            await store.close()

    assert asyncio.run(status()) == "active"
    assert "client_secret=" in capsys.readouterr().out
