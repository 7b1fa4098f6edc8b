"""Concurrent refreshes of one session: one goes ahead, those that come meanwhile share a read after it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

import msgspec

from functions.auth import records
from functions.auth.domain.people import User
from functions.auth.domain.refresh_token import RefreshToken
from functions.auth.domain.session import Session
from functions.auth.records import Found
from shared import tenant
from shared.errors import Unavailable
from shared.ids import Clock
from shared.store import Store
from shared.tenant import Tenant

T = TypeVar("T")

_Names = tuple[str, str, str]


class Seen(msgspec.Struct, frozen=True):
    """The documents that a refresh depends on, read at `at` or later. `tenant` is read only on request."""

    at: datetime
    session: Found[Session] | None
    user: Found[User] | None
    tenant: Found[Tenant] | None


class SessionTurns:
    """Orders the refreshes of one process. It saves work only: between processes, commits decide which of two
    concurrent refreshes wins, and would do so here. But a lost commit costs as much as a successful one, and
    most latecomers get the same successor anyway.

    No caller gets a state that was read before its call, so a session that has ended by then is refused.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._under_way: dict[_Names, asyncio.Future[None]] = {}
        self._next: dict[_Names, asyncio.Task[Seen]] = {}

    async def take(
        self, token: RefreshToken, work: Callable[[Seen], Awaitable[T]], *, with_tenant: bool
    ) -> T:
        """Reads the session and runs `work` on it: at once if no other refresh of it is under way, otherwise
        after that one. Those that wait share one read, which includes the tenant.

        Raises what `work` raises, and `Unavailable`, also if the refresh that it waited for met an outage.
        """
        names = (token.tenant_id, token.session_id, token.user_id)
        before = self._under_way.get(names)
        if before is None:
            with self._turn(names):
                return await work(await self._look(names, with_tenant=with_tenant))
        following = self._next.get(names)
        if following is None:
            following = self._next[names] = asyncio.create_task(self._follow(names, before))
            following.add_done_callback(_looked_at)
        # Shielded: a caller who gives up must not cancel the read for the others.
        return await work(await asyncio.shield(following))

    async def _follow(self, names: _Names, before: "asyncio.Future[None]") -> Seen:
        try:
            await before
        finally:
            del self._next[names]  # later callers need a newer read
        with self._turn(names):
            return await self._look(names, with_tenant=True)

    @contextmanager
    def _turn(self, names: _Names) -> Iterator[None]:
        """Marks a refresh as under way. A later one may replace the mark: each removes only its own."""
        done = self._under_way[names] = asyncio.get_running_loop().create_future()
        try:
            yield
        except Unavailable as outage:
            done.set_exception(outage)
            _looked_at(done)
            raise
        finally:
            if self._under_way.get(names) is done:
                del self._under_way[names]
            if not done.done():
                done.set_result(None)

    async def _look(self, names: _Names, *, with_tenant: bool) -> Seen:
        tenant_id, session_id, user_id = names
        at = self._clock()
        session, user, *owner = await self._store.read(
            records.session_key(self._store, tenant_id, session_id),
            records.user_key(self._store, tenant_id, user_id),
            *([tenant.key(self._store, tenant_id)] if with_tenant else []),
        )
        return Seen(
            at,
            records.found(session, Session),
            records.found(user, User),
            records.found(owner[0], Tenant) if owner else None,
        )


def _looked_at(done: "asyncio.Future[T]") -> None:
    """Marks the exception as retrieved, in case nobody waits for it."""
    if not done.cancelled():
        done.exception()
