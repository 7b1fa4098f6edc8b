"""Forms as Stripe's clients send them: nested values are spelled `period[start]=1`, `expand[0]=a`."""

import re
from typing import Any
from urllib.parse import parse_qsl

from local.stripe.errors import ApiError, bad_parameter

MAX_FIELDS = 1_000
MAX_DEPTH = 8

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")


def pairs(text: bytes) -> list[tuple[str, str]]:
    """Names with their values as sent, in order. Raises `ApiError` for what is no form in UTF-8."""
    try:
        return parse_qsl(
            text.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except (UnicodeDecodeError, ValueError) as failure:
        raise not_a_form() from failure


def nested(fields: list[tuple[str, str]]) -> dict[str, Any]:
    """The values as mappings and texts, a list by its numbers. Raises `ApiError` for contradictions."""
    tree: dict[str, Any] = {}
    for name, value in fields:
        _put(tree, name, value)
    return tree


def not_a_form() -> ApiError:
    return bad_parameter(
        "Invalid request (check that your POST content type is application/x-www-form-urlencoded)."
        " If you have any questions, we can help at https://support.stripe.com/."
    )


def _put(tree: dict[str, Any], name: str, value: str) -> None:
    found = _NAME.fullmatch(name)
    parts = [] if found is None else [found[1], *_PART.findall(found[2])]
    if not parts or len(parts) > MAX_DEPTH:
        raise bad_parameter(f"Invalid parameter name: {name[:100]}", name[:100])
    for part in parts[:-1]:
        tree = tree.setdefault(part or str(len(tree)), {})
        if not isinstance(tree, dict):
            raise bad_parameter(f"Invalid object: {name}", parts[0])
    last = parts[-1] or str(len(tree))
    if last in tree:
        raise bad_parameter(f"{name} is given twice", parts[0])
    tree[last] = value
