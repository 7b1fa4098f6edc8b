"""Signing in: what is wrong is never told, and wrong costs as much as right."""

import asyncio
import threading

import argon2
import msgspec
import pytest

from functions.auth import records
from functions.auth.domain import people
from functions.auth.domain.people import Login, User
from functions.auth.guessing.failed_sign_ins import FailedSignIns
from functions.auth.guessing.source import Source
from functions.auth.guessing.throttle import Throttle
from functions.auth.sessions.session_rate import SessionRate
from functions.auth.sign_in.passwords import Passwords
from functions.auth.sign_in.sign_in import SignedIn, SignIn
from shared.errors import Error, Forbidden, Invalid, Unauthenticated, Unavailable
from shared.store import Create, Replace
from shared.store.bodies import from_body
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite

pytestmark = pytest.mark.anyio

LONG = (PASSWORD + " ") * 2 + "and then some "
"""72 bytes, which is where bcrypt stops."""
HORSES = "\U0001f40e" * 250 + "\U0001f50b\U0001f4ce\U0001f511\U0001f6aa\U0001f3e0\U0001f332"
"""1024 bytes."""


async def refusal(suite: Suite, email: str = OWNER, password: str = PASSWORD, slug: str = "acme") -> Error:
    with pytest.raises(Error) as refused:
        await suite.login(email, password, slug)
    return refused.value


async def stored_login(suite: Suite, email: str = OWNER) -> records.Found[Login]:
    key = records.login_key(suite.store, ACME, people.login_id(email))
    found = records.found((await suite.store.inner.read(key))[0], Login)
    assert found is not None
    return found


async def write(suite: Suite, replace: Replace) -> None:
    marker = Create(suite.store.tenant(ACME).key("audit", "aud_test"), {})
    await suite.store.inner.commit(marker, replace)


async def disable(suite: Suite, user_id: str) -> None:
    key = records.user_key(suite.store, ACME, user_id)
    found = records.found((await suite.store.inner.read(key))[0], User)
    assert found is not None
    await write(suite, found.replace(msgspec.structs.replace(found.value, status="disabled")))


async def test_the_right_password_begins_a_session_of_the_role(suite: Suite) -> None:
    user = await suite.add_user(role="billing")
    tokens = await suite.login()
    who = await suite.verifier.verify(tokens.access_token)
    session = await suite.only_session()
    assert (who.tenant_id, who.subject, who.session_id) == (ACME, user.id, session.id)
    assert (who.roles, who.client_id, who.tier) == (("billing",), "energent-app", "standard")
    assert who.scopes == {"tenant:read", "usage:read", "invoices:read"} == set(tokens.scope.split())
    assert (await suite.audit()).count("session.create") == 1


async def test_every_way_to_be_wrong_is_one_answer_and_one_hash(suite: Suite) -> None:
    """L1, L2: unknown tenant or e-mail, wrong password, disabled user; the store is asked the same."""
    disabled = await suite.add_user("bob@acme.test", "member")
    await suite.add_user()
    await disable(suite, disabled.id)
    answers, costs = [], []
    for email, password, slug in [
        (OWNER, PASSWORD, "nobody-has-this"),
        (OWNER, PASSWORD, "../acme"),
        ("eve@acme.test", PASSWORD, "acme"),
        (OWNER, "wrong horse battery staple", "acme"),
        (OWNER, "short", "acme"),
        ("bob@acme.test", "wrong horse battery staple", "acme"),
        ("bob@acme.test", PASSWORD, "acme"),
    ]:
        suite.passwords.verified.clear()
        suite.store.reads.clear()
        refused = await refusal(suite, email, password, slug)
        answers.append((type(refused), refused.code, refused.detail, tuple(refused.headers), refused.fields))
        costs.append((len(suite.passwords.verified), [len(keys) for keys in suite.store.reads]))
    assert set(answers) == {
        (
            Unauthenticated,
            "invalid_credentials",
            "Tenant, e-mail and password do not belong together. Check all three.",
            (),
            (),
        )
    }
    assert costs == [(1, [1, 2, 1])] * len(costs)


