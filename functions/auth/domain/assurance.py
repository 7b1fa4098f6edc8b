"""How sure we are of who signed in: the methods that were used, and the level that they come to."""

from collections.abc import Collection, Iterable
from typing import Literal

Acr = Literal["aal1", "aal2"]
"""Assurance levels of NIST SP 800-63B-4 §2, as the `acr` of a token says them."""

_KNOWN = frozenset({"pwd"})
_HELD = frozenset({"otp", "hwk", "swk"})


def acr_of(amr: Collection[str]) -> Acr:
    """Methods as RFC 8176 names them: two kinds of them, or a passkey that knew its user, are `aal2`."""
    return "aal2" if "mfa" in amr else "aal1"


def joined(amr: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """All methods once, in the order of their use; `mfa` last where they are of two kinds."""
    used = dict.fromkeys((*amr, *more))
    several = "mfa" in used or not (_KNOWN.isdisjoint(used) or _HELD.isdisjoint(used))
    methods = tuple(method for method in used if method != "mfa")
    return (*methods, "mfa") if several else methods
