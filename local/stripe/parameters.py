"""Requests checked against the parameters that the `stripe` package declares, its typed dictionaries."""

import re
import types
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin

import msgspec
from stripe._request_options import RequestOptions
from typing_extensions import get_type_hints, is_typeddict

from local.stripe.errors import ApiError, bad_parameter

MAX_TEXT = 5_000
MAX_INTEGER = 2**63 - 1
METADATA_KEYS = 50
METADATA_KEY_LENGTH = 40
METADATA_VALUE_LENGTH = 500

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,12})?")
_FORMS: dict[type, str] = {dict: "object", list: "array", str: "string"}
_OPTIONS = frozenset(RequestOptions.__annotations__)
_NOT_IMPORTED = {"Mapping": Mapping, "StripeContext": str}
"""Names that the package imports for type checkers only."""


class Declared(msgspec.Struct, frozen=True):
    """What one request may carry: a type for each name, and which names it cannot lack."""

    types: Mapping[str, Any]
    required: frozenset[str]


def declared(form: type) -> Declared:
    """The parameters of a typed dictionary without the client's own options (API key, idempotency key …)."""
    hints = get_type_hints(form, localns=_NOT_IMPORTED)
    required: frozenset[str] = getattr(form, "__required_keys__", frozenset())
    return Declared({name: hint for name, hint in hints.items() if name not in _OPTIONS}, required - _OPTIONS)


def checked(given: Mapping[str, Any], expected: Declared, within: str = "") -> dict[str, Any]:
    """The values in their types. Raises `ApiError` for unknown and missing names and for wrong types."""
    unknown = [_path(within, name) for name in given if name not in expected.types]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        raise bad_parameter(
            f"Received unknown parameter{plural}: {', '.join(unknown)}", unknown[0], "parameter_unknown"
        )
    for name in sorted(expected.required - given.keys()):
        param = _path(within, name)
        raise missing(param)
    return {name: _value(value, expected.types[name], _path(within, name)) for name, value in given.items()}


def missing(param: str) -> ApiError:
    """For what the endpoint needs although no type says so."""
    return bad_parameter(f"Missing required param: {param}.", param, "parameter_missing")


def _path(within: str, name: str) -> str:
    return f"{within}[{name}]" if within else name


def _value(given: Any, hint: Any, param: str) -> Any:
    """One value in its declared type; an empty text unsets where the type has `Literal['']`."""
    choices = _choices(hint)
    literals = [text for choice in choices if get_origin(choice) is Literal for text in get_args(choice)]
    if given == "":
        if "" in literals:
            return ""
        raise bad_parameter(
            f"You passed an empty string for '{param}'. We assume empty values are an attempt to unset a"
            f" parameter; however '{param}' cannot be unset. You should remove '{param}' from your request"
            " or supply a non-empty value.",
            param,
            "parameter_invalid_empty",
        )
    named = [text for text in literals if text]
    if named and bool not in choices:
        if given not in named:
            raise bad_parameter(f"Invalid {param}: must be one of {_one_of(named)}", param)
        return given
    return _of_one_type(given, _fitting(given, choices, param), param)


def _choices(hint: Any) -> list[Any]:
    """The members of a union, or the type itself."""
    origin = get_origin(hint)
    if origin in (NotRequired, Required):
        return _choices(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return [choice for member in get_args(hint) for choice in _choices(member)]
    return [hint]


def _fitting(given: Any, choices: list[Any], param: str) -> Any:
    """The member of a union that has the form of what is given: an object, an array or a text."""
    possible = [choice for choice in choices if get_origin(choice) is not Literal]
    for choice in possible:
        if _form(choice) is type(given) or (_form(choice) is list and _is_list(given)):
            return choice
    expected = _FORMS[_form(possible[0])]
    raise bad_parameter(f"Invalid {expected}", param)


def _form(choice: Any) -> type:
    origin = get_origin(choice)
    if origin is list:
        return list
    if origin is not None or is_typeddict(choice):
        return dict
    return str


def _is_list(given: Any) -> bool:
    """Whether the names count up from 0, as those of a list's members do."""
    return isinstance(given, dict) and list(given) == [str(number) for number in range(len(given))]


def _of_one_type(given: Any, choice: Any, param: str) -> Any:
    if _form(choice) is list:
        return [_value(each, get_args(choice)[0], f"{param}[{number}]") for number, each in given.items()]
    if isinstance(given, dict):
        return checked(given, declared(choice), param) if is_typeddict(choice) else _mapping(given, param)
    return _scalar(given, choice, param)


def _mapping(given: dict[str, Any], param: str) -> dict[str, str]:
    """Metadata; a value that is empty unsets its key."""
    if len(given) > METADATA_KEYS:
        raise bad_parameter(f"You can only specify up to {METADATA_KEYS} keys in {param}", param)
    for key, value in given.items():
        path = _path(param, key)
        if not isinstance(value, str):
            raise bad_parameter(f"Invalid string: {path}", path)
        if len(key) > METADATA_KEY_LENGTH:
            raise bad_parameter(f"Metadata keys have at most {METADATA_KEY_LENGTH} characters: {key}", path)
        if len(value) > METADATA_VALUE_LENGTH:
            raise bad_parameter(f"Metadata values have at most {METADATA_VALUE_LENGTH} characters", path)
    return given


def _scalar(given: str, choice: Any, param: str) -> Any:
    if choice is bool:
        if given not in ("true", "false"):
            raise bad_parameter(f"Invalid boolean: {given}", param)
        return given == "true"
    if choice is int:
        if not _INTEGER.fullmatch(given) or abs(int(given)) > MAX_INTEGER:
            raise bad_parameter(f"Invalid integer: {given}", param, "parameter_invalid_integer")
        return int(given)
    if choice is Decimal:
        if not _DECIMAL.fullmatch(given):
            raise bad_parameter(f"Invalid decimal: {given}; at most 12 decimal places", param)
        return Decimal(given)
    if len(given) > MAX_TEXT:
        raise bad_parameter(f"Invalid string: {param} has at most {MAX_TEXT} characters", param)
    return given


def _one_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])}, or {names[-1]}"
