"""One person begins so many sessions, and not as many as would make the tenant's tokens short-lived."""

import pytest

from functions.auth.guessing.throttle import PER_ADDRESS
from functions.auth.sessions.session_rate import SESSIONS, SessionRate
from shared import revocations
from shared.errors import TooManyRequests
from shared.revocations import KEPT_FOR, MOST
from tests.tokens import Time
from tests.unit.auth.browser import Browser, add_client
from tests.unit.auth.cheap_sign_in import CheapSignIn
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio


def test_a_person_fills_no_part_of_the_records_that_matters() -> None:
    """Signing in and out without a pause, at one instance, after the first burst."""
    clock = Time()
    rate = SessionRate(clock)
    for _ in range(SESSIONS.burst):
        rate.count(ACME, "usr_1")
    with pytest.raises(TooManyRequests, match="too_many_sessions"):
        rate.count(ACME, "usr_1")
    rate.count(ACME, "usr_2")
    rate.count("tnt_globex", "usr_1")
    begun = 0
    for _ in range(int(KEPT_FOR.total_seconds())):
        clock.move(1)
        rate.count(ACME, "usr_1")
        begun += 1
    assert SESSIONS.burst + begun < MOST / 2


def exhausted(rate: SessionRate, user_id: str) -> None:
    for _ in range(SESSIONS.burst):
        rate.count(ACME, user_id)


async def test_a_sign_in_too_many_begins_nothing(suite: Suite) -> None:
    cheap = CheapSignIn(suite)
    await cheap.add_user()
    user_id = (await cheap.login_document()).value.user_id
    exhausted(cheap.sign_in._rate, user_id)
    suite.store.commits.clear()
    refused = await cheap.refused()
    assert refused is not None
    assert (refused.status, refused.code, refused.headers) == (429, "too_many_sessions", {"Retry-After": "1"})
    assert suite.store.commits == []
    suite.clock.move(1)
    assert await cheap.refused() is None
    cheap.passwords.close()


async def test_who_signs_in_without_a_pause_takes_no_hash_from_others_in_the_end(suite: Suite) -> None:
    """L5: a right password takes as long to look at as a wrong one, and one account is cheap to come by."""
    cheap = CheapSignIn(suite)
    await cheap.add_user()
    exhausted(cheap.sign_in._proofs, (await cheap.login_document()).value.user_id)
    refusals = [await cheap.refused() for _ in range(PER_ADDRESS.burst + 1)]
    codes = [refusal.code for refusal in refusals if refusal]
    assert codes == ["too_many_sessions"] * PER_ADDRESS.burst + ["too_many_tries"]
    assert cheap.passwords.verified == PER_ADDRESS.burst
    assert await cheap.refused(ip="192.0.2.77") is not None
    suite.clock.move(6)
    assert await cheap.refused() is None
    cheap.passwords.close()


async def test_a_client_gets_no_session_too_many_and_its_code_is_not_used_up(suite: Suite) -> None:
    user = await suite.add_user()
    browser, client = Browser(suite), await add_client(suite)
    await browser.authorize(client)
    await browser.sign_in()
    code = await browser.code(client)
    exhausted(suite.do.sign_in._rate, user.id)
    answer = await browser.redeem(code, client)
    assert (answer.status_code, answer.json()["error"]) == (429, "slow_down")
    assert answer.headers["retry-after"] == "1"
    suite.clock.move(1)
    assert (await browser.redeem(code, client)).status_code == 200


async def test_signing_in_and_out_on_the_pages_leaves_nothing_for_those_who_verify(suite: Suite) -> None:
    """However often: a browser's session has no tokens."""
    await suite.add_user()
    browser = Browser(suite)
    await browser.authorize(await add_client(suite))
    assert (await browser.sign_in()).status_code == 303
    await browser.get("/oauth2/logout")
    assert (await browser.send()).status_code == 200
    assert "session.revoke" in await suite.audit()
    assert (await revocations.recent(suite.store, ACME, suite.clock())).is_nothing
