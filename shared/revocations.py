"""Revocation of access tokens before they expire: records below a tenant, which every verifier reads.

All tokens of a tenant end by `tokens_valid_after` in its own document. Those of a person, a session, a
service account, an API key, a client or a role end by a record here, written in the commit that ends the
access. A record is needed until the last token from before it has expired.
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
"""The longest lifetime of an access token, plus an allowance for clock skew and slow commits."""
MOST = 5_000
"""How many records of a tenant are read; `recent` says what happens if there are more."""
PAGE = 1_000


class Revocation(msgspec.Struct, frozen=True):
    """Ends the tokens of `subject` that were issued at `at` or before, and all tokens if it is a session,
    which never comes back. `subject` is the id of a user, session, service account, API key, client or token,
    or `of_role`.
    """

    subject: str
    at: datetime
    expires_at: datetime


class Ended(msgspec.Struct, frozen=True):
    """What the records of one tenant end. Times are whole seconds since 1970, like `iat`.

    Tokens issued at `everybody` or before are refused (-1: none are), and so are those of a subject issued at
    its time in `subjects` or before.
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
        """Whether a token is refused. `iat` is rounded down, so all tokens of the revocation's second are."""
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
        """The same, and all tokens that were issued at `at` or before."""
        if at is None:
            return self
        return Ended(max(self.everybody, math.floor(at.timestamp())), self.subjects)

    @property
    def is_nothing(self) -> bool:
        return self.everybody < 0 and not self.subjects


def of_role(name: str) -> str:
    """The subject that stands for everybody with a custom role. It is no id, since no id has a colon."""
    return f"role:{name}"


def record(store: Store, tenant_id: str, subject: str, at: datetime) -> Create:
    """The write that ends every access token of `subject` issued at `at` or before."""
    key = store.tenant(tenant_id).key("revocations", new_id("rev"))
    return Create(key, to_body(Revocation(subject, at, at + KEPT_FOR)))


async def recent(store: Store, tenant_id: str, now: datetime) -> Ended:
    """The revocations of a tenant that can still concern an unexpired token. Raises `Unavailable`.

    If there are more than `MOST`, only the newest are read, and every token that is not newer than the oldest
    of these is refused. Its owner has to refresh early; no revoked token is accepted.
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
