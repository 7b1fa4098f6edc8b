"""The verifier against what an access token can be made to look like (security-cases §3.1)."""

import asyncio
from datetime import timedelta

import pytest

from shared import identity, keyring
from shared import tenant as tenants
from shared.errors import Error, Forbidden, Unauthenticated, Unavailable
from shared.identity import Principal, Verifier, authorization, bearer_token, require_scope
from tests.bad_tokens import GOOD, IAT, KEY, OTHER, REFUSED, good_header
from tests.documents import Documents
from tests.tokens import ISSUER, NOW, TENANT, SignerKey, Time, claims, ring, tenant


class World:
    """A verifier over a store with one key and one active tenant."""

    def __init__(self) -> None:
        self.store = Documents()
        self.clock = Time()
        self.verifier = Verifier(self.store, ISSUER, ISSUER, self.clock)
        self.put_ring(KEY)
        self.put_tenant(tenant())

    def put_ring(self, *keys: SignerKey) -> None:
        self.store.put(keyring.key(self.store), ring(*keys))

    def put_tenant(self, value: tenants.Tenant) -> None:
        self.store.put(tenants.key(self.store, value.id), value)

    async def verify(self, token: str) -> Principal:
        return await self.verifier.verify(token)

    def outcome(self, token: str) -> str:
        """`ok`, or the code of the refusal."""
        try:
            asyncio.run(self.verify(token))
        except Error as refusal:
            return refusal.code
        return "ok"

    def reads_of(self, collection: str) -> int:
        return sum(path.startswith(collection) for path in self.store.reads)


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_token_is_refused_with_one_constant_answer(case: str) -> None:
    """J1-J8, J11-J28, J30-J32."""
    world = World()
    with pytest.raises(Unauthenticated) as refused:
        asyncio.run(world.verify(REFUSED[case]))
    assert refused.value.code == "invalid_token"
    assert refused.value.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    assert refused.value.detail == "The access token is not valid. Sign in again."


@pytest.mark.parametrize(
    "token",
    [
        GOOD,
        good_header(typ="AT+JWT"),
        good_header(typ="application/at+jwt"),
        KEY.token(nbf=IAT + 9),
        KEY.token(iat=IAT + 9, exp=IAT + 609),
        KEY.token(without=("sid",)),
        KEY.token(roles=[], scope=""),
        KEY.token(more="of ours, later"),
    ],
)
def test_a_good_token_is_accepted(token: str) -> None:
    """J16 J20."""
    assert World().outcome(token) == "ok"


def test_the_principal_is_what_the_token_says() -> None:
    principal = asyncio.run(World().verify(KEY.token(scope="a:read b:read a:read", roles=["owner", "admin"])))
    assert principal == Principal(
        tenant_id=TENANT,
        subject="usr_1",
        client_id="first-party",
        scopes=frozenset({"a:read", "b:read"}),
        roles=("owner", "admin"),
        tier="standard",
        token_id="jti_1",
        issued_at=NOW,
        expires_at=NOW + timedelta(seconds=600),
        session_id="ses_1",
        audience=ISSUER,
    )


def test_a_malformed_kid_reads_nothing() -> None:
    """J7."""
    world = World()
    for kid in ("../../../../dev/null", "a/b", "x" * 65, 7):
        assert world.outcome(good_header(kid=kid)) == "invalid_token"
    assert world.store.reads == []


def test_an_oversized_token_is_refused_before_it_is_parsed() -> None:
    """J25: nothing is read, and 8 MB cost no more than a length."""
    world = World()
    assert world.outcome(REFUSED["J25 8 MB"]) == "invalid_token"
    assert world.store.reads == []


def test_a_retired_key_stops_verifying_when_it_leaves_the_ring() -> None:
    """J9 S8: also for a token that was verified before."""
    world = World()
    world.put_ring(KEY, OTHER)

    async def story() -> None:
        token = KEY.token()
        await world.verify(token)
        world.put_ring(OTHER)
        world.clock.move(59)
        await world.verify(token)
        world.clock.move(1)
        with pytest.raises(Unauthenticated):
            await world.verify(token)
        await world.verify(OTHER.token())

    asyncio.run(story())


def test_made_up_kids_cause_one_read_each_thirty_seconds() -> None:
    """J10: of those that come at once, and of those that come all the time."""
    world = World()

    async def story() -> None:
        await world.verify(KEY.token())
        world.clock.move(5)
        for number in range(1000):
            with pytest.raises(Unauthenticated):
                await world.verify(OTHER.sign(claims(), kid=f"made-up-{number}"))
        assert world.reads_of("keyring/") == 2
        for reads in (2, 3):
            for second in range(29):
                world.clock.move(1)
                with pytest.raises(Unauthenticated):
                    await world.verify(OTHER.sign(claims(), kid=f"made-up-later-{second}"))
                assert world.reads_of("keyring/") == reads
            world.clock.move(1)
            with pytest.raises(Unauthenticated):
                await world.verify(OTHER.sign(claims(), kid="made-up-last"))
            assert world.reads_of("keyring/") == reads + 1

    asyncio.run(story())


def test_a_key_that_was_just_published_is_found_by_everyone_at_once() -> None:
    """J34: the first token of a new key does not fail, nor do a hundred that come with it."""
    world = World()

    async def story() -> None:
        await world.verify(KEY.token())
        world.put_ring(KEY, OTHER)
        world.clock.move(5)
        await asyncio.gather(*(world.verify(OTHER.token(jti=f"jti_{n}")) for n in range(100)))
        await world.verify(KEY.token())
        assert world.reads_of("keyring/") == 2

    asyncio.run(story())


