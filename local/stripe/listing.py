"""Lists in pages: `limit`, `starting_after`, `ending_before`, newest first, with `has_more`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from local.stripe.errors import bad_parameter, no_such
from local.stripe.storage import Object

DEFAULT_LIMIT = 10
MAX_LIMIT = 100


def page(items: Iterable[Object], params: Mapping[str, Any], url: str) -> Object:
    """`items` are in the list's order. Raises `ApiError` for a cursor not among them and a wrong limit."""
    found = list(items)
    limit = params.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise bad_parameter(
            f"Invalid limit: must be between 1 and {MAX_LIMIT}", "limit", "parameter_invalid_integer"
        )
    if "starting_after" in params and "ending_before" in params:
        raise bad_parameter(
            "You cannot use both starting_after and ending_before", code="parameters_exclusive"
        )
    if "ending_before" in params:
        earlier = found[: _position(found, params["ending_before"], "ending_before")]
        return _list(earlier[-limit:], url, has_more=len(earlier) > limit)
    if "starting_after" in params:
        found = found[_position(found, params["starting_after"], "starting_after") + 1 :]
    return _list(found[:limit], url, has_more=len(found) > limit)


def in_range(bounds: int | Mapping[str, int] | None) -> Callable[[int], bool]:
    """The test that a filter like `created[gte]` makes."""
    if bounds is None:
        return lambda value: True
    if isinstance(bounds, int):
        return lambda value: value == bounds
    low = max(bounds.get("gt", -1) + 1, bounds.get("gte", 0))
    high = min(bounds.get("lt", 2**63) - 1, bounds.get("lte", 2**63))
    return lambda value: low <= value <= high


def _position(items: list[Object], cursor: str, param: str) -> int:
    for number, item in enumerate(items):
        if item["id"] == cursor:
            return number
    raise no_such("object in this list", cursor, param)


def _list(items: list[Object], url: str, *, has_more: bool) -> Object:
    return {"object": "list", "data": items, "has_more": has_more, "url": url}
