"""`make plan`: what a deployment would run, for a person, without a network or an account."""

import os
import shlex
import subprocess
import sys

import pytest

from deploy import plan
from deploy.rehearsal import ROOT


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert plan.main(arguments) == 0
    return capsys.readouterr().out


def test_the_plan_shows_every_step_with_its_commands_ready_for_a_shell(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(capsys, "--project=acme-prod", "--environment=staging", "--region=europe-west1")
    titles = [line for line in text.splitlines() if line.startswith("# ")]
    assert titles[0] == "# 1. test"
    assert "# 5. deploy-auth, after topics, firestore" in titles
    assert titles[-1] == "# 15. smoke, after schedulers, gateway"
    assert "python -m pytest" in text
    assert "gcloud functions deploy energent-billing-staging \\\n  --gen2 \\\n  --region=europe-west1" in text
    assert "serviceAccount:energent-auth-staging@acme-prod.iam.gserviceaccount.com" in text
    assert "api-gateway gateways create" in text
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    assert {shlex.split(line)[0] for line in lines} == {"gcloud", "curl", "python"}
    assert "$" not in text, "a name that was not filled in"


def test_the_second_deployment_and_the_bootstrap_have_plans_too(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--again")
    assert "api-gateway gateways update" in text
    assert " create " not in text
    assert "iam service-accounts create" in printed(capsys, "--bootstrap")


def test_the_plan_needs_no_gcloud_no_network_and_no_account() -> None:
    """Nothing of the caller's environment is used, and of programs only a shell and its usual tools."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.plan"],
        cwd=ROOT,
        env={"PATH": os.defpath, "HTTPS_PROXY": "http://127.0.0.1:1", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "# 15. smoke" in done.stdout


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
