"""`expand[]`: ids in an answer replaced by their objects, and parts that are answered on request only."""

from collections.abc import Iterable
from typing import Any

from local.stripe import invoices, payments
from local.stripe.account import Account
from local.stripe.errors import bad_parameter
from local.stripe.storage import Object

MAX_DEPTH = 4


def expanded(account: Account, answer: Object, paths: Iterable[str]) -> Object:
    """`data.customer` for lists, `payments.data.payment.payment_intent` and so on. Raises `ApiError`."""
    for path in paths:
        names = path.split(".")
        if len(names) > MAX_DEPTH:
            raise bad_parameter(f"You cannot expand more than {MAX_DEPTH} levels of a property.", "expand")
        answer = _expanded(account, answer, names, path)
    return answer


def _expanded(account: Account, value: Any, names: list[str], path: str) -> Any:
    if isinstance(value, list):
        return [_expanded(account, each, names, path) for each in value]
    if not names or value is None:
        return _object(account, value)
    if isinstance(value, str):
        value = _object(account, value)
    name = names[0]
    part = _included(account, value, name) if isinstance(value, dict) else 0
    if not isinstance(part, (str, dict, list)) and (part is not None or name not in value):
        raise bad_parameter(f"This property cannot be expanded ({path}).", "expand")
    return {**value, name: _expanded(account, part, names[1:], path)}


def _included(account: Account, value: Object, name: str) -> Any:
    if value.get("object") == "invoice" and name == "payments":
        return payments.every(account, {"invoice": value["id"]})
    if value.get("object") == "invoice" and name == "confirmation_secret":
        return _confirmation_secret(account, value)
    return value.get(name)


def _confirmation_secret(account: Account, invoice: Object) -> Object | None:
    for payment in payments.of_invoice(account, invoice["id"]):
        intent = account.storage.get(payment["payment"]["payment_intent"]) or {}
        return {"client_secret": intent["client_secret"], "type": "payment_intent"}
    return None


def _object(account: Account, value: Any) -> Any:
    """The object of an id; anything else is as it is."""
    found = account.storage.get(value) if isinstance(value, str) else None
    if found is None:
        return value
    return invoices.shown(account, found) if found["object"] == "invoice" else found
