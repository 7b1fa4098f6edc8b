"""schemathesis over the contract, through the gateway of a running suite."""

import subprocess
import sys
from pathlib import Path

import yaml

from local import openapi
from local.gateway import placeholders
from tests import customers
from tests.suite import REPOSITORY, Suite

CALLERS = ("nobody", "owner", "operator")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
METHODS = ("get", "put", "post", "delete", "options", "patch", "trace")
"""Without QUERY, which Envoy's parser does not know: it answers 400 before it looks at the route."""


def run(suite: Suite, folder: Path, caller: str, examples: int, *, is_long: bool = False) -> None:
    """Fails with what schemathesis found: a 5xx, or an answer that the contract does not know.

    `examples`: requests it makes up for each operation, beside those that the contract suggests. A long run
    also goes to each limit that the contract states. Nobody signs out, which would make the rest one 401.
    """
    spec = openapi.load(REPOSITORY / "api-spec.yaml", placeholders(suite.gateway))
    spec_file = folder / "openapi.yaml"
    spec_file.write_text(yaml.safe_dump(spec, sort_keys=False))
    token = {
        "nobody": lambda: None,
        "owner": lambda: customers.take_on(suite).access_token,
        "operator": suite.operator_token,
    }[caller]()
    config = folder / "schemathesis.toml"
    config.write_text(f"[phases.coverage]\nunexpected-methods = {list(METHODS)}\n")
    st = str(Path(sys.executable).parent / "st")
    command = [
        *(st, "--config-file", str(config), "run", str(spec_file), "--url", suite.gateway),
        *("--checks", ",".join(CHECKS), "--max-examples", str(examples), "--seed", "1"),
        *("--phases", "examples,coverage,fuzzing" if is_long else "examples,fuzzing"),
        *("--generation-database", "none", "--exclude-operation-id", "logout"),
        *("--warnings", "off", "--continue-on-failure", "--no-shrink"),
        *(("--header", f"Authorization: Bearer {token}") if token else ()),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
