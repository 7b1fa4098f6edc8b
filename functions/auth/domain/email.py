"""E-mail addresses: one canonical form, at every door the same."""

import re
import unicodedata

from shared.errors import invalid

MAX_BYTES = 254
_LOCAL_MAX_BYTES = 64
_LABEL_MAX_CHARACTERS = 63
"""An A-label has no more, and is no shorter than what it stands for."""
_LOCAL = re.compile(r"[^\s\"(),:;<>@\[\\\]]+")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_DROPPED_LATER = frozenset("\u115f\u1160\u17b4\u17b5")
"""Fillers and inherent vowels that nobody sees; UTS 46 drops them."""


def canonical(text: str, path: str = "/email") -> str:
    """One spelling for each address: NFKC, the local part case-folded, the domain lower case in A-labels.

    A-labels are made by IDNA2003 (RFC 3490), and only where IDNA2008 (RFC 5891) can mean no other domain:
    `faß.de` is refused, because it is not `fass.de`; `xn--fa-hia.de` says it plainly. Dots and tags stay.
    Raises `Invalid` about `path`, within a few milliseconds: anybody may ask.
    """
    normal = unicodedata.normalize("NFKC", text) if len(text) <= MAX_BYTES else text
    if len(normal) > MAX_BYTES:
        raise _refused(path)
    local, at, domain = normal.strip().rpartition("@")
    local = unicodedata.normalize("NFKC", local.casefold())
    if not at or not _is_local(local):
        raise _refused(path)
    address = f"{local}@{_ascii_domain(domain, path)}"
    if len(address.encode()) > MAX_BYTES:
        raise _refused(path)
    return address


def _is_local(local: str) -> bool:
    """Printable: no control, no invisible character, no lone surrogate. Dots only between others.

    `=?` begins an encoded word (RFC 2047), which mail programs decode into anything, line ends too.
    """
    return (
        local.isprintable()
        and _LOCAL.fullmatch(local) is not None
        and "=?" not in local
        and all(local.split("."))
        and len(local.encode()) <= _LOCAL_MAX_BYTES
    )


def _ascii_domain(domain: str, path: str) -> str:
    labels: list[str] = []
    try:
        for label in domain.split("."):
            labels.append(_ascii_label(label))
            if sum(map(len, labels)) > MAX_BYTES:
                raise _refused(path)
    except UnicodeError:
        raise _refused(path) from None
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused(path)
    return ".".join(labels)


def _ascii_label(label: str) -> str:
    """Raises `UnicodeError`, also where IDNA2003 drops or replaces characters (ß, final sigma, joiners)."""
    lowered = unicodedata.normalize("NFKC", label.lower())
    if lowered.isascii():
        return lowered
    if len(lowered) > _LABEL_MAX_CHARACTERS:  # before `idna`, which takes the square of it
        raise UnicodeError("no A-label")
    encoded = lowered.encode("idna")
    if encoded.decode("idna") != lowered or not all(map(_means_itself, lowered)):
        raise UnicodeError("IDNA2008 could make another label of it")
    return encoded.decode("ascii")


def _means_itself(character: str) -> bool:
    """Known to IDNA2003, which has the characters of Unicode 3.2, and not dropped by its successors."""
    return unicodedata.ucd_3_2_0.category(character) != "Cn" and character not in _DROPPED_LATER


def _refused(path: str) -> Exception:
    return invalid(path, "invalid_email", "This is not an e-mail address. Check it and try again.")
