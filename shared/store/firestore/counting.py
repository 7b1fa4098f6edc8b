"""When an `Add` may use a blind increment, although Firestore silently saturates at the limits of 64 bits.

A blind increment adds at most 2**48, so it can only saturate within 2**48 of a limit. Larger amounts are
added by a read and a conditional write. A process that sees a field beyond 2**62, which is 16,384 blind
increments away from the limit, uses conditional writes for that document from then on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.store import Add, Body, Create, Doc, Key, OutOfRange, Update, Write
from shared.store.checks import check_amounts, is_int64

_MAX_BLIND = 2**48
_FAR = 2**62
_MAX_BLIND_FIELDS = 500
"""Firestore's limit on the transforms of one document in a commit."""
_MAX_REMEMBERED = 1_000


class FarCounters:
    """The documents in which this process has seen an integer beyond 2**62; the last thousand of them."""

    def __init__(self) -> None:
        self._paths: dict[str, None] = {}

    def see(self, writes: Sequence[Write], response: Any) -> None:
        """Inspects the values after a commit. Raises `OutOfRange` if an increment reached the limit."""
        for write, result in zip(writes, response.write_results, strict=True):
            totals = [total.integer_value for total in result.transform_results]
            if any(map(_is_far, totals)) or any(map(_is_far, _set_by(write).values())):
                self._remember(write.key)
            if any(total in (-(2**63), 2**63 - 1) for total in totals):
                raise OutOfRange(f"{write.key.path} was counted to its end and no further")

    def has(self, key: Key) -> bool:
        return key.path in self._paths

    def _remember(self, key: Key) -> None:
        self._paths[key.path] = None
        if len(self._paths) > _MAX_REMEMBERED:
            del self._paths[next(iter(self._paths))]


def is_blind(write: Add) -> bool:
    """Whether the amounts allow a blind increment. Raises ValueError for amounts that exceed 64 bits."""
    check_amounts(write)
    amounts = write.amounts.values()
    return len(amounts) <= _MAX_BLIND_FIELDS and all(abs(amount) <= _MAX_BLIND for amount in amounts)


def counted(write: Add, doc: Doc | None) -> Create | Update:
    """The same addition as a write conditional on the document that was read. Raises `OutOfRange`."""
    body: Body = {} if doc is None else doc.body
    fields = dict(write.fields)
    for name, amount in write.amounts.items():
        present = body.get(name)
        total = amount + (present if type(present) is int else 0)
        if not is_int64(total):
            raise OutOfRange(f"{name!r} of {write.key.path}")
        fields[name] = total
    return Create(write.key, fields) if doc is None else Update(write.key, fields, doc.version)


def _set_by(write: Write) -> Mapping[str, object]:
    if isinstance(write, Update | Add):
        return write.fields
    return getattr(write, "body", {})


def _is_far(value: object) -> bool:
    return type(value) is int and abs(value) > _FAR
