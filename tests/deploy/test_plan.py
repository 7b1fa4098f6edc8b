"""`make plan`: what a deployment would run, for a person, without a network or an account."""

import os
import shlex
import subprocess
import sys

import pytest

from deploy import lint, pipeline, plan
from deploy.rehearsal import ROOT, Call
from tests.deploy.rehearsals import GIVEN, Rehearsed


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
        (["--environment", "staging", "--set", "_ENVIRONMENT=test"], "given as staging and as test"),
        (["--environment", "Production"], "ENVIRONMENT must have 1 to 13 characters"),
        (["--set", "_PUBLIC_URL=https://a.example.com/"], "the public URL must be https://"),
    ],
)
def test_a_plan_that_could_not_be_carried_out_says_why(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert plan.main(arguments) == 1
    assert complaint in capsys.readouterr().err


def test_environment_and_region_may_be_given_as_substitutions(capsys: pytest.CaptureFixture[str]) -> None:
    """What bootstrap.sh makes then has the same names."""
    assert plan.main(["--environment", "staging", "--region", "us-east1"]) == 0
    text = capsys.readouterr().out
    assert "energent-auth-staging" in text
    assert plan.main(["--set", "_ENVIRONMENT=staging", "--set", "_REGION=us-east1"]) == 0
    assert capsys.readouterr().out == text


def test_what_is_not_given_is_as_the_file_has_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "defaults", lambda *_: GIVEN | {"_ENVIRONMENT": "staging"})
    assert plan.main([]) == 0
    assert "energent-auth-staging" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "usage: PROJECT_ID=my-project ENVIRONMENT=production"),
        (["staging"], 2, "takes no arguments: staging"),
        ([], 2, "PROJECT_ID is not set: export PROJECT_ID, ENVIRONMENT and REGION first."),
    ],
)
def test_bootstrap_says_what_it_needs_before_it_does_anything(
    arguments: list[str], code: int, said: str
) -> None:
    done = subprocess.run(  # noqa: S603 - our own script
        ["/bin/bash", "deploy/bootstrap.sh", *arguments],
        cwd=ROOT,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["plan", "api_spec", "firestore_fields", "first_operator"])
def test_help_can_be_typed_as_it_is_shown(name: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own modules
        [sys.executable, "-m", f"deploy.{name}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith(f"usage: python -m deploy.{name} ")


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
