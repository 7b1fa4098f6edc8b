"""What a tenant asks of its people: a second factor, by which methods, and nobody at a dead end."""

import asyncio
import sqlite3

import msgspec
import pytest

from functions.auth.domain import security_policy
from functions.auth.domain.factors import Factors
from functions.auth.domain.security_policy import ENROL_SCOPE, AllowedMethod, SecurityPolicy
from functions.auth.sign_in.sign_in import SignedIn
from shared.errors import Invalid
from shared.http import ENROLLING
from shared.identity import Principal
from shared.store import Stale
from tests.authenticator import Authenticator
from tests.unit.auth.http_door import Door
from tests.unit.auth.second_factor import Person, person, refused
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio


async def require(suite: Suite, admin: Person, *methods: AllowedMethod) -> None:
    wanted = SecurityPolicy("required", methods or ("totp", "passkey"))
    await suite.do.tenant_security.replace(await admin_of(admin), admin.actor, wanted)


async def admin_of(admin: Person) -> Principal:
    """A session of now, whatever the policy."""
    tokens = await admin.tokens()
    return await admin.principal(tokens)


def test_a_policy_names_each_method_once_and_at_least_one() -> None:
    checked = security_policy.checked(SecurityPolicy("required", ("totp", "passkey", "totp")))
    assert checked.methods == ("passkey", "totp")
    with pytest.raises(Invalid, match="at least one method"):
        security_policy.checked(SecurityPolicy("required", ()))


def test_the_door_and_the_policy_mean_the_same_scope() -> None:
    assert ENROL_SCOPE == ENROLLING


async def test_a_policy_is_optional_until_it_is_set_and_set_once(suite: Suite) -> None:
    ada = await person(suite)
    caller = await ada.principal()
    assert await suite.do.tenant_security.policy(ACME) == SecurityPolicy()
    for _ in range(2):
        await suite.do.tenant_security.replace(caller, ada.actor, SecurityPolicy("required", ("passkey",)))
    assert await suite.do.tenant_security.policy(ACME) == SecurityPolicy("required", ("passkey",))
    assert len(suite.bus.events("security.policy_changed")) == 1
    assert (await suite.audit()).count("security_policy.replace") == 1


async def test_changing_it_takes_a_recent_sign_in(suite: Suite) -> None:
    ada = await person(suite)
    caller = await ada.principal()
    suite.clock.move(600)
    late = msgspec.structs.replace(caller, issued_at=suite.clock())
    changing = suite.do.tenant_security.replace(late, ada.actor, SecurityPolicy("required"))
    assert (await refused(changing)).code == "step_up_required"


async def test_many_change_it_at_once_and_one_policy_stands(suite: Suite) -> None:
    ada = await person(suite)
    caller = await ada.principal()
    methods: list[tuple[AllowedMethod, ...]] = [("totp",), ("passkey",)]
    await asyncio.gather(
        *(
            suite.do.tenant_security.replace(caller, ada.actor, SecurityPolicy("required", methods[each % 2]))
            for each in range(16)
        )
    )
    assert (await suite.do.tenant_security.policy(ACME)).methods in methods


async def test_without_a_required_factor_one_can_enrol_and_nothing_else(suite: Suite) -> None:
    """Through the door, as a client meets it: never a dead end."""
    ada, bob = await person(suite), await person(suite, "bob@acme.test", "admin")
    await require(suite, ada)
    tokens = await bob.tokens()
    assert tokens.scope == ENROL_SCOPE
    door = Door(suite)
    bearer = {"Authorization": f"Bearer {tokens.access_token}"}
    for path in ("/v1/me", "/v1/users", "/v1/security-policy", "/v1/sessions"):
        refusal = await door.client.get(path, headers=bearer)
        assert refusal.status_code in (403, 404), path
        if refusal.status_code == 403:
            assert refusal.json()["code"] == "second_factor_required"
    again = await suite.refresh(tokens.refresh_token)
    assert again.scope == ENROL_SCOPE, "a refresh opens nothing"
    assert (await door.client.get("/v1/me/factors", headers=bearer)).status_code == 200
    begun = await door.client.post("/v1/me/factors/totp", headers=bearer)
    assert begun.status_code == 200
    await bob.enrol_totp(await bob.principal(again))
    opened = await suite.refresh(again.refresh_token)
    assert "users:write" in opened.scope.split()
    assert ENROL_SCOPE not in opened.scope.split()
    assert (await bob.principal(opened)).amr == ("pwd", "otp", "mfa")
    await door.client.aclose()


async def test_a_factor_that_is_allowed_no_longer_is_still_asked_for_and_is_not_enough(suite: Suite) -> None:
    """A policy never makes an account weaker."""
    ada, bob = await person(suite), await person(suite, "bob@acme.test", "member")
    await bob.enrol_totp()
    await require(suite, ada, "passkey")
    suite.clock.move(30)
    tokens = await bob.finish(await bob.challenge(), totp=bob.code())
    assert tokens.scope == ENROL_SCOPE
    caller = await bob.principal(tokens)
    assert (await refused(suite.do.totp.confirm(caller, bob.actor, bob.code()))).code == "method_not_allowed"
    await bob.enrol_passkey(Authenticator(), caller)
    opened = await suite.refresh(tokens.refresh_token)
    assert "usage:read" in opened.scope.split()
    await suite.do.totp.remove(caller, bob.actor)


