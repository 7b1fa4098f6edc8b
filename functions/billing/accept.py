"""Which of two media types a client would rather have (RFC 9110 §12.5.1)."""

import re

MAX_CHARACTERS = 1_000
"""Browsers send 150. To read the 32 kB that a request has room for would take 50 ms."""

_Q = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII)


def prefers_html(accept: str) -> bool:
    """Whether `Accept` rates `text/html` above `application/json`. A tie, nothing said, too much: JSON."""
    if len(accept) > MAX_CHARACTERS:
        return False
    ranges = [_range(part) for part in accept.split(",")]
    return _quality(ranges, "text", "html") > _quality(ranges, "application", "json")


def _range(part: str) -> tuple[str, str, float]:
    """Type, subtype, weight; a weight that is no weight counts as 0."""
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    kind, _, subtype = media.partition("/")
    weights = [text[2:].strip() for text in parameters if text.startswith("q=")]
    if not weights:
        return kind, subtype, 1.0
    return kind, subtype, float(weights[0]) if _Q.fullmatch(weights[0]) else 0.0


def _quality(ranges: list[tuple[str, str, float]], kind: str, subtype: str) -> float:
    """The weight of the most specific range that matches; 0 where none does."""
    for wanted in ((kind, subtype), (kind, "*"), ("*", "*")):
        weights = [weight for *media, weight in ranges if tuple(media) == wanted]
        if weights:
            return max(weights)
    return 0.0
