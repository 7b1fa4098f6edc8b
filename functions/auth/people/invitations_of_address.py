"""The invitations of one address in a tenant."""

from functions.auth import records
from functions.auth.domain import people
from functions.auth.domain.people import Invitation
from shared.ids import Clock
from shared.store import Delete, Store
from shared.store.bodies import from_body

_RECENT = 100
_MOST = 1_000
"""As many as one address can get in two years, so there are no more."""


async def require_room(store: Store, tenant_id: str, email: str, clock: Clock) -> None:
    """Raises `TooManyRequests` `too_many_invitations` if the address may not get another mail now.

    Concurrent requests do not see each other. Only the newest invitations are looked at, which are those that
    count.
    """
    scope = store.tenant(tenant_id)
    page = await scope.query(records.INVITATIONS_OF_EMAIL, equal={"email": email}, limit=_RECENT)
    people.require_room([from_body(doc.body, Invitation) for doc in page.docs], clock())


async def gone(store: Store, tenant_id: str, email: str) -> list[Delete]:
    """The writes that delete all of them, for a commit that gives the address to a user or takes it away."""
    scope = store.tenant(tenant_id)
    page = await scope.query(records.INVITATIONS_OF_EMAIL, equal={"email": email}, limit=_MOST)
    return [Delete(doc.key) for doc in page.docs]
