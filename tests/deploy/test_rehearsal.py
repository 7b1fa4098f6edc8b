"""The steps in a project where nothing is there yet, in one where everything is, and in any order."""

import random
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from deploy.rehearsal import ROOT, Call, Rehearsal, RehearsalError
from tests.deploy.rehearsals import PROJECT, Rehearsed, steps


def made(calls: Iterable[Call]) -> list[str]:
    return [" ".join(call.command[1:]) for call in calls if "create" in call.command]


def test_a_second_deployment_makes_nothing_that_is_there(rehearsed: Rehearsed) -> None:
    """Google's own accounts are asked for each time, and given where they are there."""
    assert len(made(rehearsed.first)) > 15
    again = made([*rehearsed.setup_again, *rehearsed.again])
    assert [text for text in again if not text.startswith("beta services identity create")] == []


def test_steps_that_do_not_wait_for_each_other_may_come_in_any_order(
    rehearsed: Rehearsed, tmp_path: Path
) -> None:
    """Each finds what it needs made by those that it waits for."""
    for seed in range(2):
        waiting, order, done = steps(), [], set[str]()
        shuffle = random.Random(seed)
        while waiting:
            step = shuffle.choice([step for step in waiting if set(step.wait_for) <= done])
            waiting.remove(step)
            order.append(step)
            done.add(step.id)
        shutil.copytree(rehearsed.prepared, tmp_path / str(seed), symlinks=True)
        calls = Rehearsal(tmp_path / str(seed)).pipeline(order)
        assert sorted(made(calls)) == sorted(made(rehearsed.first))


def test_a_step_that_comes_too_early_fails(rehearsed: Rehearsed, tmp_path: Path) -> None:
    """The rehearsal would notice a step that does not wait."""
    shutil.copytree(rehearsed.prepared, tmp_path / "project", symlinks=True)
    rehearsal = Rehearsal(tmp_path / "project")
    rehearsal.pipeline(steps("stage"))
    for early in ("subscriptions", "invokers", "smoke"):
        with pytest.raises(RehearsalError, match=f"{early} ended with 1(.|\n)*NOT_FOUND"):
            rehearsal.pipeline(steps(early))


def test_every_gcloud_line_of_the_scripts_is_rehearsed(rehearsed: Rehearsed) -> None:
    """But for two that only other circumstances reach, tested below, and the last words of bootstrap.sh."""
    others = {"deploy/steps/gateway.sh": 2, "deploy/bootstrap.sh": 1}
    reached = {call.place for call in rehearsed.all()}
    for path in sorted((ROOT / "deploy").rglob("*.sh")):
        name = str(path.relative_to(ROOT))
        lines = enumerate(path.read_text().splitlines(), 1)
        written = [f"{name}:{at}" for at, line in lines if re.search(r"(^|[(;&|{])\s*gcloud [a-z]", line)]
        missed = [place for place in written if place not in reached]
        assert len(missed) == others.get(name, 0), missed


@pytest.mark.parametrize("environment", ["Production", "a-name-too-long", "prod-", "1st", "", "pro_d"])
def test_an_environment_that_cannot_be_part_of_a_name_is_refused(tmp_path: Path, environment: str) -> None:
    with pytest.raises(RehearsalError, match="ENVIRONMENT"):
        Rehearsal(tmp_path).bootstrap(PROJECT, environment, "us-central1")


def test_a_missing_database_says_what_to_do(tmp_path: Path) -> None:
    rehearsal = Rehearsal(tmp_path)
    with pytest.raises(RehearsalError, match=r"run deploy/bootstrap\.sh first"):
        rehearsal.pipeline(steps("stage", "firestore"))
