"""Step-up: who must prove again who they are, how, and what it opens."""

from datetime import timedelta

import msgspec
import pytest

from functions.auth.caller_rules import MAX_AGE, require_recent
from functions.auth.domain.assurance import acr_of, joined
from functions.auth.domain.guessing import FREE
from functions.auth.factors.factor_proofs import Answer
from functions.auth.sign_in.step_up import Options
from shared.errors import Forbidden
from shared.identity import Principal
from tests.authenticator import Authenticator
from tests.tokens import NOW
from tests.unit.auth.second_factor import SOURCE, Person, assertion, loaded, person, refused
from tests.unit.auth.suite import PASSWORD, Suite, principal

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("amr", "more", "together", "acr"),
    [
        ((), ("pwd",), ("pwd",), "aal1"),
        (("pwd",), ("pwd",), ("pwd",), "aal1"),
        (("pwd",), ("otp",), ("pwd", "otp", "mfa"), "aal2"),
        (("pwd", "otp", "mfa"), ("otp",), ("pwd", "otp", "mfa"), "aal2"),
        ((), ("hwk", "user", "mfa"), ("hwk", "user", "mfa"), "aal2"),
        (("pwd",), ("swk", "user"), ("pwd", "swk", "user", "mfa"), "aal2"),
        ((), ("swk", "user"), ("swk", "user"), "aal1"),
        (("otp",), ("hwk",), ("otp", "hwk"), "aal1"),
    ],
)
def test_two_kinds_of_methods_are_two_factors(
    amr: tuple[str, ...], more: tuple[str, ...], together: tuple[str, ...], acr: str
) -> None:
    assert joined(amr, more) == together
    assert acr_of(together) == acr


def recent(**changes: object) -> Principal:
    known = {"authenticated_at": NOW, "amr": ("pwd",)} | changes
    return msgspec.structs.replace(principal("owner"), **known)


def test_a_proof_is_recent_for_ten_minutes() -> None:
    require_recent(recent(), NOW + MAX_AGE - timedelta(seconds=1))
    with pytest.raises(Forbidden) as refusal:
        require_recent(recent(), NOW + MAX_AGE)
    assert refusal.value.code == "step_up_required"
    challenge = refusal.value.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer error="insufficient_user_authentication"')
    assert 'acr_values="aal1"' in challenge
    assert 'max_age="600"' in challenge


@pytest.mark.parametrize("machine", [recent(authenticated_at=None), recent(session_id=None)])
def test_a_machine_has_no_recent_proof(machine: Principal) -> None:
    with pytest.raises(Forbidden) as refusal:
        require_recent(machine, NOW)
    assert refusal.value.code == "step_up_required"


def test_a_second_factor_can_be_asked_for() -> None:
    require_recent(recent(amr=("pwd", "otp", "mfa")), NOW, "aal2")
    with pytest.raises(Forbidden) as refusal:
        require_recent(recent(), NOW, "aal2")
    assert 'acr_values="aal2"' in refusal.value.headers["WWW-Authenticate"]


async def with_totp(suite: Suite) -> tuple[Person, Principal]:
    """Signed in with the password alone, before the authenticator was enrolled in another session."""
    ada = await person(suite)
    before = await ada.principal()
    await ada.enrol_totp()
    suite.clock.move(30)
    return ada, before


async def test_a_password_proves_it_of_whoever_has_nothing_else(suite: Suite) -> None:
    ada = await person(suite)
    caller = await ada.principal()
    suite.clock.move(601)
    late = await ada.principal_later(caller)
    assert (await refused(suite.do.totp.begin(late, ada.actor))).code == "step_up_required"
    assert (await suite.do.step_up.options(late)).methods == ("password",)
    tokens = await suite.do.step_up.by_password(late, ada.actor, PASSWORD, SOURCE)
    assert tokens.refresh_token is None
    renewed = await ada.principal(tokens)
    assert renewed.authenticated_at == suite.clock()
    assert renewed.session_id == caller.session_id
    assert renewed.scopes == caller.scopes
    assert await suite.do.totp.begin(renewed, ada.actor)
    assert len(suite.bus.events("session.stepped_up")) == 1
    assert "session.step_up" in await suite.audit()


async def test_a_wrong_password_proves_nothing_and_counts(suite: Suite) -> None:
    """L4: guessing here is guessing at the sign-in."""
    ada = await person(suite)
    caller = await ada.principal()
    for _ in range(FREE):
        wrong = suite.do.step_up.by_password(caller, ada.actor, "wrong horse battery staple", SOURCE)
        assert (await refused(wrong)).code == "step_up_refused"
    right = suite.do.step_up.by_password(caller, ada.actor, PASSWORD, SOURCE)
    assert (await refused(right)).code == "step_up_refused"
    suite.clock.move(31)
    assert await suite.do.step_up.by_password(caller, ada.actor, PASSWORD, SOURCE)


