"""All invitations that went to one address of a tenant."""

from functions.auth import records
from functions.auth.domain import people
from functions.auth.domain.people import Invitation
from shared.ids import Clock
from shared.store import Delete, Store
from shared.store.bodies import from_body

_PAGE = 100


async def require_room(store: Store, tenant_id: str, email: str, clock: Clock) -> None:
    """For one more mail. Raises `TooManyRequests` `too_many_invitations`.

    What is asked for at the very same time is not counted yet.
    """
    scope = store.tenant(tenant_id)
    page = await scope.query(records.INVITATIONS_OF_EMAIL, equal={"email": email}, limit=_PAGE)
    people.require_room([from_body(doc.body, Invitation) for doc in page.docs], clock())


async def gone(store: Store, tenant_id: str, email: str) -> list[Delete]:
    """What deletes all of them, where the address is somebody's; beyond 100 it is done here."""
    while True:
        query = store.tenant(tenant_id).query(
            records.INVITATIONS_OF_EMAIL, equal={"email": email}, limit=_PAGE
        )
        page = await query
        deletes = [Delete(doc.key) for doc in page.docs]
        if page.cursor is None:
            return deletes
        await store.commit(*deletes)
