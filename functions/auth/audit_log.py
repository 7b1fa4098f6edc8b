"""The audit log of a tenant as its people read it: newest first, by one filter at a time."""

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

from functions.auth import records
from shared.audit import AuditRecord
from shared.errors import Invalid, invalid
from shared.http import pagination
from shared.http.pagination import Listing, Paging
from shared.store import Store
from shared.store.bodies import from_body, stamp

Compared = Annotated[str, Meta(min_length=1, max_length=256)]
Time = Annotated[datetime, Meta(tz=True)]


class Selection(Paging, frozen=True, forbid_unknown_fields=True):
    """One part of the records that match all that is given. `actor` is the id of who acted; `since` is
    included, `until` is not.
    """

    actor: Compared | None = None
    action: Compared | None = None
    target: Compared | None = None
    since: Time | None = None
    until: Time | None = None


class AuditLog:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, tenant_id: str, selection: Selection) -> Listing[AuditRecord]:
        """Newest first. Raises `Invalid` for two filters (`too_many_filters`) and for a time outside of the
        years that UTC has; `BadRequest` `invalid_cursor` for a cursor of another tenant or another filter.
        """
        field, value = _filter(selection)
        since, until = _bound("since", selection.since), _bound("until", selection.until)
        with pagination.checked(selection.cursor):
            page = await self._store.tenant(tenant_id).query(
                records.AUDIT_OF[field] if field else records.AUDIT,
                equal={field: value} if field else {},
                since=since,
                until=until,
                limit=selection.limit,
                cursor=selection.cursor,
            )
        return Listing([from_body(doc.body, AuditRecord) for doc in page.docs], page.cursor)


def _filter(selection: Selection) -> tuple[str, str]:
    """The one field that is compared, and with what; empty for none."""
    wanted = {"actor_id": selection.actor, "action": selection.action, "target": selection.target}
    given = [(field, value) for field, value in wanted.items() if value is not None]
    if len(given) > 1:
        detail = "Give one of actor, action and target, with since and until where you like."
        raise Invalid("too_many_filters", detail)
    return given[0] if given else ("", "")


def _bound(name: str, at: datetime | None) -> str | None:
    if at is None:
        return None
    try:
        return stamp(at.astimezone(UTC))
    except OverflowError:
        raise invalid(f"?{name}", "invalid_value", "Give a time that UTC has, too.") from None
