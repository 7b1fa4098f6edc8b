"""`make test-clients` sets REQUIRE_CLIENTS=1: every client, on both backends, and none is left out."""

import os

import pytest

_ALL = os.environ.get("REQUIRE_CLIENTS") == "1"
SUITES = ("suite-embedded", "suite-gcp") if _ALL else ("suite-embedded",)


def installed(found: bool, how: str) -> None:
    """For a client that is no Python package. `how`: what to do where it is not `found`."""
    if not _ALL:
        pytest.skip("`make test-clients` runs it")
    if not found:
        pytest.fail(f"REQUIRE_CLIENTS=1, but it is not installed: {how}", pytrace=False)
