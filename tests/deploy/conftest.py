"""One rehearsal of the deployment, shared by the tests that look at what it called."""

import shutil

import pytest

from deploy.rehearsal import Rehearsal
from tests.deploy.rehearsals import PROJECT, Rehearsed, steps


@pytest.fixture(scope="session")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    folder = tmp_path_factory.mktemp("rehearsal")
    prepared = tmp_path_factory.mktemp("prepared") / "project"
    rehearsal = Rehearsal(folder)
    setup = rehearsal.bootstrap(PROJECT, "production", "us-central1")
    shutil.copytree(folder, prepared, symlinks=True)
    return Rehearsed(
        steps=steps(),
        setup=setup,
        first=rehearsal.pipeline(steps()),
        setup_again=rehearsal.bootstrap(PROJECT, "production", "us-central1"),
        again=rehearsal.pipeline(steps()),
        folder=folder,
        prepared=prepared,
    )
