"""The contract, whatever is sent, a longer time; with Google's emulators behind the functions too."""

from collections.abc import Iterator

import pytest

from tests import fuzz
from tests.suite import Suite, running


@pytest.fixture(scope="module", params=["embedded", "gcp"])
def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with running(tmp_path_factory.mktemp("fuzz"), backend=request.param) as started:
        yield started


@pytest.mark.parametrize("caller", fuzz.CALLERS)
def test_no_request_makes_a_5xx_or_an_answer_that_the_contract_does_not_know(
    suite: Suite, tmp_path_factory: pytest.TempPathFactory, caller: str
) -> None:
    fuzz.run(suite, tmp_path_factory.mktemp(caller), caller, examples=20, is_long=True)
