"""What Google's own tools say to the pipeline, to the commands in the documents, and what is uploaded."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import pipeline, stage
from deploy.rehearsal import ROOT, forms
from tests.deploy import cloud_sdk
from tests.deploy.rehearsals import PROJECT, Rehearsed

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = {
    "PROJECT_ID": PROJECT,
    "PROJECT_NUMBER": "123456789012",
    "ENVIRONMENT": "production",
    "REGION": "us-central1",
    "TRIGGER": f"projects/{PROJECT}/locations/us-central1/triggers/billing-1",
    "REVISION": "energent-auth-production-00041-abc",
    "BEFORE": "2026-11-20T10:00:00Z",
    "service": "auth",
    "HOST": "gateway.example.com",
    "SUBSCRIPTION": f"projects/{PROJECT}/subscriptions/eventarc-us-central1-billing-1",
}

WANTED = (
    ".ci/run",
    ".gcloudignore",
    "README.md",
    "api-spec.yaml",
    "cloudbuild-functions.yaml",
    "deploy/steps/topics.sh",
    "docs/guide/deploy.md",
    "functions/auth/main.py",
    "tests/deploy/test_a.py",
)
UNWANTED = (
    "secret.pem",
    ".env",
    "terraform.tfstate",
    "notes/customer.csv",
    ".git/config",
    ".venv/bin/python",
    ".local/operator.json",
    ".local-demo/store.db",
    "build/auth/main.py",
    "functions/auth/.env",
    "functions/auth/key.pem",
    "functions/auth/__pycache__/main.cpython-311.pyc",
    "tests/.hypothesis/a",
)

CHECK_SOURCES = """
import json, sys
from googlecloudsdk.command_lib.functions import source_util
from googlecloudsdk.command_lib.util import gcloudignore
found = {}
for folder in sys.argv[1:]:
    try:
        source_util.ValidateDirectoryHasRequiredRuntimeFiles(folder, "python311")
        why = None
    except Exception as refusal:
        why = str(refusal)
    files = sorted(gcloudignore.GetFileChooserForDir(folder).GetIncludedFiles(folder, include_dirs=False))
    found[folder] = {"why": why, "files": files}
print(json.dumps(found))
"""
LOAD_PIPELINE = """
import json, sys
from googlecloudsdk.api_lib.cloudbuild import cloudbuild_util, config
from googlecloudsdk.core import exceptions
try:
    build = config.LoadCloudbuildConfigFromPath(sys.argv[1], cloudbuild_util.GetMessagesModule(), params={})
    print(json.dumps({"steps": [step.id for step in build.steps]}))
except exceptions.Error as refusal:
    print(json.dumps({"why": str(refusal)}))
"""


def documented() -> list[tuple[str, ...]]:
    """Each gcloud command of a document, with the names that a reader would have set."""
    found = []
    for path in DOCUMENTS:
        for block in re.findall(r"^ *```(?:bash)?\n(.*?)^ *```", path.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                command = re.sub(r"^[A-Z]+=\$\((.*)\)$", r"\1", line.strip())
                assert command.startswith("gcloud ") == ("gcloud " in line), f"{path}: {line}"
                if command.startswith("gcloud "):
                    found.append(tuple(_words(command)))
    return found


def _words(text: str) -> list[str]:
    for name, value in EXAMPLES.items():
        text = text.replace(f"${name}", value).replace(f"${{{name}}}", value)
    assert "$" not in text, f"{text}: a variable that the test does not know"
    return shlex.split(text)


FLAWED = (
    ("gcloud", "pubsub", "topics", "create", "a", "--retension=7d"),
    ("gcloud", "functions", "deploy", "a", "--gen2", "--trigger-http", "--ingress-settings=internal"),
)


@pytest.fixture(scope="module")
def refused(rehearsed: Rehearsed, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What gcloud would refuse of the pipeline, bootstrap.sh, the documents and two flawed commands."""
    written = documented()
    assert len(written) > 10
    called = [call.command for call in rehearsed.all()]
    return cloud_sdk.refused([*forms([*called, *written]), *FLAWED], tmp_path_factory.mktemp("gcloud"))


