"""Key rings: pending (published) → active → retiring (published) → removed, decided by the ring and the time.

Applying a rule twice or late leads to the same ring, so any number of processes may do so.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from shared.errors import Conflict, NotFound

State = Literal["pending", "active", "retiring"]
Algorithm = Literal["ES256", "RS256"]
Step = Literal["create", "publish", "activate", "retire", "remove", "destroy"]

ONE_ROTATION = timedelta(hours=1)
"""A rotation that is asked for within this time of the newest key's creation is the one that made it."""


class Pace(msgspec.Struct, frozen=True):
    """How fast the keys of a ring follow each other.

    `pending` is the time between publication and first use, `retiring` that between last use and removal
    (None: never removed). After `active` a rotation begins by itself.
    """

    pending: timedelta
    retiring: timedelta | None
    active: timedelta


class RingKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key: version `secret_version` of the ring's secret. `public` is its JWK, empty for symmetric keys.

    `activates_at` of a pending key is the earliest time of its first use, None until the key is known to be
    published; later it is the time at which it became active. `removes_at` is when a retiring key is removed;
    None: never.
    """

    kid: str
    state: State
    secret_version: int
    created_at: datetime
    public: dict[str, str] = {}
    activates_at: datetime | None = None
    retired_at: datetime | None = None
    removes_at: datetime | None = None


class RemovedKey(msgspec.Struct, frozen=True):
    """A key that is no longer accepted and whose secret has yet to be destroyed."""

    kid: str
    secret_version: int


class KeyRing(msgspec.Struct, frozen=True):
    """`keyring/{name}`: all of `keys` are accepted, the active one signs or seals. At most one is pending."""

    keys: tuple[RingKey, ...]
    removed: tuple[RemovedKey, ...] = ()

    @property
    def active(self) -> RingKey | None:
        return self._in("active")

    @property
    def pending(self) -> RingKey | None:
        return self._in("pending")

    def _in(self, state: State) -> RingKey | None:
        return next((key for key in self.keys if key.state == state), None)


class Change(msgspec.Struct, frozen=True):
    """What happened to a key between one ring and the next."""

    kid: str
    step: Step


def first(key: RingKey) -> KeyRing:
    """A ring whose first key is active at once: there is no earlier key that others may still rely on."""
    return KeyRing((_activated(key, key.created_at),))


def ages(ring: KeyRing, now: datetime) -> dict[State, float]:
    """For each state, the seconds that its oldest key has been in it."""
    found: dict[State, float] = {}
    for key in ring.keys:
        begun = {"pending": key.created_at, "active": key.activates_at, "retiring": key.retired_at}[key.state]
        seconds = (now - (begun or key.created_at)).total_seconds()
        found[key.state] = max(seconds, found.get(key.state, 0))
    return found


def rotates_at(ring: KeyRing, pace: Pace) -> datetime | None:
    """When a rotation begins by itself; None while one is under way."""
    active = ring.active
    if ring.pending is not None or active is None or active.activates_at is None:
        return None
    return active.activates_at + pace.active


def is_asked_again(ring: KeyRing, asked_at: datetime) -> bool:
    """Whether the rotation asked for at that time has begun already, or is over: messages come twice."""
    newest = max((key.created_at for key in ring.keys), default=None)
    return ring.pending is not None or (newest is not None and asked_at < newest + ONE_ROTATION)


def algorithm(ring: KeyRing) -> Algorithm:
    """The default algorithm of the next key: that of the active one."""
    active = ring.active
    return "RS256" if active is not None and active.public.get("alg") == "RS256" else "ES256"


def check_none_pending(ring: KeyRing) -> None:
    """Raises `Conflict` `rotation_under_way`."""
    if ring.pending is not None:
        detail = f"The key {ring.pending.kid} is pending: wait until it is active, or remove it first."
        raise Conflict("rotation_under_way", detail)


def begin(ring: KeyRing, key: RingKey) -> KeyRing:
    """The ring with one more key, pending. Raises `Conflict` `rotation_under_way`."""
    check_none_pending(ring)
    return msgspec.structs.replace(ring, keys=(*ring.keys, key))


def publish(ring: KeyRing, kids: Collection[str], pace: Pace, now: datetime) -> KeyRing:
    """Records that `kids` are published: the time until their first use begins now."""
    keys = tuple(
        msgspec.structs.replace(key, activates_at=now + pace.pending)
        if key.state == "pending" and key.activates_at is None and key.kid in kids
        else key
        for key in ring.keys
    )
    return msgspec.structs.replace(ring, keys=keys)


def next_active(ring: KeyRing, now: datetime) -> RingKey | None:
    """The pending key, if its time has come."""
    pending = ring.pending
    if pending is None or pending.activates_at is None or now < pending.activates_at:
        return None
    return pending


def activate(ring: KeyRing, pace: Pace, now: datetime) -> KeyRing:
    """Makes the pending key active, if its time has come, and the active one retiring."""
    if next_active(ring, now) is None:
        return ring
    keys = tuple(
        _activated(key, now)
        if key.state == "pending"
        else _retired(key, pace, now)
        if key.state == "active"
        else key
        for key in ring.keys
    )
    return msgspec.structs.replace(ring, keys=keys)


def expire(ring: KeyRing, now: datetime) -> KeyRing:
    """The ring without the keys whose last token has expired."""
    gone = [key for key in ring.keys if key.removes_at is not None and now >= key.removes_at]
    return _without(ring, gone)


def needs_successor(ring: KeyRing, kid: str) -> bool:
    """Whether the ring would have no key to make active if that key were removed."""
    return _known(ring, kid).state == "active" and ring.pending is None


def remove(ring: KeyRing, kid: str, now: datetime, successor: RingKey | None = None) -> KeyRing:
    """Removes a key, which is refused from now on. An active key is replaced at once by the pending key, or
    else by `successor`; verifiers that do not know that key yet refuse its tokens until they do.

    Raises `NotFound` `unknown_key`.
    """
    key = _known(ring, kid)
    left = _without(ring, [key])
    if key.state != "active":
        return left
    heir = left.pending or successor
    if heir is None:
        raise ValueError(f"nothing can follow {kid}")
    others = (other for other in left.keys if other.kid != heir.kid)
    return msgspec.structs.replace(left, keys=(*others, _activated(heir, now)))


def destroyed(ring: KeyRing, kids: Collection[str]) -> KeyRing:
    """Forgets removed keys whose secrets have been destroyed."""
    left = tuple(key for key in ring.removed if key.kid not in kids)
    return msgspec.structs.replace(ring, removed=left)


def changes(before: KeyRing, after: KeyRing) -> list[Change]:
    """What happened to each key between two rings, in the order of the keys."""
    known = {key.kid: key for key in before.keys}
    left = {key.kid for key in after.keys}
    found = [Change(key.kid, step) for key in after.keys for step in _steps(known.get(key.kid), key)]
    found += [Change(key.kid, "remove") for key in before.keys if key.kid not in left]
    kept = {key.kid for key in after.removed}
    return found + [Change(key.kid, "destroy") for key in before.removed if key.kid not in kept]


def _steps(before: RingKey | None, after: RingKey) -> list[Step]:
    steps: list[Step] = ["create"] if before is None else []
    was = before.state if before else "pending"
    if after.state != was:
        steps.append("activate" if after.state == "active" else "retire")
    elif before is not None and before.activates_at is None and after.activates_at is not None:
        steps.append("publish")
    return steps


def _known(ring: KeyRing, kid: str) -> RingKey:
    for key in ring.keys:
        if key.kid == kid:
            return key
    raise NotFound("unknown_key", "There is no such key in this ring. GET /v1/keys lists those there are.")


def _without(ring: KeyRing, gone: Collection[RingKey]) -> KeyRing:
    removed = (RemovedKey(key.kid, key.secret_version) for key in gone)
    keys = tuple(key for key in ring.keys if key not in gone)
    return KeyRing(keys, (*ring.removed, *removed))


def _activated(key: RingKey, now: datetime) -> RingKey:
    return msgspec.structs.replace(key, state="active", activates_at=now)


def _retired(key: RingKey, pace: Pace, now: datetime) -> RingKey:
    removes_at = None if pace.retiring is None else now + pace.retiring
    return msgspec.structs.replace(key, state="retiring", retired_at=now, removes_at=removes_at)
