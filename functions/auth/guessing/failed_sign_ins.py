"""Sign-ins that failed: counted where that slows a guesser down; the time each takes tells nothing."""

import logging
from datetime import datetime
from time import monotonic

import msgspec

from functions.auth import records
from functions.auth.domain import guessing
from functions.auth.domain import login as logins
from functions.auth.domain.people import Login
from functions.auth.guessing.pause import Pausing
from functions.auth.guessing.source import Source
from functions.auth.records import NOBODY, Found
from shared import audit
from shared.audit import Actor
from shared.errors import Unavailable
from shared.ids import Clock
from shared.outbox import Outbox
from shared.store import Store, until_not_stale

_USER_AGENT_CHARACTERS = 200

_log = logging.getLogger(__name__)


class Failure(msgspec.Struct, frozen=True):
    """A failed sign-in that counts: the login as it was read, and the known device it came from, if any."""

    tenant_id: str
    login: Found[Login]
    device: str | None


class FailedSignIns:
    """Each refusal is awaited here, once."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock, pause: Pausing) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._pause = pause

    async def refused(self, began: float, failure: Failure | None, source: Source) -> None:
        """Pauses for a try that began at `began`, a `monotonic()`, and counts `failure` meanwhile.

        A counted failure is an audit record; the one with which delays begin is an event as well. `failure`
        is None if there is no such account or tries do not count at present: then nothing is written.
        """
        await self._pause(began, None if failure is None else self._count(failure, source))

    async def flooded(self, slug: str, source: Source) -> None:
        """Records, with one event, that a tenant's sign-ins are being refused unseen because so many fail.
        Takes the same time for a slug of no tenant.
        """
        await self._pause(monotonic(), self._flooded(slug, source))

    async def _flooded(self, slug: str, source: Source) -> None:
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

    async def _count(self, failure: Failure, source: Source) -> None:
        newest: Found[Login] | None = failure.login

        async def attempt() -> None:
            nonlocal newest
            found, newest = newest, None
            if found is None:
                found = await records.read(self._store, failure.login.key, Login)
            at = self._clock()
            # Of many at once only so many count as may be tried: those after them were too early.
            if found is None or not guessing.may_try(logins.failures(found.value, failure.device), at):
                return
            await self._commit(msgspec.structs.replace(failure, login=found), source, at)

        try:
            await until_not_stale(attempt)
        except Unavailable as outage:
            _log.warning("a failed sign-in is not counted: %s", outage)

    async def _commit(self, failure: Failure, source: Source, at: datetime) -> None:
        tenant_id, login, device = failure.tenant_id, failure.login, failure.device
        after = logins.failed(login.value, device, at)
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
            at=at,
            detail=detail,
            result="refused",
        )
        await self._store.commit(login.replace(after), recorded, *events)


def _actor(tenant_id: str, source: Source) -> Actor:
    return Actor("anonymous", source.ip, tenant_id, source.request_id, source.ip)