def test_gcloud_takes_every_command_of_the_pipeline_of_bootstrap_and_of_the_documents(
    refused: list[str],
) -> None:
    """Flags, choices, names and numbers, without a network. The linter's exit code is always 0."""
    assert [line for line in refused if not line.startswith(tuple(map(shlex.join, FLAWED)))] == []


def test_gcloud_would_refuse_a_flaw_in_one(refused: list[str]) -> None:
    found = "".join(refused)
    assert "--retension=7d: unrecognized arguments" in found
    assert "--ingress-settings=internal: " in found


def test_the_linter_of_the_plan_says_the_same(refused: list[str]) -> None:
    right = ("gcloud", "pubsub", "topics", "create", "a")
    assert cloud_sdk.linted([right, *FLAWED]) == sorted(refused)


def test_cloud_build_reads_the_pipeline(tmp_path: Path) -> None:
    found = cloud_sdk.asked(LOAD_PIPELINE, str(pipeline.FILE), home=tmp_path)
    assert found == {"steps": [step["id"] for step in yaml.safe_load(pipeline.FILE.read_text())["steps"]]}


@pytest.mark.parametrize(
    ("written", "instead"), [("waitFor: [test]", "waitfor: [test]"), ("_REGION:", "REGION:")]
)
def test_cloud_build_would_refuse_a_flaw_in_it(tmp_path: Path, written: str, instead: str) -> None:
    flawed = tmp_path / "flawed.yaml"
    flawed.write_text(pipeline.FILE.read_text().replace(written, instead))
    assert "why" in cloud_sdk.asked(LOAD_PIPELINE, str(flawed), home=tmp_path)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What gcloud would do with each staged folder, one without requirements, and the repository."""
    folder = tmp_path_factory.mktemp("sources")
    staged = stage.stage(list(stage.ENTRY_POINTS), folder / "build")
    broken = folder / "broken"
    shutil.copytree(staged[0], broken)
    (broken / "requirements.txt").unlink()
    repository = folder / "repository"
    for name in (*WANTED, *UNWANTED):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).touch()
    shutil.copy(ROOT / ".gcloudignore", repository)
    folders = [*staged, broken, repository, ROOT]
    found = cloud_sdk.asked(CHECK_SOURCES, *map(str, folders), home=folder / "config")
    return {path.name: found[str(path)] | {"folder": path} for path in folders}


@pytest.mark.parametrize("function", stage.ENTRY_POINTS)
def test_a_staged_folder_has_the_files_that_the_platform_wants(
    sources: dict[str, Any], function: str
) -> None:
    assert sources[function]["why"] is None


def test_a_folder_without_requirements_would_be_refused(sources: dict[str, Any]) -> None:
    assert "requirements.txt" in sources["broken"]["why"]


@pytest.mark.parametrize("function", stage.ENTRY_POINTS)
def test_all_of_a_staged_folder_is_uploaded_and_nothing_beside_it(
    sources: dict[str, Any], function: str
) -> None:
    folder = sources[function]["folder"]
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert sources[function]["files"] == files
    assert {name.split("/")[0] for name in files} == {"main.py", "requirements.txt", "functions", "shared"}


def test_the_pipeline_is_sent_what_it_needs_and_no_secret(sources: dict[str, Any]) -> None:
    assert sources["repository"]["files"] == list(WANTED)


def test_all_that_the_tests_and_the_steps_need_is_among_what_it_is_sent(sources: dict[str, Any]) -> None:
    found = sources[ROOT.name]["files"]
    for needed in ("requirements.txt", "requirements-dev.txt", "pyproject.toml", "api-spec.yaml", "Makefile"):
        assert needed in found
    tops = {name.split("/")[0] for name in found}
    assert {"functions", "shared", "local", "deploy", "tests", "bench", "docs"} <= tops
    assert not {"build", ".venv", ".git", ".local", ".local-demo"} & tops
