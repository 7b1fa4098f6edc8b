"""Buckets in the instance: bounded, filled again, and asked before anything is read or hashed."""

import asyncio

import pytest

from functions.auth.domain.known_device import KnownDevice
from functions.auth.guessing.buckets import Buckets, Rate
from functions.auth.guessing.source import Source
from functions.auth.guessing.throttle import PER_ADDRESS, PER_KNOWN_PERSON, PER_TENANT, Throttle, prefix
from shared.errors import Error, TooManyRequests, Unauthenticated, Unavailable
from tests.tokens import NOW, Time
from tests.unit.auth.cheap_sign_in import CheapSignIn
from tests.unit.auth.suite import Suite

pytestmark = pytest.mark.anyio


def test_a_bucket_lets_a_burst_through_then_one_every_so_often() -> None:
    clock = Time()
    buckets = Buckets(Rate(burst=3, seconds=10, keys=10), clock)
    assert [buckets.take("a") for _ in range(5)] == [0, 0, 0, 10, 10]
    clock.move(4)
    assert buckets.take("a") == 6
    clock.move(6)
    assert [buckets.take("a"), buckets.take("a")] == [0, 10]
    assert buckets.take("b") == 0
    clock.move(1_000_000)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 10]


def test_what_is_given_back_can_be_taken_again_and_never_exceeds_the_burst() -> None:
    clock = Time()
    buckets = Buckets(Rate(burst=2, seconds=10, keys=10), clock)
    buckets.give_back("a")
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 10]
    buckets.give_back("a")
    assert [buckets.take("a") for _ in range(2)] == [0, 10]
    clock.move(-3600)
    assert buckets.take("a") == 10


def test_only_so_many_keys_are_remembered_the_one_unused_longest_goes_first() -> None:
    buckets = Buckets(Rate(burst=1, seconds=10, keys=3), Time())
    for key in ("a", "b", "c", "a", "d"):
        buckets.take(key)
    assert len(buckets) == 3
    assert [buckets.take(key) for key in ("a", "c", "d")] == [10, 10, 10]
    assert buckets.take("b") == 0
    for number in range(10_000):
        buckets.take(str(number))
    assert len(buckets) == 3


@pytest.mark.parametrize(
    ("ip", "whose"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/56"),
        ("2001:db8:1:ff:ffff::", "2001:db8:1::/56"),
        ("2001:db8:1:100::", "2001:db8:1:100::/56"),
        ("", ""),
        ("::::", ""),
        ("300.1.1.1", ""),
    ],
)
def test_an_address_of_ipv6_counts_for_its_household(ip: str, whose: str) -> None:
    """L5"""
    assert prefix(ip) == whose


class Trying:
    """Sign-ins that all fail, or do not."""

    def __init__(self) -> None:
        self.clock = Time()
        self.alarms: list[str] = []
        self.throttle = Throttle(self.clock, self.alarm)

    async def alarm(self, slug: str, source: Source) -> None:
        self.alarms.append(slug)

    async def __call__(
        self,
        slug: str = "acme",
        ip: str = "192.0.2.1",
        seen: KnownDevice | None = None,
        ends: Error | None = None,
    ) -> TooManyRequests | None:
        try:
            async with self.throttle.trying(slug, Source(ip), seen):
                if ends is not None:
                    raise ends
        except TooManyRequests as refusal:
            return refusal
        except Error:
            return None
        return None


WRONG = Unauthenticated("invalid_credentials", "No.")


async def test_one_address_trying_many_accounts_is_told_to_wait() -> None:
    """L5: and nobody at another address is."""
    trying = Trying()
    for number in range(PER_ADDRESS.burst):
        assert await trying(f"tenant-{number}", ends=WRONG) is None
    refused = await trying("another", ends=WRONG)
    assert refused is not None
    assert (refused.status, refused.code, refused.headers) == (429, "too_many_tries", {"Retry-After": "6"})
    assert await trying("another", "192.0.2.2") is None
    trying.clock.move(6)
    assert await trying() is None
    assert trying.alarms == []


