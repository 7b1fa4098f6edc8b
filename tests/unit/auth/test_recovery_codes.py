"""Recovery codes: ten, shown once, kept as digests, each good once."""

import asyncio

import pytest

from functions.auth.domain import recovery_codes
from functions.auth.domain.challenge import MAX_ANSWERS
from functions.auth.domain.guessing import FREE
from shared.errors import Unauthenticated
from tests.unit.auth.second_factor import SOURCE, Person, person, refused
from tests.unit.auth.suite import Suite

pytestmark = pytest.mark.anyio


async def with_codes(suite: Suite) -> tuple[Person, tuple[str, ...]]:
    ada = await person(suite)
    caller = await ada.enrol_totp()
    return ada, await suite.do.recovery_codes.replace(caller, ada.actor)


def test_a_code_has_sixty_bits_and_no_letter_that_looks_like_another() -> None:
    everything = {recovery_codes.text(bytes([value]) * recovery_codes.BYTES) for value in range(256)}
    assert not set("ILOU") & set("".join(everything))
    low, high = recovery_codes.text(bytes(8)), recovery_codes.text(b"\xff" * 8)
    assert (low, high) == ("0000-0000-0000", "ZZZZ-ZZZZ-ZZZZ")
    bits = {recovery_codes.text((1 << place).to_bytes(8)) for place in range(60)}
    assert len(bits) == 60, "each of sixty bits is in the code"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("7k3m-q9xa-2wvt", "7K3MQ9XA2WVT"),
        (" 7K3M Q9XA 2WVT ", "7K3MQ9XA2WVT"),
        ("OIL0-1111-2222", "011011112222"),
        ("7K3M-Q9XA-2WV", None),
        ("7K3M-Q9XA-2WVTT", None),
        ("7K3M-Q9XA-2WV!", None),
        ("UUUU-UUUU-UUUU", None),
        ("", None),
        ("\ud800", None),
    ],
)
def test_a_code_is_read_however_it_was_typed(typed: str, meant: str | None) -> None:
    assert recovery_codes.normal(typed) == meant


async def test_each_of_ten_signs_in_once(suite: Suite) -> None:
    ada, codes = await with_codes(suite)
    assert len(set(codes)) == recovery_codes.COUNT
    for number, code in enumerate(codes):
        challenge = await ada.challenge()
        assert challenge.methods == ("totp", "recovery_code")
        tokens = await ada.finish(challenge, recovery_code=code.lower())
        assert (await ada.principal(tokens)).amr == ("pwd", "otp", "mfa")
        kept = (await ada.factors()).recovery_codes
        assert kept is not None
        assert len(kept.digests) == recovery_codes.COUNT - 1 - number
        assert (await refused(ada.finish(await ada.challenge(), recovery_code=code))).status == 401
    assert (await ada.challenge()).methods == ("totp",), "with none left, none is offered"
    assert len(suite.bus.events("user.recovery_code_used")) == recovery_codes.COUNT
    assert (await suite.audit()).count("recovery_code.use") == recovery_codes.COUNT


async def test_of_thirty_two_uses_of_one_code_at_once_one_succeeds(suite: Suite) -> None:
    ada, codes = await with_codes(suite)
    challenges = [await ada.challenge() for _ in range(4)]

    async def attempt(number: int) -> str:
        try:
            return (await ada.finish(challenges[number % 4], recovery_code=codes[3])).token_type
        except Unauthenticated as refusal:
            return refusal.code

    outcomes = await asyncio.gather(*(attempt(number) for number in range(32)))
    assert outcomes.count("Bearer") == 1
    assert len(suite.bus.events("user.recovery_code_used")) == 1


async def test_of_eight_good_answers_to_one_challenge_at_once_one_counts(suite: Suite) -> None:
    """On the hosted page, where two tabs may send the same form; no code but one is spent."""
    ada, codes = await with_codes(suite)
    challenge = (await ada.challenge()).challenge

    async def attempt(code: str) -> str:
        try:
            return (await suite.do.hosted_sign_in.second(challenge, code, SOURCE)).session[:4]
        except Unauthenticated as refusal:
            return refusal.code

    outcomes = await asyncio.gather(*(attempt(code) for code in codes[:8]))
    assert outcomes.count("second_factor_refused") == 7
    kept = (await ada.factors()).recovery_codes
    assert kept is not None
    assert len(kept.digests) == recovery_codes.COUNT - 1


async def test_new_codes_void_those_of_before(suite: Suite) -> None:
    ada, before = await with_codes(suite)
    suite.clock.move(30)
    caller = await ada.principal(await ada.finish(await ada.challenge(), totp=ada.code()))
    after = await suite.do.recovery_codes.replace(caller, ada.actor)
    assert not set(before) & set(after)
    await refused(ada.finish(await ada.challenge(), recovery_code=before[0]))
    assert await ada.finish(await ada.challenge(), recovery_code=after[0])
    assert len(suite.bus.events("user.recovery_codes_replaced")) == 2


async def test_codes_take_a_second_factor_to_stand_in_for_and_a_recent_sign_in(suite: Suite) -> None:
    ada = await person(suite)
    caller = await ada.principal()
    assert (await refused(suite.do.recovery_codes.replace(caller, ada.actor))).code == "no_second_factor"
    await ada.enrol_totp(caller)
    suite.clock.move(600)
    renewed = suite.do.recovery_codes.replace(await ada.principal_later(caller), ada.actor)
    assert (await refused(renewed)).code == "step_up_required"


async def test_the_codes_go_with_the_last_factor(suite: Suite) -> None:
    ada, _ = await with_codes(suite)
    suite.clock.move(30)
    caller = await ada.principal(await ada.finish(await ada.challenge(), totp=ada.code()))
    await suite.do.totp.remove(caller, ada.actor)
    assert (await ada.factors()).recovery_codes is None


async def test_guessing_codes_leaves_one_time_passwords_alone(suite: Suite) -> None:
    ada, codes = await with_codes(suite)
    suite.clock.move(30)
    for number in range(FREE):
        if number % MAX_ANSWERS == 0:
            challenge = await ada.challenge()
        await refused(ada.finish(challenge, recovery_code="0000-0000-0000"))
    await refused(ada.finish(await ada.challenge(), recovery_code=codes[0]))
    assert await ada.finish(await ada.challenge(), totp=ada.code())


async def test_no_code_is_in_a_document_an_event_or_a_file(suite: Suite) -> None:
    """G1"""
    _, codes = await with_codes(suite)
    files = b"".join(path.read_bytes() for path in suite.folder.glob("store.db*"))
    told = b"".join(message.data for _, message in suite.bus.messages)
    assert b"recovery_codes.replace" in files
    for code in codes:
        for text in (code.encode(), code.replace("-", "").encode()):
            assert text not in files
            assert text not in told