async def test_a_suspension_is_told_to_those_with_the_right_password_only(suite: Suite) -> None:
    """T10"""
    await suite.add_user()
    await suite.set_status("suspended")
    right = await refusal(suite)
    assert (type(right), right.code) == (Forbidden, "tenant_suspended")
    wrong = await refusal(suite, password="wrong horse battery staple")
    assert wrong.code == (await refusal(suite, "eve@acme.test")).code == "invalid_credentials"


@pytest.mark.parametrize(
    "email", ["Owner@ACME.test", " owner@acme.test ", "\uff4fwner@acme.test", "owner\uff20acme.test"]
)
async def test_an_address_may_be_spelt_differently_at_sign_in(suite: Suite, email: str) -> None:
    """L8"""
    await suite.add_user()
    assert (await suite.login(email)).access_token


async def test_a_password_may_be_spelt_composed_or_decomposed(suite: Suite) -> None:
    """L9"""
    invitation = await suite.invite("zoe@acme.test")
    await suite.invitations.accept(invitation, "cafe\u0301 noir, sans sucre", "Zo\u00eb", "req_1")
    assert (await suite.login("zoe@acme.test", "caf\u00e9 noir, sans sucre")).access_token
    assert (await suite.login("zoe@acme.test", "cafe\u0301 noir, sans sucre")).access_token


@pytest.mark.parametrize(
    ("password", "others"),
    [
        (PASSWORD + "\0b", [PASSWORD + "\0c", PASSWORD, PASSWORD + "\0"]),
        (LONG + "y", [LONG + "z", LONG]),
        (HORSES, [HORSES[:-1]]),
    ],
)
async def test_every_character_of_a_password_counts(suite: Suite, password: str, others: list[str]) -> None:
    """L10, L11"""
    await suite.invitations.accept(await suite.invite("zoe@acme.test"), password, "Zoe", "req_1")
    assert (await suite.login("zoe@acme.test", password)).access_token
    for other in others:
        assert (await refusal(suite, "zoe@acme.test", other)).code == "invalid_credentials"


@pytest.mark.parametrize("password", ["x" * 10_000_000, "\ud800" * 20, ""])
async def test_what_no_password_can_be_is_refused_before_hashing(suite: Suite, password: str) -> None:
    """L12, L13"""
    with pytest.raises(Invalid):
        await suite.login(password=password)
    assert suite.passwords.verified == []


async def test_the_same_address_in_two_tenants_is_two_people(suite: Suite) -> None:
    """L20"""
    await suite.add_tenant("tnt_globex", "globex")
    await suite.add_user(role="owner")
    await suite.invitations.accept(
        await suite.invite(OWNER, "member", "tnt_globex"), "another horse battery staple", "Ada", "req_1"
    )
    at_acme = await suite.verifier.verify((await suite.login()).access_token)
    at_globex = await suite.verifier.verify(
        (await suite.login(password="another horse battery staple", slug="globex")).access_token
    )
    assert (at_acme.tenant_id, at_globex.tenant_id) == (ACME, "tnt_globex")
    assert at_acme.subject != at_globex.subject
    assert (await refusal(suite, slug="globex")).code == "invalid_credentials"


async def test_a_hash_of_older_parameters_is_renewed_once_also_by_many_at_once(suite: Suite) -> None:
    """L17"""
    await suite.add_user()
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=32, parallelism=1).hash(PASSWORD)
    found = await stored_login(suite)
    await write(suite, found.replace(Login(found.value.user_id, weak)))
    answers = await asyncio.gather(*(suite.login() for _ in range(4)))
    assert len({answer.refresh_token for answer in answers}) == 4
    renewed = (await stored_login(suite)).value.password_hash
    assert renewed != weak
    assert not suite.passwords.is_outdated(renewed)
    await suite.login()
    assert (await stored_login(suite)).value.password_hash == renewed


