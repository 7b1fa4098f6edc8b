"""What ends an access token before it expires: whom it hits, how soon, for how long, and what it may cost."""

import ast
import asyncio
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared import keyring, outbox, revocations
from shared import tenant as tenants
from shared.errors import Error, Unauthenticated, Unavailable
from shared.identity import Principal, Verifier
from shared.revocations import KEPT_FOR, MOST, Ended, Revocation
from shared.store import Create, Store
from shared.store.bodies import from_body
from shared.store.firestore.layout import EXPIRING
from shared.store.sqlite import SqliteStore
from tests.documents import Documents
from tests.tokens import ISSUER, NOW, TENANT, SignerKey, Time, ring, tenant

KEY = SignerKey()
BOUND = 30
"""Seconds within which an end is seen, as the guide has it."""


class World:
    """A verifier over a store with one key and one active tenant."""

    def __init__(self) -> None:
        self.store = Documents()
        self.clock = Time()
        self.verifier = Verifier(self.store, ISSUER, ISSUER, self.clock)
        self.store.put(keyring.key(self.store), ring(KEY))
        self.put_tenant()

    def put_tenant(self, tenant_id: str = TENANT, **changes: Any) -> None:
        self.store.put(tenants.key(self.store, tenant_id), tenant(tenant_id, **changes))

    def revoke(self, subject: str, after: float = 0, tenant_id: str = TENANT) -> None:
        """`after`: seconds from the time that tokens are issued at."""
        made = revocations.record(self.store, tenant_id, subject, NOW + timedelta(seconds=after))
        self.store.put(made.key, from_body(made.body, Revocation))

    async def verify(self, token: str) -> Principal:
        return await self.verifier.verify(token)

    async def refuses(self, token: str) -> bool:
        try:
            await self.verify(token)
        except Unauthenticated:
            return True
        return False

    def outcome(self, token: str) -> str:
        """`ok`, or the code of the refusal."""
        try:
            asyncio.run(self.verify(token))
        except Error as refusal:
            return refusal.code
        return "ok"


@pytest.mark.parametrize(
    ("subject", "claims"),
    [
        ("usr_1", {}),
        ("ses_1", {}),
        ("jti_1", {}),
        ("sa_1", {"sub": "sa_1", "client_id": "tnt_acme.sa_1"}),
        ("key_1", {"sub": "key_1", "client_id": "tnt_acme.key_1"}),
        ("cli_1", {"client_id": "tnt_acme.cli_1"}),
    ],
)
def test_r8_j30_whoever_or_whatever_was_ended_is_refused_within_the_bound(
    subject: str, claims: dict[str, Any]
) -> None:
    """Also where the token was verified before."""
    world = World()

    async def story() -> None:
        token, other = KEY.token(**claims), KEY.token(sub="usr_2", sid="ses_2", jti="jti_2")
        await world.verify(token)
        await world.verify(other)
        world.revoke(subject)
        world.clock.move(BOUND - 6)
        await world.verify(token)
        world.clock.move(6)
        assert await world.refuses(token)
        await world.verify(other)

    asyncio.run(story())


def test_everybody_who_has_a_role_that_was_changed_is_refused_until_the_next_token() -> None:
    """One record for any number of people; nobody is called like a role."""
    world = World()

    async def story() -> None:
        auditors = [KEY.token(sub=f"usr_{number}", roles=["auditor"]) for number in range(3)]
        others = [KEY.token(sub="auditor"), KEY.token(sid="auditor"), KEY.token(client_id="tnt_acme.auditor")]
        world.revoke(revocations.of_role("auditor"))
        assert [await world.refuses(token) for token in auditors + others] == [True] * 3 + [False] * 3
        assert not await world.refuses(KEY.token(roles=["auditor"], now=NOW + timedelta(seconds=1)))

    asyncio.run(story())


def test_every_instance_refuses_within_the_bound_whenever_it_asked_last() -> None:
    """Of any function: each has a verifier of its own, and none of them waits for another."""
    world = World()

    async def story() -> None:
        token = KEY.token()
        instances = []
        for _ in range(6):
            instances.append(Verifier(world.store, ISSUER, ISSUER, world.clock))
            for verifier in instances:
                await verifier.verify(token)
            world.clock.move(5)
        world.revoke("usr_1", after=30)
        world.clock.move(BOUND)
        for verifier in instances:
            with pytest.raises(Unauthenticated):
                await verifier.verify(token)

    asyncio.run(story())


def test_every_function_declares_what_its_verifier_asks() -> None:
    mains = sorted((Path(revocations.__file__).parents[1] / "functions").glob("*/main.py"))
    assert len(mains) == 3
    for main in mains:
        assigned = [node for node in ast.parse(main.read_text()).body if isinstance(node, ast.Assign)]
        (queries,) = [node for node in assigned if ast.unparse(node.targets[0]) == "QUERIES"]
        assert "revocations.QUERIES" in ast.unparse(queries.value), main