def test_the_first_key_of_all_is_found_at_once() -> None:
    """A function that met a token before there was any key must not stay blind."""
    world = World()
    world.put_ring()

    async def story() -> None:
        with pytest.raises(Unauthenticated):
            await world.verify(OTHER.token())
        world.put_ring(KEY)
        await world.verify(KEY.token())

    asyncio.run(story())


def test_a_suspended_tenant_is_locked_out_within_25_seconds() -> None:
    """T10: 403, also for a token that was verified before; an unknown tenant is 401."""
    world = World()

    async def story() -> None:
        token = KEY.token()
        await world.verify(token)
        world.put_tenant(tenant(status="suspended", tokens_valid_after=NOW))
        world.clock.move(24)
        await world.verify(token)
        world.clock.move(1)
        with pytest.raises(Forbidden) as refused:
            await world.verify(token)
        assert refused.value.code == "tenant_suspended"

    asyncio.run(story())


@pytest.mark.parametrize(("after", "outcome"), [(0.0, "invalid_token"), (0.9, "invalid_token"), (-0.1, "ok")])
def test_a_token_from_before_the_floor_stays_dead_after_a_resume(after: float, outcome: str) -> None:
    world = World()
    world.put_tenant(tenant(tokens_valid_after=NOW + timedelta(seconds=after)))
    assert world.outcome(KEY.token()) == outcome


def test_an_expired_token_is_refused_although_it_was_verified_before() -> None:
    """J13 over the memory of verified tokens."""
    world = World()

    async def story() -> None:
        token = KEY.token()
        world.clock.move(599)
        await world.verify(token)
        world.clock.move(1)
        with pytest.raises(Unauthenticated):
            await world.verify(token)

    asyncio.run(story())


def test_what_is_known_outlives_an_outage_of_five_minutes() -> None:
    """D1 S2: then 503, and never acceptance without knowledge."""
    world = World()

    async def story() -> None:
        await world.verify(KEY.token())
        world.store.down = True
        world.clock.move(299)
        await world.verify(KEY.token())
        world.clock.move(2)
        with pytest.raises(Unavailable):
            await world.verify(KEY.token())
        world.store.down = False
        await world.verify(KEY.token())

    asyncio.run(story())


def test_a_cold_verifier_without_its_store_answers_503() -> None:
    """S1."""
    world = World()
    world.store.down = True
    assert world.outcome(KEY.token()) == "store_unavailable"


def test_so_many_verdicts_are_kept_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may sign in again and again fills no memory; what is gone is checked once more."""
    monkeypatch.setattr(identity, "MAX_VERIFIED_TOKENS", 2)
    world = World()
    first, second, third = (KEY.token(jti=f"jti_{number}") for number in range(3))

    async def checked(token: str) -> bool:
        def count() -> float:
            name = "energent_token_signature_checks"
            return next(reading.value for reading in world.verifier.readings() if reading.name == name)

        before = count()
        await world.verify(token)
        return count() > before

    async def story() -> None:
        assert [await checked(token) for token in (first, second, first, third)] == [True, True, False, True]
        assert [await checked(token) for token in (third, second, first)] == [False, False, True]

    asyncio.run(story())


def test_a_thousand_requests_at_once_read_each_document_once() -> None:
    """S5, T9."""
    world = World()

    async def story() -> None:
        await asyncio.gather(*(world.verify(KEY.token(jti=f"jti_{n}")) for n in range(200)))
        assert sorted(world.store.reads) == [
            "keyring/signing",
            "tenants/tnt_acme",
            "tenants/tnt_acme/revocations",
        ]

    asyncio.run(story())


def test_tenants_never_cross_on_a_warm_verifier() -> None:
    """T9: the same user id and token id in two tenants."""
    world = World()
    world.put_tenant(tenant("tnt_b", status="suspended"))

    async def story() -> None:
        for _ in range(50):
            assert (await world.verify(KEY.token())).tenant_id == TENANT
            with pytest.raises(Forbidden):
                await world.verify(KEY.token(tid="tnt_b"))

    asyncio.run(story())


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer abc"}, "abc"),
        ({"authorization": "BEARER abc"}, "abc"),
        ({"authorization": "Bearer  abc"}, " abc"),
        ({"authorization": "Basic abc"}, None),
        ({"authorization": "Bearerabc"}, None),
        ({}, None),
        ({"x-apigateway-api-userinfo": "abc"}, None),
        ({"x-endpoint-api-userinfo": "abc"}, None),
        ({"authorization": "Bearer gateway", "x-forwarded-authorization": "Bearer caller"}, "caller"),
        ({"authorization": "Bearer gateway", "x-forwarded-authorization": "Basic x"}, None),
        ({"x-forwarded-authorization": "Bearer caller"}, "caller"),
    ],
)
def test_the_token_is_the_callers_own_and_comes_from_a_header_only(
    headers: dict[str, str], token: str | None
) -> None:
    """J33 T15: what the gateway says of the caller is never read."""
    assert bearer_token(headers) == token
    assert authorization({"authorization": "a", "x-forwarded-authorization": "b"}) == "b"


def test_a_missing_scope_is_named() -> None:
    principal = asyncio.run(World().verify(KEY.token(scope="usage:read")))
    require_scope(principal, "usage:read")
    for scope in ("usage", "users:write", "usage:read "):
        with pytest.raises(Forbidden) as refused:
            require_scope(principal, scope)
        assert refused.value.code == "insufficient_scope"
        assert refused.value.headers["WWW-Authenticate"].startswith('Bearer error="insufficient_scope"')
