"""What ends access tokens before they expire: records below a tenant, read by everybody who verifies.

A tenant as a whole has `tokens_valid_after` in its own document. A person, a session, a service account, an
API key, a client or all who have a role have a record here, written in the commit that ends it. A record
matters as long as a token that is older can live; after that it expires.
"""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from shared.access_token import MAX_LIFETIME_SECONDS
from shared.ids import new_id
from shared.store import Create, Query, Store
from shared.store.bodies import from_body, stamp, to_body

RECENT = Query("revocations_newest", "revocations", order="at", descending=True)
QUERIES = (RECENT,)

KEPT_FOR = timedelta(seconds=MAX_LIFETIME_SECONDS) + timedelta(minutes=5)
"""The longest life of an access token, and what the clocks of two instances and a slow commit may differ."""
MOST = 5_000
"""So many records of a tenant are known one by one."""
PAGE = 1_000


class Revocation(msgspec.Struct, frozen=True):
    """Tokens of `subject` (the id of a user, service account, API key, client or token, or `of_role`) issued
    at `at` or before are refused; all those of a session, which never comes back.
    """

    subject: str
    at: datetime
    expires_at: datetime


class Ended(msgspec.Struct, frozen=True):
    """What the records of one tenant end, in whole seconds since 1970, as `iat` has them.

    `everybody`: tokens of this second and before are refused, whoever has them; -1: none are. `subjects`: the
    same of one id.
    """

    everybody: int
    subjects: dict[str, int]

    def covers(
        self,
        issued_at: int,
        *,
        subject: str,
        client: str,
        roles: Iterable[str],
        session_id: str | None,
        token_id: str,
    ) -> bool:
        """Whether the token is refused. `iat` is rounded down: of the second of a revocation, every token."""
        ended = self.subjects
        return (
            issued_at <= self.everybody
            or session_id in ended
            or token_id in ended
            or issued_at <= ended.get(subject, -1)
            or issued_at <= ended.get(client, -1)
            or any(issued_at <= ended.get(of_role(role), -1) for role in roles)
        )

    def with_all_until(self, at: datetime | None) -> "Ended":
        """The same, and whatever was issued at `at` or before."""
        if at is None:
            return self
        return Ended(max(self.everybody, math.floor(at.timestamp())), self.subjects)

    @property
    def is_nothing(self) -> bool:
        return self.everybody < 0 and not self.subjects


def of_role(name: str) -> str:
    """What a record names for everybody who has a role of the tenant's own. No id has a colon."""
    return f"role:{name}"


def record(store: Store, tenant_id: str, subject: str, at: datetime) -> Create:
    """The write that ends every access token of `subject` that is not younger than `at`."""
    key = store.tenant(tenant_id).key("revocations", new_id("rev"))
    return Create(key, to_body(Revocation(subject, at, at + KEPT_FOR)))


async def recent(store: Store, tenant_id: str, now: datetime) -> Ended:
    """The records that can still matter. Raises `Unavailable`.

    Beyond `MOST` the older ones are not read one by one: whatever was issued before the oldest that was read
    is refused, so its owner gets a new token sooner than usual, and nothing that was ended goes on.
    """
    scope, since = store.tenant(tenant_id), stamp(now - KEPT_FOR)
    subjects: dict[str, int] = {}
    oldest = -1
    cursor: str | None = None
    for _ in range(MOST // PAGE):
        page = await scope.query(RECENT, since=since, limit=PAGE, cursor=cursor)
        for doc in page.docs:
            found = from_body(doc.body, Revocation)
            oldest = math.floor(found.at.timestamp())
            subjects.setdefault(found.subject, oldest)
        cursor = page.cursor
        if cursor is None:
            return Ended(-1, subjects)
    return Ended(oldest, subjects)
