"""An operation: a request to the cluster, with the rules for repeating it and giving it up."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

ANSWER_WITHIN = timedelta(seconds=60)
MAX_REPEATS = 5
MESSAGE_MAX_CHARACTERS = 500

Outcome = Literal["succeeded", "failed"]


class Operation(msgspec.Struct, frozen=True):
    """`repeats` counts the requests after the first. `message` is the cluster's, for operators."""

    id: str
    step: Literal["provision"]
    status: Literal["pending", "succeeded", "failed"]
    requested_at: datetime
    repeats: int = 0
    closed_at: datetime | None = None
    message: str = ""


def provision(operation_id: str, at: datetime) -> Operation:
    return Operation(operation_id, "provision", "pending", at)


def overdue_since(now: datetime) -> datetime:
    """A pending operation that was requested before this time is overdue."""
    return now - ANSWER_WITHIN


def is_overdue(operation: Operation, now: datetime) -> bool:
    return operation.status == "pending" and operation.requested_at < overdue_since(now)


def is_exhausted(operation: Operation) -> bool:
    """Whether it has been requested as often as is allowed."""
    return operation.repeats >= MAX_REPEATS


def repeated(operation: Operation, at: datetime) -> Operation:
    return msgspec.structs.replace(operation, requested_at=at, repeats=operation.repeats + 1)


def closed(operation: Operation, outcome: Outcome, message: str, at: datetime) -> Operation:
    """The operation with its outcome. A long message is cut."""
    return msgspec.structs.replace(
        operation, status=outcome, closed_at=at, message=message[:MESSAGE_MAX_CHARACTERS]
    )