async def test_many_addresses_trying_one_tenant_are_told_to_wait_and_one_alarm_is_raised() -> None:
    """L5"""
    trying = Trying()
    for number in range(PER_TENANT.burst):
        assert await trying(ip=f"2001:db8:{number:x}::1", ends=WRONG) is None
    refused = [await trying(ip=f"198.51.100.{number}", ends=WRONG) for number in range(5)]
    assert all(refused)
    assert trying.alarms == ["acme"]
    assert await trying("globex") is None
    trying.clock.move(601)
    for number in range(PER_TENANT.burst):
        assert await trying(ip=f"2001:db8:{number:x}::1", ends=WRONG) is None
    assert await trying(ends=WRONG)
    assert trying.alarms == ["acme", "acme"]


async def test_slugs_that_nobody_can_have_share_a_bucket() -> None:
    """However long they are: what is kept of each key is bounded."""
    trying = Trying()
    for number in range(PER_TENANT.burst):
        assert await trying("x" * 60_000 + str(number), f"2001:db8:{number:x}::1", ends=WRONG) is None
    for number in range(20):
        assert await trying("y" * 65 + str(number), ends=WRONG) is not None
    assert len(trying.throttle._alarms) == 1
    assert await trying("x" * 64, ends=WRONG) is None


async def test_what_does_not_fail_costs_nothing() -> None:
    trying = Trying()
    for _ in range(3 * PER_ADDRESS.burst):
        assert await trying() is None
        assert await trying(ends=Unavailable("password_queue_full", "Later.")) is None


async def test_what_costs_in_any_case_is_spent_in_any_case() -> None:
    """L3, L5: mails that somebody asks for, to whomever."""
    trying = Trying()
    for _ in range(PER_ADDRESS.burst):
        await trying.throttle.spend("acme", Source("192.0.2.1"))
    with pytest.raises(TooManyRequests):
        await trying.throttle.spend("globex", Source("192.0.2.1"))
    assert await trying() is not None
    await trying.throttle.spend("acme", Source("192.0.2.2"))


async def test_so_many_at_once_are_let_in_and_no_more() -> None:
    trying = Trying()
    gate = asyncio.Event()
    refused = []

    async def slow() -> None:
        try:
            async with trying.throttle.trying("acme", Source("192.0.2.1"), None):
                await gate.wait()
        except TooManyRequests:
            refused.append(1)

    tasks = [asyncio.create_task(slow()) for _ in range(PER_ADDRESS.burst + 5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(refused) == 5
    gate.set()
    await asyncio.gather(*tasks)
    assert await trying() is None


async def test_a_known_device_is_let_in_whatever_others_do_and_pays_for_itself() -> None:
    """L6"""
    trying = Trying()
    known = KnownDevice("tnt_acme", "usr_1", "dev_1", NOW, "lgn_1")
    for number in range(PER_TENANT.burst + 1):
        await trying(ip=f"192.0.2.{number % 200}", ends=WRONG)
    assert await trying() is not None
    assert await trying(seen=known) is None
    for _ in range(PER_KNOWN_PERSON.burst):
        assert await trying(seen=known, ends=WRONG) is None
    assert await trying(seen=KnownDevice("tnt_acme", "usr_1", "dev_2", NOW, "lgn_1")) is not None
    assert await trying(seen=KnownDevice("tnt_acme", "usr_2", "dev_3", NOW, "lgn_2")) is None


async def test_a_device_of_ones_own_is_a_strangers_where_others_sign_in(suite: Suite) -> None:
    """L5, L6: whoever has a hundred accounts has a hundred devices, and one address."""
    await suite.add_tenant("tnt_evil", "evil")
    accounts = CheapSignIn(suite)
    mine = []
    for number in range(5):
        await accounts.add_user(f"eve{number}@evil.test", "tnt_evil")
        begun = await accounts.right(ip="198.51.100.1", email=f"eve{number}@evil.test", slug="evil")
        mine.append(begun.device_token)
    for number in range(PER_ADDRESS.burst):
        await accounts.wrong(1, mine[number % 5], email=f"somebody{number}@acme.test")
    with pytest.raises(TooManyRequests):
        await accounts.wrong(1, mine[0], email="ada@acme.test")
    await accounts.wrong(1, mine[0], email="eve0@evil.test", slug="evil")
