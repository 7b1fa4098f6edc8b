"""A person's own profile."""

from functions.auth import caller_rules, standing
from functions.auth.domain import people
from functions.auth.domain.people import User
from functions.auth.guessing.buckets import Buckets, Rate
from functions.auth.people import users
from shared import audit
from shared.audit import Actor
from shared.errors import TooManyRequests
from shared.identity import Principal
from shared.ids import Clock
from shared.outbox import Outbox
from shared.store import Store, until_not_stale

_RENAMINGS = Rate(burst=10, seconds=60, keys=10_000)
"""Each change writes the user's document: without a limit, an admin's commit might never succeed."""


class Profile:
    """All methods raise `Forbidden`: `no_session` for machines, which have no profile, and `first_party_only`
    for applications, which use userinfo.
    """

    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._renamings = Buckets(_RENAMINGS, clock)

    async def get(self, principal: Principal) -> User:
        """The caller's user. Raises `NotFound` if it was deleted and the access token is not refused yet."""
        caller_rules.require_person(principal)
        return (await users.known(self._store, principal.tenant_id, principal.subject)).value

    async def rename(self, principal: Principal, actor: Actor, name: str) -> User:
        """Changes the caller's name. Raises `Invalid`, `NotFound`, `TooManyRequests`."""
        caller_rules.require_person(principal)
        wait = self._renamings.take(f"{principal.tenant_id}/{principal.subject}")
        if wait:
            detail = "You have changed your name often just now. Wait a little, then try again."
            raise TooManyRequests("too_many_names", detail, headers={"Retry-After": str(wait)})

        async def attempt() -> User:
            owner = await standing.read(self._store, principal)
            user = await users.known(self._store, principal.tenant_id, principal.subject)
            after = people.renamed(user.value, name)
            if after == user.value:
                return after
            await self._store.commit(
                user.replace(after),
                *self._outbox.entries("user.updated", principal.tenant_id, {"user_id": after.id}),
                audit.record(
                    self._store,
                    principal.tenant_id,
                    actor=actor,
                    action="user.update",
                    target=after.id,
                    at=self._clock(),
                ),
                owner.check(),
            )
            return after

        return await until_not_stale(attempt)