def test_j29_another_spelling_of_a_revoked_token_is_refused_as_well() -> None:
    world = World()
    world.revoke("jti_1")
    token = KEY.token()
    for spelling in (token, token + "=", token.replace(".", ".\n", 1), KEY.token(without=("sid",))):
        assert world.outcome(spelling) == "invalid_token"
    assert world.outcome(KEY.token(jti="jti_2")) == "ok"


@pytest.mark.parametrize(
    ("after", "outcome"),
    [(-1, "ok"), (-0.1, "ok"), *((after, "invalid_token") for after in (0, 0.5, 0.999, 60))],
)
def test_r6_of_the_second_of_a_revocation_every_token_is_refused(after: float, outcome: str) -> None:
    """`iat` has whole seconds, rounded down: a token of 12:00:00.9 is not told from one of 12:00:00.1."""
    world = World()
    world.revoke("usr_1", after)
    assert world.outcome(KEY.token()) == outcome


def test_r7_a_session_that_ended_stays_ended_whenever_a_token_of_it_was_signed() -> None:
    """A refresh that was decided before a logout may sign after it."""
    world = World()
    world.revoke("ses_1", -5)
    assert world.outcome(KEY.token()) == "invalid_token"
    assert world.outcome(KEY.token(sid="ses_2")) == "ok"


def test_a_user_who_signs_in_after_a_revocation_is_let_in() -> None:
    world = World()
    world.revoke("usr_1")
    world.clock.move(1)
    assert world.outcome(KEY.token(now=world.clock(), sid="ses_new")) == "ok"


def test_the_later_of_two_revocations_counts() -> None:
    for first, second in ((-50, 0), (0, -50)):
        world = World()
        world.revoke("usr_1", first)
        world.revoke("usr_1", second)
        assert world.outcome(KEY.token()) == "invalid_token"


def test_t9_the_same_ids_in_another_tenant_are_somebody_elses() -> None:
    world = World()
    world.put_tenant("tnt_b")
    for subject in ("usr_1", "ses_1", "jti_1"):
        world.revoke(subject, tenant_id="tnt_b")
    assert world.outcome(KEY.token()) == "ok"
    assert world.outcome(KEY.token(tid="tnt_b")) == "invalid_token"


def test_t9_ten_thousand_verifications_of_mixed_tenants_cross_nowhere() -> None:
    """One key, and the same user, session and token ids everywhere; a third of them ended somewhere."""
    world = World()
    ended: set[tuple[str, int]] = set()
    cases: list[tuple[str, int, str]] = []
    for number in range(20):
        tenant_id = f"tnt_{number}"
        world.put_tenant(tenant_id)
        for user in range(6):
            cases.append((tenant_id, user, KEY.token(tid=tenant_id, sub=f"usr_{user}", sid=f"ses_{user}")))
            if (number + user) % 3 == 0:
                world.revoke(f"usr_{user}", tenant_id=tenant_id)
                ended.add((tenant_id, user))

    async def one(shuffled: list[tuple[str, int, str]]) -> int:
        for tenant_id, user, token in shuffled:
            await asyncio.sleep(0)
            try:
                principal = await world.verify(token)
            except Unauthenticated:
                assert (tenant_id, user) in ended
            else:
                assert (principal.tenant_id, principal.subject) == (tenant_id, f"usr_{user}")
                assert (tenant_id, user) not in ended
        return len(shuffled)

    async def story() -> None:
        chance = random.Random(1)
        asked = await asyncio.gather(*(one(chance.choices(cases, k=625)) for _ in range(16)))
        assert sum(asked) == 10_000

    asyncio.run(story())


def test_a_revocation_is_over_when_no_token_it_ends_can_live() -> None:
    """The database may keep the document for a day longer."""
    world = World()
    world.revoke("ses_1")
    world.clock.move(KEPT_FOR.total_seconds())
    assert world.outcome(KEY.token(now=world.clock())) == "invalid_token"
    world.clock.move(26)
    assert world.outcome(KEY.token(now=world.clock())) == "ok"
    assert timedelta(seconds=600) < KEPT_FOR
    (record,) = [value for value in world.store.values.values() if isinstance(value, Revocation)]
    assert record.expires_at == NOW + KEPT_FOR
    assert EXPIRING["revocations"] == "expires_at"


