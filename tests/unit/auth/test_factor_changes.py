"""One's own factors are changed in a recent session only, and in no session that ends meanwhile."""

from base64 import b32decode
from collections.abc import Awaitable, Callable

import pytest

from functions.auth.domain import totp
from functions.auth.domain.factors import PENDING_LIFETIME, Factors
from functions.auth.domain.security_policy import SecurityPolicy
from shared.identity import Principal
from tests.authenticator import Authenticator
from tests.unit.auth.second_factor import Person, person, refused
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio

Change = Callable[[], Awaitable[object]]


def code_of(suite: Suite, secret: str) -> str:
    """What an authenticator with that secret shows now."""
    return totp.code(b32decode(secret), totp.step_at(suite.clock()))


class Changing:
    """Somebody with an authenticator and a passkey, about to change something of it."""

    def __init__(self, suite: Suite, ada: Person, caller: Principal) -> None:
        self.suite = suite
        self.ada = ada
        self.caller = caller

    async def change(self, name: str) -> Change:
        """Everything that has to come before it is done."""
        suite, ada, caller, actor = self.suite, self.ada, self.caller, self.ada.actor
        do = suite.do
        passkey = (await ada.factors()).passkeys[0]
        if name == "totp.begin":
            await do.totp.remove(caller, actor)
            return lambda: do.totp.begin(caller, actor)
        if name == "totp.confirm":
            await do.totp.remove(caller, actor)
            begun = await do.totp.begin(caller, actor)
            return lambda: do.totp.confirm(caller, actor, code_of(suite, begun.secret))
        if name == "passkeys.register":
            given = Authenticator().create(await ada.creation_options(caller))
            return lambda: ada.register(caller, given)
        changes: dict[str, Change] = {
            "totp.remove": lambda: do.totp.remove(caller, actor),
            "passkeys.options": lambda: do.passkeys.options(caller),
            "passkeys.rename": lambda: do.passkeys.rename(caller, actor, passkey.id, "Phone"),
            "passkeys.remove": lambda: do.passkeys.remove(caller, actor, passkey.id),
            "recovery_codes.replace": lambda: do.recovery_codes.replace(caller, actor),
        }
        return changes[name]


@pytest.fixture
async def changing(suite: Suite) -> Changing:
    ada = await person(suite)
    caller = await ada.enrol_totp()
    await ada.enrol_passkey(Authenticator(), caller)
    return Changing(suite, ada, caller)


@pytest.mark.parametrize(
    "name",
    [
        "totp.begin",
        "totp.confirm",
        "totp.remove",
        "passkeys.options",
        "passkeys.register",
        "passkeys.remove",
        "recovery_codes.replace",
    ],
)
async def test_a_change_takes_a_recent_proof(changing: Changing, name: str) -> None:
    suite, ada = changing.suite, changing.ada
    suite.clock.move(599)
    change, before = await changing.change(name), await ada.factors()
    suite.clock.move(1)
    refusal = await refused(change())
    assert (refusal.status, refusal.code) == (403, "step_up_required")
    assert await ada.factors() == before


@pytest.mark.parametrize(
    "name",
    [
        "totp.begin",
        "totp.confirm",
        "totp.remove",
        "passkeys.register",
        "passkeys.rename",
        "passkeys.remove",
        "recovery_codes.replace",
    ],
)
@pytest.mark.parametrize(("ended", "code"), [("session", "invalid_token"), ("tenant", "tenant_suspended")])
async def test_a_session_that_ends_meanwhile_changes_nothing(
    changing: Changing, name: str, ended: str, code: str
) -> None:
    """R7, T10: who was signed out for a theft leaves no factor behind and takes none away."""
    suite, ada, caller = changing.suite, changing.ada, changing.caller
    change, before = await changing.change(name), await ada.factors()
    noted: list[Factors] = []

    async def end() -> None:
        if ended == "session":
            await suite.do.session_end.end(ACME, caller.session_id or "", "stolen_device", ada.actor)
        else:
            await suite.set_status("suspended")
        noted.append(await ada.factors())

    suite.store.before_commit = end
    assert (await refused(change())).code == code
    assert noted == [before]
    assert await ada.factors() == before


async def test_an_enrolment_is_confirmed_within_half_an_hour(suite: Suite) -> None:
    ada = await person(suite)
    begun = await suite.do.totp.begin(await ada.principal(), ada.actor)
    suite.clock.move(PENDING_LIFETIME.total_seconds())
    late = await ada.principal()
    confirming = suite.do.totp.confirm(late, ada.actor, code_of(suite, begun.secret))
    assert (await refused(confirming)).code == "totp_not_begun"
    begun = await suite.do.totp.begin(late, ada.actor)
    suite.clock.move(PENDING_LIFETIME.total_seconds() - 1)
    in_time = await ada.principal()
    assert (await suite.do.totp.confirm(in_time, ada.actor, code_of(suite, begun.secret))).totp


async def test_the_last_passkey_stays_where_a_factor_is_required(suite: Suite) -> None:
    ada = await person(suite)
    caller, first = await ada.enrol_passkey(Authenticator())
    _, second = await ada.enrol_passkey(Authenticator(), caller)
    await suite.do.tenant_security.replace(caller, ada.actor, SecurityPolicy("required"))
    await suite.do.passkeys.remove(caller, ada.actor, first.id)
    assert (await refused(suite.do.passkeys.remove(caller, ada.actor, second.id))).code == "last_factor"
    assert [passkey.id for passkey in (await ada.factors()).passkeys] == [second.id]
