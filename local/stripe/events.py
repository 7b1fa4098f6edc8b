"""Events as the API lists them."""

import fnmatch
from typing import Any

from local.stripe import listing
from local.stripe.account import Account
from local.stripe.errors import bad_parameter
from local.stripe.storage import Object

LISTED_BY = frozenset(
    ["created", "delivery_success", "ending_before", "expand", "limit", "starting_after", "type", "types"]
)
MAX_TYPES = 20


def retrieve(account: Account, event_id: str, params: dict[str, Any]) -> Object:
    return account.in_path("event", event_id, "id")


def every(account: Account, params: dict[str, Any]) -> Object:
    """Newest first; `type` may end in `*`, `delivery_success=false` gives those still to be delivered."""
    if "type" in params and "types" in params:
        raise bad_parameter(
            "You may only specify one of these parameters: type, types.", code="parameters_exclusive"
        )
    types = params.get("types", [params.get("type", "*")])
    if len(types) > MAX_TYPES:
        raise bad_parameter(f"You may specify at most {MAX_TYPES} types.", "types")
    created = listing.in_range(params.get("created"))
    delivered = params.get("delivery_success")
    found = [
        event
        for event in reversed(account.storage.of_kind("event", {}))
        if any(fnmatch.fnmatchcase(event["type"], each) for each in types)
        and created(event["created"])
        and delivered in (None, event["pending_webhooks"] == 0)
    ]
    return listing.page(found, params, "/v1/events")
