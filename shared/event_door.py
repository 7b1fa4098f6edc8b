"""`POST /`: the caller is checked, the envelope parsed, the event handed to its use-case or quarantined."""

from collections.abc import Awaitable, Callable

from shared.envelope import Delivery
from shared.events import CloudEvent

EventHandler = Callable[[CloudEvent, Delivery], Awaitable[None]]


class Rejected(Exception):
    """Raised by a handler: this message can never succeed. It is quarantined under `reason` and acknowledged."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


async def ignored(event: CloudEvent, delivery: Delivery) -> None:
    """The handler of a type that passes by on the topic and is not for this function."""
