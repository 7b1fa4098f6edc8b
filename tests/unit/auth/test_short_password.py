"""Passwords of 8 to 14 characters: taken beside a second factor, and worth little without one."""

import pytest

from functions.auth.domain.security_policy import ENROL_SCOPE
from functions.auth.sign_in.second_factors import Challenge
from functions.auth.sign_in.sign_in import SignedIn
from shared.identity import Principal
from tests.unit.auth.second_factor import SOURCE, Person, person, refused
from tests.unit.auth.suite import PASSWORD, Suite

pytestmark = pytest.mark.anyio

SHORT = "gt7 Qz1w"


async def change(suite: Suite, bob: Person, caller: Principal, before: str, after: str) -> None:
    await suite.do.password_changes.change(
        caller, bob.actor, before, after, SOURCE, keep_other_sessions=False
    )


async def sign_in(suite: Suite, bob: Person, password: str) -> SignedIn | Challenge:
    return await suite.sign_in.login("acme", bob.email, password, SOURCE)


async def test_beside_a_second_factor_eight_characters_are_enough_and_never_alone(suite: Suite) -> None:
    """L14: who loses the factor is let in to enrol another one, and to nothing else."""
    ada, bob = await person(suite), await person(suite, "bob@acme.test", "member")
    caller = await bob.principal()
    alone = await refused(change(suite, bob, caller, PASSWORD, SHORT))
    assert [field.code for field in alone.fields] == ["password_too_short"]
    await bob.enrol_totp(caller)
    await change(suite, bob, caller, PASSWORD, SHORT)
    assert isinstance(await sign_in(suite, bob, SHORT), Challenge)
    await suite.do.factor_reset.reset(await ada.principal(), ada.actor, bob.user.id)
    suite.clock.move(1)
    let_in = await sign_in(suite, bob, SHORT)
    assert isinstance(let_in, SignedIn)
    only_enrolling = await bob.principal(let_in.tokens)
    assert only_enrolling.scopes == {ENROL_SCOPE}
    await bob.enrol_totp(only_enrolling)
    suite.clock.move(30)
    asked = await sign_in(suite, bob, SHORT)
    assert isinstance(asked, Challenge)
    assert "tenant:read" in (await bob.principal(await bob.finish(asked, totp=bob.code()))).scopes


async def test_a_long_password_stands_alone_again(suite: Suite) -> None:
    ada, bob = await person(suite), await person(suite, "bob@acme.test", "member")
    caller = await bob.enrol_totp()
    await change(suite, bob, caller, PASSWORD, SHORT)
    await change(suite, bob, caller, SHORT, PASSWORD)
    await suite.do.factor_reset.reset(await ada.principal(), ada.actor, bob.user.id)
    suite.clock.move(1)
    signed_in = await sign_in(suite, bob, PASSWORD)
    assert isinstance(signed_in, SignedIn)
    assert "tenant:read" in (await bob.principal(signed_in.tokens)).scopes
