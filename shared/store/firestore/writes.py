"""Translates the port's writes to Firestore's `Write` messages: precondition, increments and mask."""

from collections.abc import Sequence
from typing import Any

from shared.google_rpc.messages import CommitRequest
from shared.store import (
    MAX_COMMIT_BYTES,
    Add,
    Check,
    Create,
    Delete,
    DocumentTooLarge,
    Replace,
    Update,
    Write,
)
from shared.store.checks import check_amounts, check_body
from shared.store.firestore.codec import held, put_body, put_expiry, put_time
from shared.store.firestore.layout import BODY, EXPIRES, EXPIRING, MADE_BY, REVISION, body_path, path


def commit_request(database: str, attempt: str, writes: Sequence[Write]) -> Any:
    """The CommitRequest. Raises ValueError, `DocumentTooLarge`, and `Stale` for a text that is no version."""
    request = CommitRequest(database=database)
    for write in writes:
        _put(request.writes.add(), f"{database}/documents/{write.key.path}", attempt, write)
    if request.ByteSize() > MAX_COMMIT_BYTES:
        raise DocumentTooLarge(f"a commit of more than {MAX_COMMIT_BYTES} bytes")
    return request


def is_conditional(write: Write) -> bool:
    """Whether the write can fail with `Stale`."""
    return isinstance(write, Replace | Update | Check) or (
        isinstance(write, Delete) and write.if_version is not None
    )


def _put(message: Any, name: str, attempt: str, write: Write) -> None:
    if isinstance(write, Delete):
        message.delete = name
        if write.if_version is not None:
            put_time(message.current_document.update_time, write.if_version)
        return
    message.update.name = name
    if isinstance(write, Create):
        _create(message, attempt, write)
    elif isinstance(write, Add):
        _set(message, attempt, write, write.fields)
        _increment(message, write)
    else:
        put_time(message.current_document.update_time, write.if_version)
        if isinstance(write, Update):
            _set(message, attempt, write, write.fields)
        elif isinstance(write, Replace):
            _replace(message, attempt, write)
        else:
            message.update_mask.SetInParent()  # an empty mask: nothing changes


def _create(message: Any, attempt: str, write: Create) -> None:
    check_body(write.body)
    held(message.update)[MADE_BY].string_value = attempt
    put_body(message.update, write.body)
    put_expiry(message.update, write.key.kind, write.body)
    message.current_document.exists = False


def _replace(message: Any, attempt: str, write: Replace) -> None:
    """Replaces the body and keeps `made_by`. A field in the mask that the message lacks is deleted."""
    check_body(write.body)
    held(message.update)[REVISION].string_value = attempt
    put_body(message.update, write.body)
    put_expiry(message.update, write.key.kind, write.body)
    message.update_mask.field_paths.extend((path(REVISION), path(BODY)))
    if write.key.kind in EXPIRING:
        message.update_mask.field_paths.append(EXPIRES)


def _set(message: Any, attempt: str, write: Update | Add, fields: dict[str, Any]) -> None:
    check_body(fields)
    held(message.update)[REVISION].string_value = attempt
    message.update_mask.field_paths.append(path(REVISION))
    if not fields:
        return
    put_body(message.update, fields)
    message.update_mask.field_paths.extend(map(body_path, fields))
    if EXPIRING.get(write.key.kind) in fields:
        put_expiry(message.update, write.key.kind, fields)
        message.update_mask.field_paths.append(EXPIRES)


def _increment(message: Any, write: Add) -> None:
    check_amounts(write)
    for name, amount in write.amounts.items():
        transform = message.update_transforms.add(field_path=body_path(name))
        transform.increment.integer_value = amount
