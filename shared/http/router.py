"""Finds the route of a request target: exact, case-sensitive, without any normalisation."""

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

import msgspec

from shared.http import Route

_PARAMETER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_ESCAPES = re.compile(rb"(?:[^%]|%[0-9A-Fa-f]{2})*")

Segments = tuple[str | None, ...]
"""A template split at `/`; None stands for a parameter."""


class Operations(msgspec.Struct, frozen=True):
    """What one path template offers. `names` are its parameters in order."""

    path: str
    names: tuple[str, ...]
    segments: Segments
    by_method: dict[str, Route]

    @property
    def allow(self) -> str:
        """The value of `Allow` (RFC 9110 §10.2.1)."""
        methods = set(self.by_method) | ({"HEAD"} if "GET" in self.by_method else set())
        return ", ".join(sorted(methods))


Found = tuple[Operations, dict[str, str]]
"""The operations of a path and its decoded parameters."""


class Router:
    """`/v1/x` takes precedence over `/v1/{id}`. A trailing slash, `//`, a dot segment or another escaping
    makes it another path.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._exact: dict[bytes, Operations] = {}
        self._by_length: dict[int, list[Operations]] = {}
        for route in routes:
            self._add(route)

    def find(self, raw_path: bytes) -> Found | None:
        """`raw_path` is still percent-encoded, without the query."""
        exact = self._exact.get(raw_path)
        if exact is not None:
            return exact, {}
        segments = raw_path.split(b"/")
        for operations in self._by_length.get(len(segments), ()):
            params = _matched(operations.segments, segments)
            if params is not None:
                return operations, dict(zip(operations.names, params, strict=True))
        return None

    def _add(self, route: Route) -> None:
        segments, names = _parsed(route.path)
        operations = self._operations(route.path, segments, names)
        if operations.names != names:
            raise ValueError(f"{route.path}: another template names its parameters {operations.names}")
        if operations.by_method.setdefault(route.method, route) is not route:
            raise ValueError(f"{route.method} {route.path} is declared twice")

    def _operations(self, path: str, segments: Segments, names: tuple[str, ...]) -> Operations:
        if not names:
            return self._exact.setdefault(path.encode(), Operations(path, names, segments, {}))
        same_length = self._by_length.setdefault(len(segments), [])
        for operations in same_length:
            if operations.segments == segments:
                return operations
        made = Operations(path, names, segments, {})
        same_length.append(made)
        same_length.sort(key=lambda operations: [segment is None for segment in operations.segments])
        return made


def _parsed(path: str) -> tuple[Segments, tuple[str, ...]]:
    segments: list[str | None] = []
    names: list[str] = []
    for segment in path.split("/"):
        parameter = _PARAMETER.fullmatch(segment)
        if parameter:
            names.append(parameter[1])
        elif "{" in segment or "}" in segment:
            raise ValueError(f"{path}: a parameter is a whole segment")
        segments.append(None if parameter else segment)
    if segments[0] != "" or ("" in segments[1:] and path != "/") or len(set(names)) != len(names):
        raise ValueError(f"{path} is no path template")
    return tuple(segments), tuple(names)


def _matched(template: Segments, segments: Sequence[bytes]) -> list[str] | None:
    params = []
    for expected, segment in zip(template, segments, strict=True):
        if expected is not None:
            if segment != expected.encode():
                return None
            continue
        value = _decoded(segment)
        if value is None:
            return None
        params.append(value)
    return params


def _decoded(segment: bytes) -> str | None:
    """A decoded path parameter; None for a text that other software could take for another path."""
    if b"%" in segment:
        if not _ESCAPES.fullmatch(segment):
            return None
        segment = unquote_to_bytes(segment)
    try:
        value = segment.decode()
    except UnicodeDecodeError:
        return None
    if value in ("", ".", "..") or "/" in value or "\\" in value or not value.isprintable():
        return None
    return value