async def test_the_last_factor_that_is_required_stays(suite: Suite) -> None:
    ada = await person(suite)
    caller = await ada.enrol_totp()
    _, passkey = await ada.enrol_passkey(Authenticator(), caller)
    await suite.do.tenant_security.replace(caller, ada.actor, SecurityPolicy("required"))
    await suite.do.passkeys.remove(caller, ada.actor, passkey.id)
    assert (await refused(suite.do.totp.remove(caller, ada.actor))).code == "last_factor"
    await suite.do.tenant_security.replace(caller, ada.actor, SecurityPolicy())
    await suite.do.totp.remove(caller, ada.actor)


async def test_sessions_that_have_begun_go_on(suite: Suite) -> None:
    """A policy holds from the next sign-in."""
    ada, bob = await person(suite), await person(suite, "bob@acme.test", "member")
    tokens = await bob.tokens()
    await require(suite, ada)
    refreshed = await suite.refresh(tokens.refresh_token)
    assert "usage:read" in refreshed.scope.split()
    assert (await bob.tokens()).scope == ENROL_SCOPE


async def test_an_admin_resets_somebodys_factors(suite: Suite) -> None:
    """T4: in the own tenant only, nobody above, not one's own; and never without a recent sign-in."""
    ada, bob = await person(suite), await person(suite, "bob@acme.test", "admin")
    authenticator = Authenticator()
    enrolled = await bob.enrol_totp()
    await bob.enrol_passkey(authenticator, enrolled)
    admin = await ada.principal()
    for user_id in ("usr_nobody", "../x"):
        assert (await refused(suite.do.factor_reset.reset(admin, ada.actor, user_id))).status == 404
    assert (await refused(suite.do.factor_reset.reset(admin, ada.actor, ada.user.id))).code == "own_factors"
    foreign = msgspec.structs.replace(admin, tenant_id="tnt_other")
    await suite.add_tenant("tnt_other", "other")
    assert (await refused(suite.do.factor_reset.reset(foreign, ada.actor, bob.user.id))).status == 404
    above = suite.do.factor_reset.reset(enrolled, bob.actor, ada.user.id)
    assert (await refused(above)).code == "role_not_grantable"
    for _ in range(2):
        await suite.do.factor_reset.reset(admin, ada.actor, bob.user.id)
    assert len(suite.bus.events("user.factors_reset")) == 1
    assert (await suite.audit()).count("factors.reset") == 1
    assert isinstance(await bob.sign_in(), SignedIn), "nothing is asked for"
    await bob.enrol_passkey(authenticator)
    suite.clock.move(600)
    late = msgspec.structs.replace(admin, issued_at=suite.clock())
    assert (
        await refused(suite.do.factor_reset.reset(late, ada.actor, bob.user.id))
    ).code == "step_up_required"


@pytest.mark.parametrize("end", ["reset", "delete"])
async def test_who_changes_factors_without_a_pause_keeps_nobody_from_taking_them(
    suite: Suite, end: str
) -> None:
    ada, bob = await person(suite), await person(suite, "bob@acme.test", "member")
    busy, admin = await bob.principal(), await ada.principal()
    await bob.enrol_passkey(Authenticator(), busy)

    async def once_more() -> None:
        if (await bob.factors()).passkeys:
            await suite.do.totp.begin(busy, bob.actor)
            suite.store.before_commit = once_more

    suite.store.before_commit = once_more
    if end == "reset":
        await suite.do.factor_reset.reset(admin, ada.actor, bob.user.id)
    else:
        await suite.do.user_changes.delete(admin, ada.actor, bob.user.id)
    assert await bob.factors() == Factors(bob.user.id)
    assert await kept_factors(suite) == []


async def kept_factors(suite: Suite) -> list[str]:
    """The ids of all documents of that kind."""
    with sqlite3.connect(suite.folder / "store.db") as connection:
        rows = connection.execute("select path from docs where coll like '%/factors'").fetchall()
    return [path.rpartition("/")[2] for (path,) in rows]


async def test_a_user_who_is_deleted_leaves_no_factor(suite: Suite) -> None:
    """The passkey can be somebody else's then."""
    ada, bob = await person(suite), await person(suite, "bob@acme.test", "member")
    authenticator = Authenticator()
    await bob.enrol_passkey(authenticator, await bob.enrol_totp())
    caller = await ada.principal()
    await suite.do.user_changes.delete(caller, ada.actor, bob.user.id)
    assert await bob.factors() == Factors(bob.user.id)
    assert await ada.enrol_passkey(authenticator, caller)


async def test_a_change_that_loses_a_race_looks_again(suite: Suite) -> None:
    """What is decided by a policy is decided by the one that stands."""
    ada = await person(suite)
    caller = await ada.principal()

    async def faster() -> None:
        await suite.do.tenant_security.replace(caller, ada.actor, SecurityPolicy("required", ("totp",)))

    suite.store.before_commit = faster
    try:
        await suite.do.tenant_security.replace(caller, ada.actor, SecurityPolicy("required", ("passkey",)))
    except Stale:
        pytest.fail("a lost race is not the caller's")
    assert (await suite.do.tenant_security.policy(ACME)).methods == ("passkey",)
    assert len(suite.bus.events("security.policy_changed")) == 2
