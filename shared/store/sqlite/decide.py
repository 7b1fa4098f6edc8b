"""Evaluates a commit against the current rows, in memory and without I/O."""

from collections.abc import Mapping, Sequence

import msgspec

from shared.store import (
    MAX_COMMIT_BYTES,
    Add,
    AlreadyExists,
    Body,
    Check,
    Create,
    Delete,
    DocumentTooLarge,
    OutOfRange,
    Replace,
    Stale,
    Update,
    Version,
    Write,
)
from shared.store.checks import check_amounts, is_int64
from shared.store.sqlite.codec import decoded_stored, encoded, encoded_stored


class Row(msgspec.Struct, frozen=True, gc=False):
    """A stored document. `maker` is the attempt that created it; None if that is `rev`. `text` is empty if
    only the version was loaded.
    """

    text: str
    rev: Version
    maker: str | None


Rows = Mapping[str, Row | None]
"""Rows by path; None for a path without a document."""


class Commit(msgspec.Struct, frozen=True):
    """A commit with encoded bodies: `texts` is parallel to `writes`, empty for Delete and Check."""

    attempt: str
    writes: Sequence[Write]
    texts: Sequence[str]

    @property
    def versions(self) -> list[Version | None]:
        return [None if isinstance(write, (Delete, Check)) else self.attempt for write in self.writes]


def prepared(attempt: str, writes: Sequence[Write]) -> Commit:
    """Encodes a commit. Raises ValueError and DocumentTooLarge, as far as no read is needed to tell."""
    texts = [_text(write) for write in writes]
    if sum(map(len, texts)) > MAX_COMMIT_BYTES:
        raise DocumentTooLarge(f"a commit of more than {MAX_COMMIT_BYTES} bytes")
    return Commit(attempt, writes, texts)


def changes(commit: Commit, rows: Rows) -> dict[str, Row | None]:
    """The rows that the commit changes. Raises what `Store.commit` raises, and then none of it applies."""
    changed: dict[str, Row | None] = {}
    for write, text in zip(commit.writes, commit.texts, strict=True):
        path = write.key.path
        old = rows[path]
        if isinstance(write, Create):
            if old is not None:
                raise AlreadyExists(write.key)
            changed[path] = Row(text, commit.attempt, None)
        elif isinstance(write, Add):
            changed[path] = _written(commit, old, _added(write, text, old))
        elif isinstance(write, Replace):
            changed[path] = _written(commit, _at(old, write.if_version), text)
        elif isinstance(write, Update):
            row = _at(old, write.if_version)
            changed[path] = _written(commit, row, encoded_stored(_merged(row, text)))
        elif isinstance(write, Check):
            _at(old, write.if_version)
        else:
            if write.if_version is not None:
                _at(old, write.if_version)
            changed[path] = None
    return changed


def needs_body(write: Write) -> bool:
    return isinstance(write, (Update, Add))


def _text(write: Write) -> str:
    if isinstance(write, (Create, Replace)):
        return encoded(write.body)
    if isinstance(write, Update):
        return encoded(write.fields)
    if isinstance(write, Add):
        check_amounts(write)
        return encoded(write.fields)
    return ""


def _at(old: Row | None, version: Version) -> Row:
    if old is None or old.rev != version:
        raise Stale
    return old


def _written(commit: Commit, old: Row | None, text: str) -> Row:
    return Row(text, commit.attempt, (old.maker or old.rev) if old else None)


def _merged(old: Row | None, fields: str) -> Body:
    body = decoded_stored(old.text) if old else {}
    body.update(decoded_stored(fields))
    return body


def _added(write: Add, fields: str, old: Row | None) -> str:
    body = _merged(old, fields)
    for name, amount in write.amounts.items():
        present = body.get(name)
        total = amount + (present if type(present) is int else 0)
        if not is_int64(total):
            raise OutOfRange(f"{name!r} of {write.key.path}")
        body[name] = total
    return encoded_stored(body)
