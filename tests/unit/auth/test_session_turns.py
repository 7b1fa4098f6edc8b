"""R3: refreshes of one session at the same time, in one process, cost one commit and two reads."""

import asyncio

import pytest

from shared.audit import Actor
from shared.errors import OAuthError, Unavailable
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio

ACTOR = Actor("user", "usr_test", ACME)


async def begun(suite: Suite) -> str:
    """A refresh token of somebody who has just signed in."""
    await suite.add_user()
    token = (await suite.login()).refresh_token
    assert token is not None
    suite.store.reads.clear()
    suite.store.commits.clear()
    return token


async def told(*refreshes: asyncio.Task[object]) -> list[str]:
    """What each was refused with; `given` for none."""
    ends = await asyncio.gather(*refreshes, return_exceptions=True)
    return [end.code if isinstance(end, OAuthError | Unavailable) else "given" for end in ends]


def refreshing(suite: Suite, token: str) -> asyncio.Task[object]:
    return asyncio.ensure_future(suite.refresh(token))


async def test_however_many_come_at_once_there_is_one_commit_and_two_reads(suite: Suite) -> None:
    token = await begun(suite)
    answers = await asyncio.gather(*(suite.refresh(token) for _ in range(64)))
    assert len({answer.refresh_token for answer in answers}) == 1
    assert len(suite.store.commits) == 1
    of_session = [paths for paths in suite.store.reads if any("/sessions/" in path for path in paths)]
    assert [len(paths) for paths in of_session] == [2, 3]


@pytest.mark.parametrize("waiting", [0, 2])
async def test_whoever_comes_while_others_are_at_it_is_given_nothing_that_was_read_before(
    suite: Suite, waiting: int
) -> None:
    """R7: an end beats the grace, for who asks after it, though those before are answered just then, by what
    the first has read, or by what those who waited share.
    """
    token = await begun(suite)
    caller = await suite.verifier.verify((await suite.refresh(token)).access_token)
    late: list[asyncio.Task[object]] = []

    async def end_it() -> None:
        if waiting and len(suite.store.reads[-1]) != 3:
            suite.store.after_read = end_it
            return
        await suite.do.session_end.logout(caller, ACTOR)
        late.extend(refreshing(suite, token) for _ in range(3))
        await asyncio.sleep(0)

    suite.store.after_read = end_it
    assert await told(*(refreshing(suite, token) for _ in range(1 + waiting))) == ["given"] * (1 + waiting)
    assert await told(*late) == ["invalid_grant"] * 3


async def test_who_waited_for_one_that_was_refused_goes_on_himself(suite: Suite) -> None:
    """R11: a scope that is refused uses up nothing, of nobody."""
    token = await begun(suite)
    refused = asyncio.ensure_future(suite.refresh(token, "platform:tenants:read"))
    others = [refreshing(suite, token) for _ in range(8)]
    assert await told(refused, *others) == ["invalid_scope", *["given"] * 8]
    assert len(suite.store.commits) == 1


async def test_an_outage_is_waited_for_once(suite: Suite) -> None:
    """R15"""
    token = await begun(suite)

    async def silence() -> None:
        await asyncio.sleep(0.01)
        raise Unavailable("store_unavailable", "The store did not answer. Try again.")

    suite.store.after_read = silence
    refreshes = [refreshing(suite, token) for _ in range(8)]
    assert await told(*refreshes) == ["store_unavailable"] * 8
    assert len(suite.store.reads) == 1
    assert await told(refreshing(suite, token)) == ["given"]


async def test_who_gives_up_takes_nothing_from_those_who_wait(suite: Suite) -> None:
    token = await begun(suite)
    refreshes = [refreshing(suite, token) for _ in range(4)]

    async def two_go() -> None:
        await asyncio.sleep(0)
        refreshes[0].cancel()
        refreshes[1].cancel()

    suite.store.before_commit = two_go
    ends = await asyncio.gather(*refreshes, return_exceptions=True)
    assert [isinstance(end, BaseException) for end in ends] == [True, True, False, False]
    assert (await suite.only_session()).generation == 2


async def test_two_processes_make_one_generation(suite: Suite) -> None:
    """R3: what one process knows of its own calls is no part of what decides."""
    token = await begun(suite)
    other = Suite(suite.folder, suite.store.inner, suite.clock)
    await other.assemble()
    other.passwords.close()
    answers = await asyncio.gather(*(each.refresh(token) for each in (suite, other) * 8))
    assert len({answer.refresh_token for answer in answers}) == 1
    assert (await suite.only_session()).generation == 2
