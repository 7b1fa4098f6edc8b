"""Limits on anonymous requests that fail or are costly, per address and per tenant, checked first."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from functions.auth.domain.known_device import KnownDevice
from functions.auth.guessing.buckets import Buckets, Rate
from functions.auth.guessing.source import Source
from shared.errors import TooManyRequests, Unauthenticated
from shared.ids import Clock, is_id

PER_ADDRESS = Rate(burst=100, seconds=6, keys=10_000)
PER_TENANT = Rate(burst=300, seconds=0.2, keys=10_000)
PER_KNOWN_PERSON = Rate(burst=30, seconds=6, keys=10_000)
ALARMS = Rate(burst=1, seconds=600, keys=10_000)

IPV6_PREFIX_BITS = 56
"""The prefix that a household is commonly given, with as many addresses as anybody wants. An IPv4 address
counts by itself, since its neighbours belong to others.
"""

_Taken = tuple[Buckets, str]

Alarm = Callable[[str, Source], Awaitable[None]]


class Throttle:
    """Only failures count. `alarm` is called, at most every ten minutes, for a tenant where too many fail."""

    def __init__(self, clock: Clock, alarm: Alarm) -> None:
        self._addresses = Buckets(PER_ADDRESS, clock)
        self._tenants = Buckets(PER_TENANT, clock)
        self._people = Buckets(PER_KNOWN_PERSON, clock)
        self._alarms = Buckets(ALARMS, clock)
        self._alarm = alarm

    @asynccontextmanager
    async def trying(self, slug: str, source: Source, seen: KnownDevice | None) -> AsyncIterator[None]:
        """A context for a try. It counts if it fails with `Unauthenticated`, or with `TooManyRequests`
        because it was right too often. Raises `TooManyRequests` `too_many_tries`.

        A try from a known device counts for its owner only, so failures from elsewhere do not lock the owner
        out.
        """
        if seen is not None:
            taken = [(self._people, f"{seen.tenant_id}/{seen.user_id}")]
        else:
            taken = self._anonymous(slug, source)
        await self._take(taken, slug, source)
        try:
            yield
        except (Unauthenticated, TooManyRequests):
            raise
        except BaseException:
            _give_back(taken)
            raise
        _give_back(taken)

    async def spend(self, slug: str, source: Source) -> None:
        """Counts a request that is costly in any case, like one for a mail. Raises what `trying` does."""
        await self._take(self._anonymous(slug, source), slug, source)

    def _anonymous(self, slug: str, source: Source) -> list[_Taken]:
        return [(self._addresses, prefix(source.ip)), (self._tenants, slug if is_id(slug) else "")]

    async def _take(self, taken: list[_Taken], slug: str, source: Source) -> None:
        for place, (buckets, key) in enumerate(taken):
            wait = buckets.take(key)
            if wait:
                _give_back(taken[:place])
                if buckets is self._tenants and not self._alarms.take(key):
                    await self._alarm(slug, source)
                raise _too_many(wait)


def prefix(ip: str) -> str:
    """What an address is counted by: itself for IPv4, its first 56 bits for IPv6."""
    try:
        address: IPv4Address | IPv6Address = ip_address(ip)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(ip_network((int(address), IPV6_PREFIX_BITS), strict=False))
        address = address.ipv4_mapped
    return str(address)


def _give_back(taken: list[_Taken]) -> None:
    for buckets, key in taken:
        buckets.give_back(key)


def _too_many(wait: int) -> TooManyRequests:
    return TooManyRequests(
        "too_many_tries",
        "Too many tries from here, or in this tenant. Wait a little, then try again.",
        headers={"Retry-After": str(wait)},
    )