async def test_a_suspension_while_the_password_is_checked_wins(suite: Suite) -> None:
    """R8: no session of it stands afterwards."""
    await suite.add_user()

    async def suspend() -> None:
        await suite.set_status("suspended")

    suite.store.before_commit = suspend
    assert (await refusal(suite)).code == "tenant_suspended"


async def test_a_user_disabled_while_the_password_is_checked_gets_no_session(suite: Suite) -> None:
    """R8"""
    user = await suite.add_user()

    async def disabling() -> None:
        await disable(suite, user.id)

    suite.store.before_commit = disabling
    assert (await refusal(suite)).code == "invalid_credentials"


class Gated(Passwords):
    """Hashes stand still until `gate` opens."""

    def __init__(self, workers: int, waiting: int) -> None:
        super().__init__(workers, waiting)
        self.gate = threading.Event()
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def _matches(self, known: str, password: str) -> bool:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.gate.wait(10)
        with self._lock:
            self.running -= 1
        return super()._matches(known, password)


async def test_of_two_hundred_sign_ins_at_once_few_run_some_wait_and_the_rest_come_again(
    suite: Suite,
) -> None:
    """L16"""
    await suite.add_user()
    passwords = Gated(workers=2, waiting=4)
    failed = FailedSignIns(suite.publishing, suite.outbox, suite.clock, suite.pause)
    do = suite.do
    sign_in = SignIn(
        suite.publishing,
        passwords,
        suite.sessions,
        do.keys,
        failed,
        Throttle(suite.clock, failed.flooded),
        do.second_factors,
        SessionRate(suite.clock),
        suite.clock,
    )

    async def attempt(number: int) -> str:
        try:
            source = Source(f"192.0.2.{number}")
            signed_in = await sign_in.login("acme", OWNER, PASSWORD, source)
            assert isinstance(signed_in, SignedIn)
            return signed_in.tokens.token_type
        except Unavailable as busy:
            return f"{busy.status} {busy.code} {busy.headers['Retry-After']}"

    tasks = [asyncio.create_task(attempt(number)) for number in range(200)]
    while sum(task.done() for task in tasks) < 194:
        await asyncio.wait([task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED)
    passwords.gate.set()
    answers = await asyncio.gather(*tasks)
    passwords.close()
    assert sorted(answers) == ["503 password_queue_full 1"] * 194 + ["Bearer"] * 6
    assert passwords.most == 2


async def test_places_in_the_queue_are_given_back(suite: Suite) -> None:
    passwords = Passwords(workers=1, waiting=0)
    for _ in range(3):
        assert not await passwords.verify(None, PASSWORD)
    both = (passwords.verify(None, PASSWORD), passwords.verify(None, PASSWORD))
    one, other = await asyncio.gather(*both, return_exceptions=True)
    assert one is False
    assert isinstance(other, Unavailable)
    assert await passwords.verify(await passwords.hash(PASSWORD), PASSWORD)
    passwords.close()


async def test_a_broken_hash_is_nobodys_password() -> None:
    passwords = Passwords(workers=1, waiting=1)
    assert not await passwords.verify("$argon2id$broken", PASSWORD)
    passwords.close()


async def test_a_user_document_never_holds_the_hash(suite: Suite) -> None:
    user = await suite.add_user()
    doc = (await suite.store.inner.read(records.user_key(suite.store, ACME, user.id)))[0]
    assert doc is not None
    assert from_body(doc.body, User) == user
    assert "argon2" not in str(doc.body)


async def test_the_hash_verified_for_nobody_costs_what_a_real_one_costs() -> None:
    """L2"""
    seen = []

    class Watched(Passwords):
        def _matches(self, known: str, password: str) -> bool:
            seen.append(argon2.extract_parameters(known))
            return super()._matches(known, password)

    passwords = Watched(workers=1, waiting=0)
    assert not await passwords.verify(None, PASSWORD)
    hashed = await passwords.hash(PASSWORD)
    assert await passwords.verify(hashed, PASSWORD)
    passwords.close()
    assert seen[0] == seen[1]
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
