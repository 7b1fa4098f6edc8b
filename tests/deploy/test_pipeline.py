"""cloudbuild-functions.yaml as it is written: its order, its defaults, its figures."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import pipeline
from deploy.pipeline import PipelineError, Step
from tests.deploy.rehearsals import BUILT_IN, GIVEN

TEXT = pipeline.FILE.read_text(encoding="utf-8")
CONFIG: dict[str, Any] = yaml.safe_load(TEXT)
STEPS = pipeline.load(GIVEN, BUILT_IN)
BY_ID = {step.id: step for step in STEPS}
SCRIPTS = sorted((pipeline.FILE.parent / "deploy").rglob("*.sh"))
DEPLOYS = [step.id for step in STEPS if step.id.startswith("deploy-")]


def before(step: Step) -> set[str]:
    """The ids of all steps that have ended when this one begins."""
    return set(step.wait_for).union(*(before(BY_ID[name]) for name in step.wait_for))


def test_ids_are_unique_and_every_step_says_what_it_waits_for() -> None:
    assert len(BY_ID) == len(STEPS)
    assert all("waitFor" in step for step in CONFIG["steps"]), "without it a step waits for all before it"


def test_nothing_waits_for_a_step_that_is_not_there_or_comes_later() -> None:
    """What only looks back has no circle."""
    seen: set[str] = set()
    for step in STEPS:
        assert set(step.wait_for) <= seen, step.id
        seen.add(step.id)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("test", "stage"),
        ("stage", "topics"),
        ("stage", "firestore"),
        *(("topics", name) for name in DEPLOYS),
        *(("firestore", name) for name in DEPLOYS),
        *((name, "invokers") for name in DEPLOYS),
        *((name, "subscriptions") for name in DEPLOYS if "events" in BY_ID[name].command),
        ("invokers", "schedulers"),
        ("subscriptions", "schedulers"),
        ("invokers", "gateway"),
        ("gateway", "smoke"),
        ("schedulers", "smoke"),
    ],
)
def test_the_order_is_right(earlier: str, later: str) -> None:
    assert earlier in before(BY_ID[later])


def test_the_six_services_are_deployed_in_parallel() -> None:
    assert sorted(DEPLOYS) == [
        "deploy-auth",
        "deploy-auth-events",
        "deploy-billing",
        "deploy-billing-api",
        "deploy-tenants",
        "deploy-tenants-events",
    ]
    assert not any(name in before(BY_ID[other]) for name in DEPLOYS for other in DEPLOYS)


def test_the_guides_command_is_enough_every_substitution_has_a_default() -> None:
    """MUST_MATCH: Cloud Build refuses a name without a value, and a default that nothing uses."""
    used = set(re.findall(r"\$\{?(_[A-Z0-9_]+)", TEXT))
    assert used == set(CONFIG["substitutions"]) == set(GIVEN)
    assert all(isinstance(value, str) for value in CONFIG["substitutions"].values())
    names = {"_ENVIRONMENT": "production", "_REGION": "us-central1"}
    assert len(pipeline.load(names, BUILT_IN)) == len(STEPS)


def test_the_guide_lists_every_substitution_with_the_value_it_comes_with() -> None:
    """Not compared with the file, in which whoever deploys writes other values."""
    guide = (pipeline.FILE.parent / "docs" / "guide" / "deploy.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(_[A-Z_]+)` \| ([^|]+) \|", guide, re.MULTILINE))
    assert set(rows) == set(GIVEN)
    for name, value in GIVEN.items():
        assert rows[name].startswith(f"`{value}`" if value else "empty"), name


def test_the_options_and_the_account_it_runs_as() -> None:
    options = CONFIG["options"]
    assert options["logging"] == "CLOUD_LOGGING_ONLY"
    assert options["substitutionOption"] == "MUST_MATCH"
    assert options["dynamicSubstitutions"] is True
    account = "energent-deploy-$_ENVIRONMENT@$PROJECT_ID.iam.gserviceaccount.com"
    assert CONFIG["serviceAccount"] == f"projects/$PROJECT_ID/serviceAccounts/{account}"


def test_a_name_that_is_no_substitution_is_refused_as_cloud_build_would() -> None:
    with pytest.raises(PipelineError, match="_ENVIROMENT"):
        pipeline.load({"_ENVIROMENT": "production"}, BUILT_IN)
    with pytest.raises(PipelineError, match="SHORT_SHA"):
        pipeline.load({}, {"PROJECT_ID": "p", "PROJECT_NUMBER": "1"})


def test_a_doubled_dollar_is_one_for_the_shell() -> None:
    assert pipeline.filled("$$HOME ${_A}$_A$$_A", {"_A": "1"}) == "$HOME 11$_A"


def test_images_are_pinned() -> None:
    for step in STEPS:
        assert re.search(r":\d+\.\d+\.\d+-[a-z-]+(@sha256:[0-9a-f]{64})?$", step.image), step.image


@pytest.mark.parametrize("path", [pipeline.FILE, *SCRIPTS], ids=lambda path: path.name)
def test_nothing_is_latest_and_nobody_is_let_in_unauthenticated(path: Path) -> None:
    """S6. The one flag that names the latest revision moves traffic to what was just deployed."""
    text = path.read_text(encoding="utf-8").replace("--serve-all-traffic-latest-revision", "")
    assert "latest" not in text
    assert "--allow-unauthenticated" not in text


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_stops_at_the_first_failure(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "\n. deploy/names.sh\n" in text or "\nset -euo pipefail\n" in text


@pytest.mark.parametrize(
    ("step", "figures"),
    [
        ("deploy-auth", "512Mi 1 40 60s 1 100"),
        ("deploy-auth-events", "512Mi 1 40 60s 0 100"),
        ("deploy-billing", "1Gi 1 10 300s 0 50"),
        ("deploy-billing-api", "512Mi 1 40 60s 0 50"),
        ("deploy-tenants", "512Mi 1 40 60s 0 20"),
        ("deploy-tenants-events", "512Mi 1 40 60s 0 20"),
    ],
)
def test_the_figures_of_each_service(step: str, figures: str) -> None:
    """gcloud's linter looks at none of them. With less than one CPU concurrency would have to be 1."""
    flags = dict(word.split("=", 1) for word in BY_ID[step].command if word.startswith("--"))
    names = ("memory", "cpu", "concurrency", "timeout", "min-instances", "max-instances")
    assert " ".join(flags[f"--{name}"] for name in names) == figures


def test_auth_leaves_through_the_connector_with_all_its_traffic() -> None:
    for step in STEPS:
        through = {"--vpc-connector=energent-vpc-connector", "--egress-settings=all"} <= set(step.command)
        assert through == (step.id in ("deploy-auth", "deploy-auth-events")), step.id


@pytest.mark.parametrize("name", [name for name in DEPLOYS if "events" in BY_ID[name].command])
def test_an_event_has_less_time_than_its_subscription_waits_at_most(name: str) -> None:
    """Pub/Sub waits 600 s at most; what takes longer would come again while it still runs."""
    (timeout,) = (word for word in BY_ID[name].command if word.startswith("--timeout="))
    assert int(timeout.removeprefix("--timeout=").removesuffix("s")) <= 540
