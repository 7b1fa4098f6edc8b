"""R: one refresh token from 64 places at once, again and again, on the Firestore emulator."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import customers
from tests.suite import Suite, running

WAYS = 64
ROUNDS = 200


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    folder: Path = tmp_path_factory.mktemp("race")
    with running(folder, backend="gcp") as started:
        yield started


async def _refresh(client: httpx.AsyncClient, token: str) -> tuple[int, Any, float]:
    started = time.perf_counter()
    form = {"grant_type": "refresh_token", "refresh_token": token}
    answer = await client.post("/oauth2/token", data=form)
    return answer.status_code, answer.json(), time.perf_counter() - started


@pytest.mark.anyio
async def test_64_refreshes_of_one_token_at_once_make_one_generation_and_sign_nobody_out(
    suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    token = customers.take_on(suite).refresh_token
    took: list[float] = []
    # An idle connection is given up before the server, which closes it after 2 s, does that meanwhile.
    limits = httpx.Limits(max_connections=WAYS, max_keepalive_connections=WAYS, keepalive_expiry=1)
    async with httpx.AsyncClient(base_url=suite.url("auth"), limits=limits, timeout=30) as client:
        for number in range(ROUNDS):
            answers = await asyncio.gather(*(_refresh(client, token) for _ in range(WAYS)))
            assert {status for status, _, _ in answers} == {200}, f"round {number}"
            successors = {body["refresh_token"] for _, body, _ in answers}
            assert len(successors) == 1, f"round {number}"
            assert successors != {token}
            token = successors.pop()
            took += [seconds for _, _, seconds in answers]
    p95 = sorted(took)[int(len(took) * 0.95)]
    with capsys.disabled():
        print(f"\n{WAYS} ways: p95 {p95 * 1000:.0f} ms, slowest {max(took) * 1000:.0f} ms")  # noqa: T201
