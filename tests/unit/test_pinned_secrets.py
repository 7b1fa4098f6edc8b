"""Secrets are asked for by the number of a version, in code and in the deployment."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("functions", "shared", "local", "deploy", "ops")
KINDS = {".py", ".sh", ".yaml", ".yml", ".tf", ".json"}
LATEST = re.compile(r"versions/latest|(?i:secret).*[:=/@]latest\b|access[ _]latest")


def latest_in(root: Path) -> list[str]:
    """`path:line` of each place that asks for a secret's latest version."""
    files = [path for room in ROOMS for path in (root / room).rglob("*") if path.suffix in KINDS]
    files += [path for path in root.iterdir() if path.suffix in KINDS]
    return [
        f"{path.relative_to(root)}:{number}"
        for path in sorted(files)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if LATEST.search(line)
    ]


def test_nothing_asks_for_the_latest_version_of_a_secret() -> None:
    """S6."""
    assert latest_in(ROOT) == []


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("shared/a.py", 'name = f"{secret}/versions/latest"'),
        ("deploy/a.sh", "gcloud functions deploy --set-secrets=KEY=key:latest"),
        ("cloudbuild-functions.yaml", "- --set-secrets=KEY=key:latest"),
        ("deploy/b.sh", "gcloud secrets versions access latest --secret=key"),
    ],
)
def test_each_way_to_ask_for_it_is_found(tmp_path: Path, where: str, line: str) -> None:
    """S6."""
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).write_text(f"\n{line}\n")
    assert latest_in(tmp_path) == [f"{where}:2"]
