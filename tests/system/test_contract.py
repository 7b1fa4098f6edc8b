"""What the gateway and the functions answer is what api-spec.yaml says, whatever they are sent."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from local import openapi
from local.gateway import placeholders
from tests import customers
from tests.suite import REPOSITORY, Suite

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
EXAMPLES = 12
PHASES = {"embedded": "examples,coverage,fuzzing", "gcp": "examples,coverage"}
"""Random requests say little of the backend, and cost a minute."""
METHODS = ("get", "put", "post", "delete", "options", "patch", "trace")
"""Without QUERY, which Envoy's parser does not know: it answers 400 before it looks at the route."""


@pytest.fixture(scope="module")
def spec_file(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = openapi.load(REPOSITORY / "api-spec.yaml", placeholders(suite.gateway))
    path = tmp_path_factory.mktemp("spec") / "openapi.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


@pytest.mark.parametrize("caller", ["nobody", "owner", "operator"])
def test_no_request_makes_a_5xx_or_an_answer_that_the_contract_does_not_know(
    suite: Suite, spec_file: Path, tmp_path: Path, caller: str
) -> None:
    """H1-H10: schemathesis over every operation, through the gateway, as three kinds of caller."""
    token = {
        "nobody": lambda: None,
        "owner": lambda: customers.take_on(suite).access_token,
        "operator": suite.operator_token,
    }[caller]()
    config = tmp_path / "schemathesis.toml"
    config.write_text(f"[phases.coverage]\nunexpected-methods = {list(METHODS)}\n")
    st = str(Path(sys.executable).parent / "st")
    command = [
        *(st, "--config-file", str(config), "run", str(spec_file), "--url", suite.gateway),
        *("--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES), "--seed", "1"),
        *("--phases", PHASES[suite.backend.name], "--generation-database", "none"),
        *("--warnings", "off", "--continue-on-failure", "--no-shrink"),
        *(("--header", f"Authorization: Bearer {token}") if token else ()),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
