"""Key rotation: by schedule, by Secret Manager's notification, or as operators ask."""

import logging
from collections.abc import Collection
from datetime import datetime

import msgspec

from functions.auth import records
from functions.auth.domain import key_ring
from functions.auth.domain.key_ring import Algorithm, KeyRing, RingKey
from functions.auth.domain.roles import PLATFORM_TENANT
from functions.auth.keyring import key_rings
from functions.auth.keyring.jwks_copy import JwksCopy
from functions.auth.keyring.key_rings import PACES, SECRETS, SIGNING_RING
from functions.auth.keyring.keys import KeyRoom
from functions.auth.records import Found
from shared import audit
from shared.audit import Actor
from shared.errors import Conflict, NotFound, Unavailable, invalid
from shared.http.idempotency import EACH_TIME, Once
from shared.ids import Clock
from shared.outbox import Outbox
from shared.secrets import Secrets, SecretUnusable
from shared.store import AlreadyExists, Stale, Store, Write, until_not_stale

SCHEDULE = Actor("system", "keys.schedule", PLATFORM_TENANT)

_log = logging.getLogger(__name__)


class NamedRing(msgspec.Struct, frozen=True):
    name: str
    ring: KeyRing


class KeyRotation:
    """Every change is one commit of the ring, its audit records (of the platform's tenant) and its events."""

    def __init__(
        self, store: Store, outbox: Outbox, secrets: Secrets, keys: KeyRoom, copy: JwksCopy, clock: Clock
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._secrets = secrets
        self._keys = keys
        self._copy = copy
        self._clock = clock

    async def rings(self) -> list[NamedRing]:
        """All of them; none holds a secret."""
        return [NamedRing(name, (await self._found(name)).value) for name in SECRETS]

    async def begin(
        self, name: str, actor: Actor, algorithm: Algorithm | None = None, once: Once[RingKey] = EACH_TIME
    ) -> RingKey:
        """Makes a new pending key, by default for the algorithm of the active one.

        Raises `NotFound` `unknown_ring`, `Conflict` `rotation_under_way`, `Invalid` for an algorithm where
        nothing is signed, `SecretUnusable`, `Unavailable`.
        """
        _check(name)
        if algorithm is not None and name != SIGNING_RING:
            raise invalid(
                "/algorithm", "not_a_choice", "Leave it out: only signing keys have a choice of algorithms."
            )
        made = await once.run(lambda: self._begun(name, actor, algorithm, once))
        if name == SIGNING_RING:
            await self._copy.refresh()
        return made

    async def asked_for(self, name: str, asked_at: datetime | None, actor: Actor) -> None:
        """Begins a rotation that was asked for at `asked_at` (None: now), once, however often it is said."""
        if key_ring.is_asked_again((await self._found(name)).value, asked_at or self._clock()):
            return
        try:
            await self.begin(name, actor)
        except Conflict:
            _log.info("a rotation of %s was asked for twice at once", name)

    async def remove(self, name: str, kid: str, actor: Actor) -> KeyRing:
        """Removes a key: nothing that it signed or sealed is accepted any more. A second call does nothing
        until the secret is destroyed, and then raises `NotFound`.

        Raises `NotFound` `unknown_ring`, `unknown_key`; `SecretUnusable`; `Unavailable`.
        """
        _check(name)
        ring = await until_not_stale(lambda: self._removed(name, kid, actor))
        if name == SIGNING_RING:
            await self._copy.refresh()
        return ring

    async def sweep(self) -> None:
        """Does what is due in every ring. A ring that fails is logged and left to the next sweep."""
        copied = await self._copy.refresh()
        for name in SECRETS:
            try:
                await self._swept(name, copied)
            except (SecretUnusable, Unavailable) as failure:
                _log.warning("the keys of %s wait for the next sweep: %s", name, failure)

    async def _swept(self, name: str, copied: Collection[str]) -> None:
        before = (await self._found(name)).value
        after = await until_not_stale(lambda: self._advanced(name, copied))
        await until_not_stale(lambda: self._destroyed(name))
        due_at = key_ring.rotates_at(after, PACES[name])
        if due_at is not None and self._clock() >= due_at:
            await self.asked_for(name, None, SCHEDULE)
        elif name == SIGNING_RING and after.keys != before.keys:
            await self._copy.refresh()

    async def _advanced(self, name: str, copied: Collection[str]) -> KeyRing:
        found, pace, now = await self._found(name), PACES[name], self._clock()
        ring = found.value
        known = copied if name == SIGNING_RING else [key.kid for key in ring.keys]
        after = key_ring.publish(ring, known, pace, now)
        if await self._may_activate(name, key_ring.next_active(after, now)):
            after = key_ring.activate(after, pace, now)
        after = key_ring.expire(after, now)
        if after != ring:
            await self._commit(name, found, after, SCHEDULE)
        return after

    async def _may_activate(self, name: str, key: RingKey | None) -> bool:
        """Whether the key can be fetched: an active key that cannot be would stop everybody."""
        if key is None:
            return False
        try:
            await self._keys.try_out(name, key)
        except SecretUnusable as failure:
            _log.error("the key %s is not taken up, remove it: %s", key.kid, failure)
            return False
        return True

    async def _destroyed(self, name: str) -> None:
        """Destroys the secrets of removed keys."""
        found = await self._found(name)
        gone = []
        for key in found.value.removed:
            try:
                await self._secrets.set_state(SECRETS[name], key.secret_version, "destroyed")
                gone.append(key.kid)
            except SecretUnusable as failure:
                _log.error("the secret of the removed key %s is not destroyed: %s", key.kid, failure)
        if gone:
            await self._commit(name, found, key_ring.destroyed(found.value, gone), SCHEDULE)

    async def _begun(
        self, name: str, actor: Actor, algorithm: Algorithm | None, once: Once[RingKey]
    ) -> RingKey:
        found = await self._found(name)
        key_ring.check_none_pending(found.value)
        key = await self._made(name, found.value, algorithm)
        await self._commit_new(name, found, key_ring.begin(found.value, key), actor, key, *once.writes(key))
        return key

    async def _removed(self, name: str, kid: str, actor: Actor) -> KeyRing:
        found, now = await self._found(name), self._clock()
        ring = found.value
        if any(key.kid == kid for key in ring.removed):
            return ring
        if not key_ring.needs_successor(ring, kid):
            after = key_ring.remove(ring, kid, now)
            await self._commit(name, found, after, actor)
            return after
        successor = await self._made(name, ring, None)
        after = key_ring.remove(ring, kid, now, successor)
        await self._commit_new(name, found, after, actor, successor)
        return after

    async def _made(self, name: str, ring: KeyRing, algorithm: Algorithm | None) -> RingKey:
        made = await key_rings.material(name, algorithm or key_ring.algorithm(ring))
        return await key_rings.stored(self._secrets, name, made, self._clock)

    async def _commit_new(
        self, name: str, found: Found[KeyRing], after: KeyRing, actor: Actor, key: RingKey, *more: Write
    ) -> None:
        """Commits a ring with a new key. If another process was faster, the new key's secret is destroyed."""
        try:
            await self._commit(name, found, after, actor, *more)
        except (Stale, AlreadyExists):
            await self._secrets.set_state(SECRETS[name], key.secret_version, "destroyed")
            raise

    async def _commit(
        self, name: str, found: Found[KeyRing], after: KeyRing, actor: Actor, *more: Write
    ) -> None:
        writes: list[Write] = [found.replace(after), *more]
        for change in key_ring.changes(found.value, after):
            data = {"ring": name, "kid": change.kid, "step": change.step}
            writes += self._outbox.entries("security.key_rotated", PLATFORM_TENANT, data)
            writes.append(
                audit.record(
                    self._store,
                    PLATFORM_TENANT,
                    actor=actor,
                    action=f"key.{change.step}",
                    target=change.kid,
                    at=self._clock(),
                    detail={"ring": name},
                )
            )
        await self._store.commit(*writes)

    async def _found(self, name: str) -> Found[KeyRing]:
        """The ring, which `KeyRoom` has made before anything is served."""
        doc = (await self._store.read(records.ring_key(self._store, name)))[0]
        found = records.found(doc, KeyRing)
        if found is None:
            raise Unavailable("no_key_ring", "The key ring is gone.")
        return found


def _check(name: str) -> None:
    if name not in SECRETS:
        raise NotFound("unknown_ring", f"There is no such ring. The rings are {', '.join(SECRETS)}.")
