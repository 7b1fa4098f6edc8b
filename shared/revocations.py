"""What ends access tokens before they expire: records below a tenant, read by everybody who verifies.

A tenant as a whole has `tokens_valid_after` in its own document. A person, a session, a service account or
an API key has a record here, written in the commit that ends it. A record matters as long as a token that
is older can live; after that it expires.
"""

from datetime import datetime

import msgspec

from shared.ids import new_id
from shared.store import Create, Query, Store
from shared.store.bodies import to_body

RECENT = Query("revocations_by_age", "revocations", order="at")
QUERIES = (RECENT,)


class Revocation(msgspec.Struct, frozen=True):
    """Tokens of `subject` (the id of a user, session, service account or API key) issued at `at` or before
    are refused.
    """

    subject: str
    at: datetime


def record(store: Store, tenant_id: str, subject: str, at: datetime) -> Create:
    """The write that ends every access token of `subject` that is not younger than `at`."""
    key = store.tenant(tenant_id).key("revocations", new_id("rev"))
    return Create(key, to_body(Revocation(subject, at)))
