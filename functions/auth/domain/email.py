"""E-mail addresses: one canonical form, at every door the same."""

import re
import unicodedata

from shared.errors import invalid

MAX_BYTES = 254
_LOCAL_MAX_BYTES = 64
_LOCAL = re.compile(r"[^\s\"(),:;<>@\[\\\]]+")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def canonical(text: str, path: str = "/email") -> str:
    """NFKC and case folding over the whole address, the domain as A-labels (RFC 5891); dots and tags stay.

    Two spellings of one address are one account. Raises `Invalid` about `path`.
    """
    if len(text) > MAX_BYTES:
        raise _refused(path)
    local, at, domain = _folded(text).strip().rpartition("@")
    if not at or not _is_local(local):
        raise _refused(path)
    address = f"{local}@{_ascii_domain(domain, path)}"
    if len(address.encode()) > MAX_BYTES:
        raise _refused(path)
    return address


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _is_local(local: str) -> bool:
    """Printable: no control, no invisible character, no lone surrogate. Dots only between others."""
    return (
        local.isprintable()
        and _LOCAL.fullmatch(local) is not None
        and all(local.split("."))
        and len(local.encode()) <= _LOCAL_MAX_BYTES
    )


def _ascii_domain(domain: str, path: str) -> str:
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise _refused(path) from None
    labels = ascii_domain.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused(path)
    return ascii_domain


def _refused(path: str) -> Exception:
    return invalid(path, "invalid_email", "This is not an e-mail address.")
