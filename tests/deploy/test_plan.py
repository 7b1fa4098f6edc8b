"""`make plan`: what a deployment would run, for a person, without a network or an account."""

import os
import shlex
import subprocess
import sys

import pytest

from deploy import lint, plan
from deploy.rehearsal import ROOT, Call
from tests.deploy.rehearsals import Rehearsed


def test_the_plan_shows_every_step_ready_for_a_shell_without_gcloud_network_or_account() -> None:
    """Nothing of the caller's environment is used, and of programs only a shell and its usual tools."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.plan", "--project=acme", "--environment=staging", "--region=eu-west1"],
        cwd=ROOT,
        env={"PATH": os.defpath, "HTTPS_PROXY": "http://127.0.0.1:1", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    titles = [line for line in done.stdout.splitlines() if line.startswith("# ")]
    assert titles[0] == "# 1. test"
    assert "# 5. deploy-auth, after topics, firestore" in titles
    assert titles[-1] == "# 15. smoke, after schedulers, gateway"
    assert (
        "gcloud functions deploy energent-billing-staging \\\n  --gen2 \\\n  --region=eu-west1" in done.stdout
    )
    assert "serviceAccount:energent-auth-staging@acme.iam.gserviceaccount.com" in done.stdout
    assert "$" not in done.stdout, "a name that was not filled in"
    lines = done.stdout.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line) for line in lines if line and not line.startswith("#")]
    assert {command[0] for command in commands} == {"gcloud", "curl", "python"}
    assert ["python", "-m", "pytest"] in commands


def test_what_the_second_deployment_makes_is_nothing(rehearsed: Rehearsed) -> None:
    text = "\n".join(plan.shown(rehearsed.steps, rehearsed.again))
    assert "api-gateway gateways update" in text
    assert " create " not in text


def test_bootstrap_has_a_plan_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["--bootstrap"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# deploy/bootstrap.sh\ngcloud services enable ")
    assert "functions deploy" not in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--set", "_REGOIN=x"], "no substitution _REGOIN"),
        (["--environment", "Production"], "ENVIRONMENT must have 1 to 13 characters"),
        (["--set", "_PUBLIC_URL=https://a.example.com/"], "the public URL must be https://"),
    ],
)
def test_a_plan_that_could_not_be_carried_out_says_why(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert plan.main(arguments) == 1
    assert complaint in capsys.readouterr().err


def test_without_gcloud_nothing_is_linted_and_that_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert plan.linted([]) == 1
    assert "nothing was linted: there is no gcloud on the PATH" in capsys.readouterr().err


@pytest.mark.parametrize(("failures", "code"), [([], 0), (["gcloud a --b: unrecognized arguments"], 1)])
def test_what_gcloud_refuses_is_printed_and_fails(
    failures: list[str], code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lint, "failures", lambda commands: failures)
    assert plan.linted([Call("topics", "deploy/steps/topics.sh:9", ("gcloud", "a", "--b"))]) == code
    assert (failures or ["1 forms of commands"])[0] in capsys.readouterr().err