def test_beyond_what_is_read_one_by_one_older_tokens_of_the_tenant_are_refused() -> None:
    """Never let in: their owners get new ones by refresh."""
    world = World()
    for number in range(MOST + 1):
        world.revoke(f"ses_many_{number}", after=-300 + number / 100)
    world.clock.move(0)
    oldest_read = NOW + timedelta(seconds=-300 + 0.01)
    assert world.outcome(KEY.token(now=oldest_read)) == "invalid_token"
    assert world.outcome(KEY.token(sub="usr_2", sid="ses_2", jti="jti_2", now=oldest_read)) == "invalid_token"
    assert world.outcome(KEY.token()) == "ok"
    assert world.outcome(KEY.token(sid=f"ses_many_{MOST}")) == "invalid_token"
    assert world.outcome(KEY.token(sid="ses_many_1")) == "invalid_token"


def test_as_many_as_are_read_one_by_one_end_nobody_else() -> None:
    world = World()
    for number in range(MOST):
        world.revoke(f"ses_many_{number}", after=-number / 100)
    assert world.outcome(KEY.token(now=NOW - timedelta(seconds=200))) == "ok"


def test_d1_in_an_outage_what_is_known_counts_for_five_minutes() -> None:
    """Then 503: nobody is let in unasked, and who was ended stays out."""
    world = World()
    world.revoke("usr_2")

    async def story() -> None:
        token, dead = KEY.token(), KEY.token(sub="usr_2", jti="jti_2")
        await world.verify(token)
        world.store.down = True
        for _ in range(10):
            world.clock.move(29)
            await world.verify(token)
            assert await world.refuses(dead)
        world.clock.move(11)
        for each in (token, dead):
            with pytest.raises(Unavailable):
                await world.verify(each)
        world.store.down = False
        await world.verify(token)
        assert await world.refuses(dead)

    asyncio.run(story())


class HalfDown(Documents):
    """Documents are read, queries are not answered."""

    async def run(self, *arguments: Any) -> Any:
        raise Unavailable("store_unavailable", "The store did not answer. Try again.")


def test_without_the_revocations_nobody_is_let_in() -> None:
    world = World()
    half = HalfDown()
    half.values = world.store.values
    world.verifier = Verifier(half, ISSUER, ISSUER, world.clock)
    assert world.outcome(KEY.token()) == "store_unavailable"


def test_a_tenant_costs_one_read_and_one_query_each_25_seconds_whoever_asks() -> None:
    world = World()

    async def story() -> None:
        for _ in range(3):
            await asyncio.gather(*(world.verify(KEY.token(sub=f"usr_{n}", jti=f"t_{n}")) for n in range(20)))
            world.clock.move(25)
        asked = [path for path in world.store.reads if path.startswith("tenants/")]
        assert asked == ["tenants/tnt_acme", "tenants/tnt_acme/revocations"] * 3

    asyncio.run(story())


def test_t12_a_deleted_tenant_is_one_read_and_no_query_each_25_seconds() -> None:
    """Only our own signature gets as far as a read: made-up tenants get none."""
    world = World()

    async def story() -> None:
        token = KEY.token(tid="tnt_gone")
        for _ in range(100):
            assert await world.refuses(token)
            assert await world.refuses(SignerKey().sign({"tid": "tnt_made_up"}, kid=KEY.kid))
        asked = [path for path in world.store.reads if path.startswith("tenants/")]
        assert asked == ["tenants/tnt_gone"]

    asyncio.run(story())


def test_t12_tokens_of_a_tenant_that_is_deleted_are_dead_within_the_bound() -> None:
    world = World()

    async def story() -> None:
        token = KEY.token()
        await world.verify(token)
        del world.store.values[tenants.key(world.store, TENANT).path]
        world.clock.move(BOUND)
        assert await world.refuses(token)

    asyncio.run(story())


def test_nothing_ended_is_nothing_to_look_at() -> None:
    assert Ended(-1, {}).is_nothing
    assert not Ended(0, {}).is_nothing
    assert not Ended(-1, {"usr_1": 0}).is_nothing


async def put(store: Store, *writes: Create) -> None:
    for write in writes:
        await store.commit(write)


def test_the_query_finds_what_was_recorded(tmp_path: Path) -> None:
    """On a real store: newest first, within its time, of this tenant."""

    async def story() -> None:
        store = SqliteStore(tmp_path / "store.db", (*outbox.QUERIES, *revocations.QUERIES))
        try:
            old = NOW - KEPT_FOR - timedelta(seconds=1)
            await put(
                store,
                revocations.record(store, TENANT, "usr_1", NOW),
                revocations.record(store, TENANT, "usr_1", NOW - timedelta(seconds=9)),
                revocations.record(store, TENANT, "usr_old", old),
                revocations.record(store, "tnt_b", "usr_b", NOW),
            )
            assert await revocations.recent(store, TENANT, NOW) == Ended(-1, {"usr_1": int(NOW.timestamp())})
        finally:
            await store.close()

    asyncio.run(story())
