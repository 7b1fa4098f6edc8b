"""All invitations that went to one address of a tenant."""

from functions.auth import records
from functions.auth.domain import people
from functions.auth.domain.people import Invitation
from shared.ids import Clock
from shared.store import Delete, Store
from shared.store.bodies import from_body

_RECENT = 100
_MOST = 1_000
"""As many mails as one address gets in two years at the utmost, so there are no more than that."""


async def require_room(store: Store, tenant_id: str, email: str, clock: Clock) -> None:
    """For one more mail. Raises `TooManyRequests` `too_many_invitations`.

    What is asked for at the very same time is not counted yet. Those that count are among the newest.
    """
    scope = store.tenant(tenant_id)
    page = await scope.query(records.INVITATIONS_OF_EMAIL, equal={"email": email}, limit=_RECENT)
    people.require_room([from_body(doc.body, Invitation) for doc in page.docs], clock())


async def gone(store: Store, tenant_id: str, email: str) -> list[Delete]:
    """What deletes all of them, in the commit with which the address becomes somebody's or nobody's."""
    scope = store.tenant(tenant_id)
    page = await scope.query(records.INVITATIONS_OF_EMAIL, equal={"email": email}, limit=_MOST)
    return [Delete(doc.key) for doc in page.docs]
