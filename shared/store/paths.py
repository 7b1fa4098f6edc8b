"""Ids as segments of a document's path, and back."""

import re

_AS_IT_IS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,1499}")
"""What nearly every id is made of."""


def escaped(text: str) -> str:
    """Any text as one path segment that Firestore accepts. Different texts give different segments.

    Raises ValueError unless the segment has 1 to 1500 bytes of UTF-8.
    """
    if _AS_IT_IS.fullmatch(text):
        return text
    segment = text.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")
    if segment in (".", ".."):
        segment = segment.replace(".", "%2E")
    elif segment.startswith("__") and segment.endswith("__"):
        segment = "%5F" + segment[1:]
    if not 1 <= len(segment.encode()) <= 1500:  # a lone surrogate raises UnicodeEncodeError, a ValueError
        raise ValueError("an id has 1 to 1500 bytes")
    return segment


def unescaped(segment: str) -> str:
    for code, plain in (("%2F", "/"), ("%00", "\0"), ("%2E", "."), ("%5F", "_"), ("%25", "%")):
        segment = segment.replace(code, plain)
    return segment


def is_escaped(segment: str) -> bool:
    """Whether `escaped` returns this segment for some text."""
    try:
        return escaped(unescaped(segment)) == segment
    except ValueError:
        return False


def collection_name(name: str) -> str:
    """The name, if it is one that code would give: lower case ASCII, no separators."""
    if not (name.isidentifier() and name.isascii() and name.islower()):
        raise ValueError(f"{name!r} is no collection name")
    return name
