"""What the gateway and the functions answer is what api-spec.yaml says, whatever they are sent."""

from pathlib import Path

import pytest

from tests import fuzz
from tests.suite import Suite


@pytest.mark.parametrize("suite", ["suite-embedded"], indirect=True)
def test_no_request_makes_a_5xx_or_an_answer_that_the_contract_does_not_know(
    suite: Suite, tmp_path: Path
) -> None:
    """H1-H10: over every operation, as an owner. As others, longer, and on the emulators: tests/slow."""
    fuzz.run(suite, tmp_path, "owner", examples=4)
