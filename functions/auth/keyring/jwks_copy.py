"""The copy of the JWKS that the gateway reads: an object in the public bucket."""

import logging

from functions.auth import records
from functions.auth.domain.key_ring import KeyRing
from functions.auth.keyring.key_rings import SIGNING_RING
from functions.auth.keyring.keys import published
from shared.errors import Unavailable
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
    """Refreshed at each start, each change of the ring and each sweep: after a crash, an outage or a foreign
    write it is right again within a minute.
    """

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store = store
        self._objects = objects

    async def refresh(self) -> frozenset[str]:
        """Writes the copy if it differs. Returns the `kid`s that are known to be in it: none in an outage,
        which is only logged, since the next sweep tries again.
        """
        try:
            for _ in range(_TRIES):
                kids = await self._copied()
                if kids is not None:
                    return kids
            _log.warning("the copy of the public keys is put off: others write it at the same time")
        except Unavailable as outage:
            _log.warning("the copy of the public keys is put off: %s", outage)
        return frozenset()

    async def _copied(self) -> frozenset[str] | None:
        """None where somebody else wrote it meanwhile."""
        # The object first, the ring after: whoever knows a newer ring has then changed the generation.
        found = await self._objects.get(NAME)
        doc = (await self._store.read(records.ring_key(self._store, SIGNING_RING)))[0]
        if doc is None:
            return frozenset()
        ring = from_body(doc.body, KeyRing)
        data, kids = published(ring), frozenset(key.kid for key in ring.keys)
        if found is not None and (found.data, found.content_type) == (data, CONTENT_TYPE):
            return kids
        try:
            await self._write(found, data)
        except (ObjectExists, ObjectChanged):
            return None
        _log.info("the public keys are copied")
        return kids

    async def _write(self, found: Object | None, data: bytes) -> None:
        if found is None:
            await self._objects.create(NAME, data, CONTENT_TYPE, cache_control=CACHE_CONTROL)
        else:
            await self._objects.replace(
                NAME, data, CONTENT_TYPE, found.generation, cache_control=CACHE_CONTROL
            )
