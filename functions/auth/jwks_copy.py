"""The copy of the public keys that the gateway reads: an object in the public bucket."""

import logging

from functions.auth.keys import published
from shared import keyring
from shared.errors import Unavailable
from shared.keyring import KeyRing
from shared.objects import Object, ObjectChanged, ObjectExists, Objects
from shared.store import Store
from shared.store.bodies import from_body

NAME = "jwks.json"
CONTENT_TYPE = "application/json"
CACHE_CONTROL = "public, max-age=300"
"""Without it Cloud Storage lets caches keep a public object for an hour."""

_TRIES = 3

_log = logging.getLogger(__name__)


class JwksCopy:
    """Brought up to date at each start and each sweep, so that a crash or an outage costs a minute, and what
    somebody else writes over it does not stay.
    """

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store = store
        self._objects = objects

    async def refresh(self) -> None:
        """Writes where the copy differs. Raises nothing for an outage: the next sweep comes."""
        try:
            for _ in range(_TRIES):
                if await self._is_done():
                    return
            _log.warning("the copy of the public keys is put off: others write it at the same time")
        except Unavailable as outage:
            _log.warning("the copy of the public keys is put off: %s", outage)

    async def _is_done(self) -> bool:
        # The object first, the ring after: whoever knows a newer ring has then changed the generation.
        found = await self._objects.get(NAME)
        ring = (await self._store.read(keyring.key(self._store)))[0]
        if ring is None:
            return True
        data = published(from_body(ring.body, KeyRing))
        if found is not None and (found.data, found.content_type) == (data, CONTENT_TYPE):
            return True
        try:
            await self._write(found, data)
        except (ObjectExists, ObjectChanged):
            return False
        _log.info("the public keys are copied")
        return True

    async def _write(self, found: Object | None, data: bytes) -> None:
        if found is None:
            await self._objects.create(NAME, data, CONTENT_TYPE, cache_control=CACHE_CONTROL)
        else:
            await self._objects.replace(
                NAME, data, CONTENT_TYPE, found.generation, cache_control=CACHE_CONTROL
            )
