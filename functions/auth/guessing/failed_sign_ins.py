"""Sign-ins that failed: counted where that slows a guesser down; the time each takes tells nothing."""

import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from functions.auth import records
from functions.auth.domain import guessing
from functions.auth.domain import login as logins
from functions.auth.domain.people import Login
from functions.auth.guessing.source import Source
from functions.auth.records import NOBODY, Found
from shared import audit
from shared.audit import Actor
from shared.errors import Unavailable
from shared.ids import Clock
from shared.outbox import Outbox
from shared.store import Store, until_not_stale

PAUSE_SECONDS = 0.2
"""Between the password's hash and the refusal. What is written meanwhile, if anything, takes no time of its
own: so known and unknown accounts take equally long.
"""
_USER_AGENT_CHARACTERS = 200

Sleep = Callable[[float], Awaitable[None]]

_log = logging.getLogger(__name__)


class FailedSignIns:
    """Each refusal is awaited here, once."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock, sleep: Sleep) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._sleep = sleep

    async def uncounted(self) -> None:
        """There is no such account, or no try at it counts now: nothing is written, however often it is."""
        await self._sleep(PAUSE_SECONDS)

    async def counted(self, tenant_id: str, login: Found[Login], device: str | None, source: Source) -> None:
        """One more at `login`, with its audit record; the one with which delays begin is an event, too."""
        ends = monotonic() + PAUSE_SECONDS
        await self._count(tenant_id, login, device, source)
        await self._sleep(max(ends - monotonic(), 0))

    async def flooded(self, slug: str, source: Source) -> None:
        """So much fails in a tenant that sign-ins are turned away unseen: one record, one event."""
        try:
            tenant_id = await records.tenant_of_slug(self._store, slug)
            if tenant_id == NOBODY:
                return
            recorded = audit.record(
                self._store,
                tenant_id,
                actor=_actor(tenant_id, source),
                action="sign_in.throttle",
                target=tenant_id,
                at=self._clock(),
                result="refused",
            )
            told = {"about": "tenant"}
            await self._store.commit(
                recorded, *self._outbox.entries("security.sign_in_failures", tenant_id, told)
            )
        except Unavailable as outage:
            _log.warning("many failed sign-ins in a tenant are not recorded: %s", outage)

    async def _count(self, tenant_id: str, login: Found[Login], device: str | None, source: Source) -> None:
        newest: Found[Login] | None = login

        async def attempt() -> None:
            nonlocal newest
            found, newest = newest, None
            if found is None:
                found = await records.read(self._store, login.key, Login)
            at = self._clock()
            # Of many at once only so many count as may be tried: those after them were too early.
            if found is None or not guessing.may_try(logins.failures(found.value, device), at):
                return
            await self._commit(tenant_id, found, logins.failed(found.value, device, at), device, source)

        try:
            await until_not_stale(attempt)
        except Unavailable as outage:
            # Told, this would tell that there is such an account.
            _log.warning("a failed sign-in is not counted: %s", outage)

    async def _commit(
        self, tenant_id: str, login: Found[Login], after: Login, device: str | None, source: Source
    ) -> None:
        now = logins.failures(after, device)
        user_id = after.user_id
        told = {"about": "user", "user_id": user_id, "failures": now.count}
        events = (
            self._outbox.entries("security.sign_in_failures", tenant_id, told)
            if guessing.begins_to_delay(now)
            else ()
        )
        detail = {
            "failures": str(now.count),
            "known_device": device or "",
            "user_agent": source.user_agent[:_USER_AGENT_CHARACTERS],
        }
        recorded = audit.record(
            self._store,
            tenant_id,
            actor=_actor(tenant_id, source),
            action="sign_in.refuse",
            target=user_id,
            at=self._clock(),
            detail=detail,
            result="refused",
        )
        await self._store.commit(login.replace(after), recorded, *events)


def _actor(tenant_id: str, source: Source) -> Actor:
    return Actor("anonymous", source.ip, tenant_id, source.request_id, source.ip)
