"""What is in the quarantine, as a test looks at it."""

from shared.quarantine import NEWEST, Quarantined
from shared.store import Store
from shared.store.bodies import from_body


async def shelved(store: Store) -> list[Quarantined]:
    """All of it, newest first. The store knows `quarantine.QUERIES`."""
    page = await store.platform().query(NEWEST, limit=1000)
    return [from_body(doc.body, Quarantined) for doc in page.docs]
