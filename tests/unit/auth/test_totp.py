"""One-time passwords: shown once, encrypted at rest, each good once."""

import asyncio
from base64 import b32decode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import pytest
from cryptography.exceptions import InvalidTag

from functions.auth.domain import totp
from functions.auth.domain.challenge import MAX_ANSWERS
from functions.auth.domain.sealed import SealingKeys
from functions.auth.factors import factor_documents
from functions.auth.factors.factor_cipher import FactorCipher
from functions.auth.factors.factor_proofs import Answer, Proven, Refused
from shared.errors import Error, Unauthenticated
from tests.unit.auth.second_factor import person, refused
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite

pytestmark = pytest.mark.anyio

RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    """RFC 6238 appendix B, cut to six digits."""
    at = datetime.fromtimestamp(seconds, UTC)
    assert totp.code(RFC_SECRET, totp.step_at(at)) == code


@pytest.mark.parametrize(("drift", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_one_step_off(drift: int, accepted: bool) -> None:
    at = datetime(2026, 3, 4, 12, tzinfo=UTC)
    given = totp.code(RFC_SECRET, totp.step_at(at) + drift)
    assert (totp.matched(RFC_SECRET, given, at, used_step=-1) is not None) == accepted


def test_no_step_up_to_the_latest_that_was_used_is_accepted() -> None:
    at = datetime(2026, 3, 4, 12, tzinfo=UTC)
    now = totp.step_at(at)
    assert totp.matched(RFC_SECRET, totp.code(RFC_SECRET, now), at, now) is None
    assert totp.matched(RFC_SECRET, totp.code(RFC_SECRET, now - 1), at, now) is None
    assert totp.matched(RFC_SECRET, totp.code(RFC_SECRET, now + 1), at, now) == now + 1


def test_a_name_of_two_words_is_written_as_every_authenticator_reads_it() -> None:
    """`+` is no space in this format."""
    uri = totp.uri(RFC_SECRET, "Acme Reports", "ada+lab@acme.test")
    assert uri.startswith("otpauth://totp/Acme%20Reports%3Aada%2Blab%40acme.test?")
    assert "issuer=Acme%20Reports&" in uri


async def test_an_authenticator_is_enrolled_and_asked_for_from_then_on(suite: Suite) -> None:
    ada = await person(suite)
    caller = await ada.principal()
    begun = await suite.do.totp.begin(caller, ada.actor)
    assert await ada.tokens(), "one that is only begun is not asked for"
    uri = urlsplit(begun.uri)
    asked = {name: value[0] for name, value in parse_qs(uri.query).items()}
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", f"/Acme:{OWNER}")
    assert asked == {
        "secret": begun.secret,
        "issuer": "Acme",
        "algorithm": "SHA1",
        "digits": "6",
        "period": "30",
    }
    await ada.enrol_totp(caller)
    suite.clock.move(30)
    challenge = await ada.challenge()
    assert challenge.methods == ("totp",)
    assert challenge.passkey is None
    tokens = await ada.finish(challenge, totp=ada.code())
    signed_in = await ada.principal(tokens)
    assert signed_in.amr == ("pwd", "otp", "mfa")
    assert "users:write" in signed_in.scopes
    added = suite.bus.events("user.factor_added")
    assert len(added) == 1
    assert {"totp.begin", "factor.add", "sign_in.first_factor"} <= set(await suite.audit())


async def test_the_code_of_the_enrolment_signs_nobody_in(suite: Suite) -> None:
    ada = await person(suite)
    await ada.enrol_totp()
    refusal = await refused(ada.finish(await ada.challenge(), totp=ada.code()))
    assert refusal.code == "second_factor_refused"


async def test_of_sixty_four_uses_of_one_code_at_once_one_succeeds(suite: Suite) -> None:
    """No step is accepted twice, whichever challenges it answers."""
    ada = await person(suite)
    await ada.enrol_totp()
    suite.clock.move(30)
    challenges = [await ada.challenge() for _ in range(4)]
    code = ada.code()

    async def attempt(number: int) -> str:
        try:
            return (await ada.finish(challenges[number % 4], totp=code)).token_type
        except Unauthenticated as refusal:
            return refusal.code

    outcomes = await asyncio.gather(*(attempt(number) for number in range(64)))
    assert outcomes.count("Bearer") == 1
    assert outcomes.count("second_factor_refused") == 63


async def test_a_challenge_is_answered_once(suite: Suite) -> None:
    """Also with another good code."""
    ada = await person(suite)
    await ada.enrol_totp()
    suite.clock.move(30)
    challenge = await ada.challenge()
    assert await ada.finish(challenge, totp=ada.code())
    suite.clock.move(30)
    assert (await refused(ada.finish(challenge, totp=ada.code()))).code == "second_factor_refused"


async def test_wrong_expired_and_foreign_challenges_look_the_same(suite: Suite) -> None:
    ada = await person(suite)
    await ada.enrol_totp()
    suite.clock.move(30)
    challenge = await ada.challenge()
    texts = [challenge.challenge[:-5] + "AAAAA", "sf1_x", "", "pk1_" + challenge.challenge[4:]]
    seen: set[tuple[int, str, str]] = set()

    async def see(doing: object) -> None:
        refusal = await refused(doing)
        seen.add((refusal.status, refusal.code, refusal.detail))

    await see(ada.finish(challenge, totp=ada.wrong_code()))
    await see(ada.finish(challenge, recovery_code="7K3M-Q9XA-2WVT"))
    for text in texts:
        await see(ada.finish(type(challenge)(text, ("totp",), 300), totp=ada.code()))
    suite.clock.move(timedelta(minutes=5).total_seconds())
    await see(ada.finish(challenge, totp=ada.code()))
    assert len(seen) == 1
    assert {status for status, _, _ in seen} == {401}


async def test_a_challenge_takes_five_wrong_answers(suite: Suite) -> None:
    ada = await person(suite)
    await ada.enrol_totp()
    suite.clock.move(30)
    challenge = await ada.challenge()
    for _ in range(MAX_ANSWERS):
        await refused(ada.finish(challenge, totp=ada.wrong_code()))
    await refused(ada.finish(challenge, totp=ada.code()))
    assert await ada.finish(await ada.challenge(), totp=ada.code()), "another challenge may be answered"
    assert len(suite.bus.events("security.second_factor_refused")) == MAX_ANSWERS
    assert (await suite.audit()).count("second_factor.refuse") == MAX_ANSWERS


async def test_of_many_wrong_answers_at_once_five_are_looked_at(suite: Suite) -> None:
    ada = await person(suite)
    await ada.enrol_totp()
    challenge, wrong = await ada.challenge(), ada.wrong_code()
    await asyncio.gather(*(refused(ada.finish(challenge, totp=wrong)) for _ in range(24)))
    assert (await ada.factors()).totp_failures.count == MAX_ANSWERS


async def test_guessing_is_slowed_down_and_closes_no_other_factor(suite: Suite) -> None:
    """L4 and L6 for a second factor: the right code does not count while it is too early, and does later."""
    ada = await person(suite)
    caller = await ada.enrol_totp()
    codes = await suite.do.recovery_codes.replace(caller, ada.actor)
    for _ in range(2):
        challenge = await ada.challenge()
        for _ in range(MAX_ANSWERS):
            await refused(ada.finish(challenge, totp=ada.wrong_code()))
    suite.clock.move(29)
    before = await ada.factors()
    await refused(ada.finish(await ada.challenge(), totp=ada.code(1)))
    assert await ada.factors() == before, "a try that is too early changes nothing"
    assert await ada.finish(await ada.challenge(), recovery_code=codes[0])
    suite.clock.move(31)
    assert await ada.finish(await ada.challenge(), totp=ada.code())
    assert (await ada.factors()).totp_failures.count == 0


async def test_a_challenge_dies_with_the_password(suite: Suite) -> None:
    ada = await person(suite)
    await ada.enrol_totp()
    suite.clock.move(30)
    challenge = await ada.challenge()
    await ada.set_password("another horse battery staple")
    await refused(ada.finish(challenge, totp=ada.code()))
    await ada.set_password(PASSWORD)
    assert await ada.finish(await ada.challenge(), totp=ada.code()), "it was not for the code"


async def test_a_suspended_tenant_is_told_so_and_the_code_stays_good(suite: Suite) -> None:
    ada = await person(suite)
    await ada.enrol_totp()
    suite.clock.move(30)
    challenge = await ada.challenge()
    await suite.set_status("suspended")
    assert (await refused(ada.finish(challenge, totp=ada.code()))).code == "tenant_suspended"
    await suite.set_status("active")
    assert await ada.finish(challenge, totp=ada.code())


async def test_the_secret_is_in_no_document_event_or_file(suite: Suite) -> None:
    """G1: what is kept is of no use to another user, and of none without the key."""
    ada = await person(suite)
    await ada.enrol_totp()
    text = totp.secret_text(ada.secret).encode()
    files = b"".join(path.read_bytes() for path in suite.folder.glob("store.db*"))
    assert b"factor.add" in files
    assert ada.secret not in files
    assert text not in files
    assert ada.secret.hex().encode() not in files
    assert all(text not in message.data for _, message in suite.bus.messages)
    kept = (await ada.factors()).totp
    assert kept is not None
    keys = (await suite.do.keys.current()).factors
    assert FactorCipher(keys, ACME, ada.user.id).decrypted(kept.secret) == ada.secret
    with pytest.raises(InvalidTag):
        FactorCipher(keys, ACME, "usr_other").decrypted(kept.secret)


def test_a_key_that_is_gone_voids_what_it_made_and_a_newer_one_encrypts() -> None:
    old, both = SealingKeys({1: b"1" * 32}, 1), SealingKeys({1: b"1" * 32, 2: b"2" * 32}, 2)
    text = FactorCipher(old, ACME, "usr_1").encrypted(RFC_SECRET)
    newer = FactorCipher(both, ACME, "usr_1")
    assert newer.decrypted(text) == RFC_SECRET
    assert newer.is_outdated(text)
    assert not newer.is_outdated(newer.encrypted(RFC_SECRET))
    after = FactorCipher(SealingKeys({2: b"2" * 32}, 2), ACME, "usr_1")
    assert after.decrypted(text) is None
    assert after.digest("7K3MQ9XA2WVT", 1) == ""
    assert newer.digest("7K3MQ9XA2WVT", 1) != newer.digest("7K3MQ9XA2WVT", 2)


async def test_an_authenticator_whose_key_was_removed_is_refused_until_it_is_reset(suite: Suite) -> None:
    ada = await person(suite)
    await ada.enrol_totp()
    suite.clock.move(30)
    keys = SealingKeys({2: b"2" * 32}, 2)
    at, proofs = suite.clock(), suite.do.second_factors._proofs
    kept = await ada.factors()
    assert isinstance(await proofs.judge(ACME, kept, Answer(totp=ada.code()), "", at), Proven)
    secret = FactorCipher(keys, ACME, ada.user.id).encrypted(ada.secret)
    assert kept.totp is not None
    other = msgspec.structs.replace(kept, totp=msgspec.structs.replace(kept.totp, secret=secret))
    assert await proofs.judge(ACME, other, Answer(totp=ada.code()), "", at) == Refused("totp", "wrong", None)


async def test_enrolling_takes_the_right_code_in_time_and_only_once(suite: Suite) -> None:
    ada = await person(suite)
    caller = await ada.principal()
    assert (await refused(suite.do.totp.confirm(caller, ada.actor, "000000"))).code == "totp_not_begun"
    await suite.do.totp.begin(caller, ada.actor)
    await refused(suite.do.totp.confirm(caller, ada.actor, "000000"))
    await ada.enrol_totp(caller)
    assert (await refused(suite.do.totp.begin(caller, ada.actor))).code == "totp_enrolled"


async def test_of_two_enrolments_that_are_begun_the_last_is_confirmed(suite: Suite) -> None:
    ada = await person(suite)
    caller = await ada.principal()
    await suite.do.totp.begin(caller, ada.actor)
    await ada.enrol_totp(caller)
    kept = (await ada.factors()).totp
    assert kept is not None
    keys = (await suite.do.keys.current()).factors
    assert FactorCipher(keys, ACME, ada.user.id).decrypted(kept.secret) == ada.secret


async def test_a_sign_in_that_an_enrolment_overtakes_is_asked_for_it(suite: Suite) -> None:
    """Between looking for a second factor and beginning the session, one was enrolled."""
    ada = await person(suite)
    caller = await ada.principal()
    begun = await suite.do.totp.begin(caller, ada.actor)
    ada.secret = b32decode(begun.secret)

    async def enrolling() -> None:
        await suite.do.totp.confirm(caller, ada.actor, ada.code())

    suite.store.before_commit = enrolling
    assert (await ada.challenge()).methods == ("totp",)


async def test_removing_it_takes_a_recent_second_factor(suite: Suite) -> None:
    """A session from before the enrolment, or an old one, does not do."""
    ada = await person(suite)
    before = await ada.principal()
    await ada.enrol_totp()
    refusal: Error = await refused(suite.do.totp.remove(before, ada.actor))
    assert (refusal.status, refusal.code) == (403, "step_up_required")
    suite.clock.move(30)
    both = await ada.principal(await ada.finish(await ada.challenge(), totp=ada.code()))
    suite.clock.move(600)
    assert (await refused(suite.do.totp.remove(both, ada.actor))).code == "step_up_required"
    recent = await ada.principal(await ada.finish(await ada.challenge(), totp=ada.code()))
    await suite.do.totp.remove(recent, ada.actor)
    assert (await ada.factors()).totp is None
    assert (await refused(suite.do.totp.remove(recent, ada.actor))).code == "totp_not_found"
    assert len(suite.bus.events("user.factor_removed")) == 1
    assert await ada.tokens(), "nothing is asked for any more"


async def test_twenty_begin_at_once_and_one_document_stands(suite: Suite) -> None:
    """The first document of factors is made by one of many."""
    ada = await person(suite)
    caller = await ada.principal()
    await asyncio.gather(*(suite.do.totp.begin(caller, ada.actor) for _ in range(20)))
    key = factor_documents.factors_key(suite.store, ACME, ada.user.id)
    assert (await suite.store.inner.read(key))[0] is not None
