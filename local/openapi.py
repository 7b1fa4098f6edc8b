"""What the gateway needs of api-spec.yaml: its operations, backends and token schemes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
DEFAULT_DEADLINE_SECONDS = 15.0
"""API Gateway's own, where a backend names none."""

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_VARIABLE = re.compile(r"\{[^{}/]+\}")


class SpecError(Exception):
    """The spec asks for something that API Gateway, or this stand-in for it, does not do."""


class Operation(msgspec.Struct, frozen=True):
    """One method of one path. `schemes`: any one of them lets a caller in; empty: public."""

    method: str
    path: str
    backend: str
    deadline_seconds: float
    schemes: tuple[str, ...]


class TokenScheme(msgspec.Struct, frozen=True):
    """One security scheme with `x-google-auth`."""

    name: str
    issuer: str
    audiences: tuple[str, ...]
    header: str
    value_prefix: str


def load(path: Path, placeholders: Mapping[str, str]) -> dict[str, Any]:
    """The spec with every `${name}` filled in, as Terraform's `templatefile` does it."""

    def filled(match: re.Match[str]) -> str:
        if match[1] not in placeholders:
            raise SpecError(f"{path}: unknown placeholder ${{{match[1]}}}")
        return placeholders[match[1]]

    try:
        text = _PLACEHOLDER.sub(filled, path.read_text(encoding="utf-8"))
        spec = yaml.load(text, Loader=yaml.CSafeLoader)  # in C: a tenth of the time
    except (OSError, yaml.YAMLError) as failure:
        raise SpecError(f"{path}: {failure}") from failure
    if not isinstance(spec, dict):
        raise SpecError(f"{path}: not an OpenAPI document")
    return spec


def operations(spec: Mapping[str, Any]) -> list[Operation]:
    """Every operation, literal paths before templates, so that the first match is the right one."""
    found = [
        _operation(spec, path, item, method)
        for path, item in spec.get("paths", {}).items()
        for method in METHODS
        if method in item
    ]
    return sorted(found, key=lambda operation: _specificity(operation.path))


def token_schemes(spec: Mapping[str, Any]) -> list[TokenScheme]:
    """Every security scheme that says how its tokens are checked."""
    schemes = spec.get("components", {}).get("securitySchemes", {})
    return [
        _token_scheme(name, scheme["x-google-auth"])
        for name, scheme in schemes.items()
        if "x-google-auth" in scheme
    ]


def path_regex(path: str) -> str | None:
    """The RE2 pattern of a template; None for a path without variables, which is matched exactly.

    A variable is one non-empty segment. As in API Gateway, a trailing slash is let through after a last
    variable and forwarded as it came.
    """
    segments = path.split("/")
    if not any("{" in segment or "}" in segment for segment in segments):
        return None
    pattern = "/".join(_segment_regex(path, segment) for segment in segments)
    return pattern + "/?" if _VARIABLE.fullmatch(segments[-1]) else pattern


def _segment_regex(path: str, segment: str) -> str:
    if _VARIABLE.fullmatch(segment):
        return "[^/]+"
    if "{" in segment or "}" in segment:
        raise SpecError(f"{path}: a variable is a whole segment")
    return re.escape(segment)


def _specificity(path: str) -> list[tuple[bool, str]]:
    return [(segment.startswith("{"), segment) for segment in path.split("/")]


def _operation(spec: Mapping[str, Any], path: str, item: Mapping[str, Any], method: str) -> Operation:
    where = f"{method.upper()} {path}"
    operation = item[method]
    backends = spec.get("x-google-api-management", {}).get("backends", {})
    name = next(
        (level["x-google-backend"] for level in (operation, item, spec) if "x-google-backend" in level), None
    )
    if name is None:
        raise SpecError(f"{where}: no x-google-backend")
    if name not in backends:
        raise SpecError(f"{where}: backend {name!r} is not in x-google-api-management")
    translation = backends[name].get("pathTranslation")
    if translation != "APPEND_PATH_TO_ADDRESS":
        raise SpecError(f"backend {name!r}: pathTranslation {translation!r}, not APPEND_PATH_TO_ADDRESS")
    return Operation(
        method=method.upper(),
        path=path,
        backend=name,
        deadline_seconds=float(backends[name].get("deadline", DEFAULT_DEADLINE_SECONDS)),
        schemes=_schemes(where, operation.get("security", spec.get("security", []))),
    )


def _schemes(where: str, security: list[dict[str, Any]]) -> tuple[str, ...]:
    if any(len(alternative) != 1 for alternative in security):
        raise SpecError(f"{where}: each security alternative names exactly one scheme")
    return tuple(name for alternative in security for name in alternative)


def _token_scheme(name: str, auth: Mapping[str, Any]) -> TokenScheme:
    for needed in ("issuer", "jwksUri", "audiences", "jwtLocations"):
        if not auth.get(needed):
            raise SpecError(f"security scheme {name!r}: x-google-auth has no {needed}")
    locations = auth["jwtLocations"]
    if len(locations) != 1 or "header" not in locations[0]:
        raise SpecError(f"security scheme {name!r}: the token is looked for in exactly one header")
    return TokenScheme(
        name=name,
        issuer=auth["issuer"],
        audiences=tuple(auth["audiences"]),
        header=locations[0]["header"],
        value_prefix=locations[0].get("valuePrefix", ""),
    )
