"""R: one refresh token from 64 places at once, again and again, on the Firestore emulator."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench import traffic
from bench.volley import volley
from tests import customers
from tests.suite import Suite, running

WAYS = 64
ROUNDS = 200


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    folder: Path = tmp_path_factory.mktemp("race")
    with running(folder, backend="gcp") as started:
        yield started


@pytest.mark.anyio
async def test_64_refreshes_of_one_token_at_once_make_one_generation_and_sign_nobody_out(
    suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    token = customers.take_on(suite).refresh_token
    took: list[float] = []
    async with volley(int(suite.url("auth").rpartition(":")[2]), WAYS) as ways:
        for number in range(ROUNDS):
            answers = await ways.fire(traffic.refresh(token))
            assert {answer.reply.status for answer in answers} == {200}, f"round {number}"
            bodies = [msgspec.json.decode(answer.reply.body) for answer in answers]
            successors = {body["refresh_token"] for body in bodies}
            assert len(successors) == 1, f"round {number}"
            assert len({body["access_token"] for body in bodies}) == WAYS, f"round {number}"
            assert successors != {token}
            token = successors.pop()
            took += [answer.seconds for answer in answers]
    p95 = sorted(took)[int(len(took) * 0.95)]
    with capsys.disabled():
        print(f"\n{WAYS} ways: p95 {p95 * 1000:.0f} ms, slowest {max(took) * 1000:.0f} ms")  # noqa: T201
