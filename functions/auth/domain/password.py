"""Passwords: long, of any characters, one normal form when set and verified (NIST SP 800-63B-4 §3.1.1.2)."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, takewhile

from shared.errors import Invalid, invalid

MIN_CHARACTERS = 15
MIN_CHARACTERS_WITH_SECOND_FACTOR = 8
MAX_BYTES = 1024
MIN_PARTS = 5
"""Fewer different parts, names and separators aside, make a password that is tried, however long it is."""
MOST_PARTS = 256
"""So many parts are looked at. Each takes 20 µs of everybody's time, and no other password needs more."""

_SHORTEST_COMMON = 6
_LONGEST_COMMON = 32
_SHORTEST_WORD = 3
_SHORTEST_RUN = 3
_LONGEST_RUN = 26
_SEPARATORS = frozenset(" -_.,")
_WORD = re.compile(r"\w{3,}")
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
)
_RUNS = _ROWS + tuple(row[::-1] for row in _ROWS)

IsCommon = Callable[[str], bool]


def normal(text: str, path: str = "/password") -> str:
    """The form that is hashed: NFKC. Raises `Invalid` for one that no account can have."""
    if len(text) > MAX_BYTES or len(_utf8(text, path)) > MAX_BYTES:
        raise invalid(path, "password_too_long", f"A password has at most {MAX_BYTES} bytes.")
    if not text:
        raise invalid(path, "password_empty", "Give a password.")
    return unicodedata.normalize("NFKC", text)


def new(text: str, path: str, words: Sequence[str], is_common: IsCommon, *, second_factor: bool) -> str:
    """The same for a password that is being set, of which nobody can say what it is made of.

    `words` are what an attacker knows of the account: its tenant, its person, the product. `is_common` is
    asked with case-folded texts. Raises `Invalid`: `password_too_short`, `password_common`,
    `password_from_context` or `password_predictable` besides those of `normal`.
    """
    password = normal(text, path)
    least = MIN_CHARACTERS_WITH_SECOND_FACTOR if second_factor else MIN_CHARACTERS
    if len(password) < least:
        raise invalid(path, "password_too_short", f"A password has at least {least} characters.")
    _require_parts(password.casefold(), path, _words(words), is_common)
    return password


def is_short(accepted: str) -> bool:
    """Whether it was taken only because there is a second factor beside it."""
    return len(accepted) < MIN_CHARACTERS


def _require_parts(folded: str, path: str, words: Sequence[str], is_common: IsCommon) -> None:
    unit = _repeated(folded)
    parts: set[str] = set()
    for part in islice(_parts(unit or folded, words, is_common), MOST_PARTS):
        parts.add(part)
        if unit is None and len(parts - set(words) - _SEPARATORS) >= MIN_PARTS:
            return
    if parts & set(words):
        detail = "This password is made of a name that belongs to the account. Choose another one."
        raise invalid(path, "password_from_context", detail)
    if any(len(part) >= _SHORTEST_COMMON and is_common(part) for part in parts):
        raise _common(path)
    detail = "This password repeats itself or follows the keyboard. Choose another one."
    raise invalid(path, "password_predictable", detail)


def _parts(folded: str, words: Sequence[str], is_common: IsCommon) -> Iterable[str]:
    """From the left, the longest word, run or common password each time; else one character."""
    at = 0
    while at < len(folded):
        lengths = [1, _run(folded, at)]
        lengths += [len(word) for word in words if folded.startswith(word, at)]
        longest = max(lengths)
        for length in range(min(_LONGEST_COMMON, len(folded) - at), max(longest, _SHORTEST_COMMON - 1), -1):
            if is_common(folded[at : at + length]):
                longest = length
                break
        yield folded[at : at + longest]
        at += longest


def _run(folded: str, at: int) -> int:
    """How many characters from there follow the alphabet, the digits or a keyboard; less than 3 are 1."""
    rest = folded[at : at + _LONGEST_RUN]
    rows = [row[row.index(rest[0]) :] for row in _RUNS if rest[0] in row]
    longest = max((_agreed(rest, row) for row in rows), default=1)
    return longest if longest >= _SHORTEST_RUN else 1


def _agreed(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _repeated(text: str) -> str | None:
    """The shortest text that `text` consists of, twice or more; None where it is none."""
    period = (text + text).find(text, 1)
    return text[:period] if period < len(text) else None


def _words(given: Sequence[str]) -> list[str]:
    """Each as a whole, and what it consists of."""
    folded = [unicodedata.normalize("NFKC", word).casefold() for word in given]
    pieces = [piece for word in folded for piece in (word, *_WORD.findall(word))]
    return [piece for piece in dict.fromkeys(pieces) if len(piece) >= _SHORTEST_WORD]


def _common(path: str) -> Invalid:
    detail = "This password is one that attackers try first. Choose another one."
    return invalid(path, "password_common", detail)


def _utf8(text: str, path: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise invalid(path, "password_not_text", "A password is made of whole Unicode characters.") from None