async def test_whoever_has_a_second_factor_proves_that(suite: Suite) -> None:
    ada, caller = await with_totp(suite)
    by_password = suite.do.step_up.by_password(caller, ada.actor, PASSWORD, SOURCE)
    assert (await refused(by_password)).code == "second_factor_needed"
    assert (await suite.do.step_up.options(caller)).methods == ("totp",)
    code = ada.code()
    tokens = await suite.do.step_up.by_factor(caller, ada.actor, Answer(totp=code))
    assert (await ada.principal(tokens)).amr == ("pwd", "otp", "mfa")
    again = suite.do.step_up.by_factor(caller, ada.actor, Answer(totp=code))
    assert (await refused(again)).code == "step_up_refused"
    await suite.do.totp.remove(caller, ada.actor)


async def test_a_refresh_says_what_was_proven(suite: Suite) -> None:
    ada = await person(suite)
    tokens = await ada.tokens()
    caller = await ada.enrol_totp(await ada.principal(tokens))
    suite.clock.move(30)
    await suite.do.step_up.by_factor(caller, ada.actor, Answer(totp=ada.code()))
    refreshed = await ada.principal(await suite.refresh(tokens.refresh_token))
    assert refreshed.amr == ("pwd", "otp", "mfa")
    assert refreshed.authenticated_at == suite.clock()


async def test_a_wrong_code_is_counted_and_told_and_a_passkey_still_works(suite: Suite) -> None:
    ada, _ = await with_totp(suite)
    both = await ada.principal(await ada.finish(await ada.challenge(), totp=ada.code()))
    authenticator = Authenticator()
    await ada.enrol_passkey(authenticator, both)
    for _ in range(FREE):
        wrong = suite.do.step_up.by_factor(both, ada.actor, Answer(totp=ada.wrong_code()))
        assert (await refused(wrong)).code == "step_up_refused"
    assert len(suite.bus.events("security.second_factor_refused")) == FREE
    suite.clock.move(29)
    early = suite.do.step_up.by_factor(both, ada.actor, Answer(totp=ada.code()))
    assert (await refused(early)).code == "step_up_refused"
    asked = loaded((await suite.do.step_up.options(both)).passkey)
    given = Answer(passkey=assertion(authenticator.get(asked)))
    assert await suite.do.step_up.by_factor(both, ada.actor, given)
    assert (await refused(suite.do.step_up.by_factor(both, ada.actor, given))).code == "step_up_refused"


async def test_a_passkey_steps_up_in_the_session_that_asked(suite: Suite) -> None:
    ada, authenticator = await person(suite), Authenticator()
    one, _ = await ada.enrol_passkey(authenticator)
    signed_in = await suite.do.passkey_sign_in.login(
        "acme",
        assertion(authenticator.get(loaded(await suite.do.passkey_sign_in.options("acme")))),
        SOURCE,
    )
    other = await ada.principal(signed_in.tokens)
    given = Answer(
        passkey=assertion(authenticator.get(loaded((await suite.do.step_up.options(one)).passkey)))
    )
    assert (await refused(suite.do.step_up.by_factor(other, ada.actor, given))).code == "step_up_refused"
    assert await suite.do.step_up.by_factor(one, ada.actor, given)


async def test_an_answer_steps_up_once_though_the_passkey_counts_nothing(suite: Suite) -> None:
    """Who has seen an answer proves nothing with it."""
    ada, authenticator = await person(suite), Authenticator()
    caller, _ = await ada.enrol_passkey(authenticator)
    asked = loaded((await suite.do.step_up.options(caller)).passkey)
    authenticator.count = -1
    given = Answer(passkey=assertion(authenticator.get(asked)))
    assert await suite.do.step_up.by_factor(caller, ada.actor, given)
    for _ in range(2):
        again = suite.do.step_up.by_factor(caller, ada.actor, given)
        assert (await refused(again)).code == "step_up_refused"
    assert len(suite.bus.events("session.stepped_up")) == 1


async def test_whoever_has_no_passkey_is_given_nothing_to_sign(suite: Suite) -> None:
    ada = await person(suite)
    caller = await ada.enrol_totp()
    assert await suite.do.step_up.options(caller) == Options(("totp",))


async def test_a_session_that_is_over_an_application_and_a_machine_step_up_not(suite: Suite) -> None:
    """R7"""
    ada = await person(suite)
    caller = await ada.principal()
    await suite.do.session_end.logout(caller, ada.actor)
    over = suite.do.step_up.by_password(caller, ada.actor, PASSWORD, SOURCE)
    assert (await refused(over)).code == "invalid_token"
    application = msgspec.structs.replace(caller, client_id="tnt_acme.cli_1")
    assert (await refused(suite.do.step_up.options(application))).code == "first_party_only"
    machine = msgspec.structs.replace(caller, session_id=None)
    assert (await refused(suite.do.step_up.options(machine))).code == "no_session"


async def test_a_password_does_not_renew_the_proof_of_a_factor_that_is_gone(suite: Suite) -> None:
    ada, bob = await person(suite), await person(suite, "bob@acme.test", "member")
    who = await bob.enrol_totp()
    await suite.do.factor_reset.reset(await ada.principal(), ada.actor, bob.user.id)
    suite.clock.move(3600)
    later = await bob.principal_later(who)
    again = await bob.principal(await suite.do.step_up.by_password(later, bob.actor, PASSWORD, SOURCE))
    assert (again.amr, again.authenticated_at) == (("pwd",), suite.clock())
