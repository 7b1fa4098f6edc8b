"""Cloud Scheduler's part: messages that come by the clock."""

import asyncio
import logging

from shared import events
from shared.bus import Bus
from shared.errors import Unavailable
from shared.ids import Clock, new_id

_log = logging.getLogger(__name__)


async def publish_every(seconds: float, name: str, bus: Bus, clock: Clock) -> None:
    """The event `name` to all its topics at each full multiple of `seconds`, until cancelled."""
    while True:
        await asyncio.sleep(seconds - clock().timestamp() % seconds)
        event = events.make(
            name,
            event_id=new_id("evt"),
            source="//energent/scheduler",
            subject="",
            time=clock(),
            data={},
        )
        for topic in events.DESTINATIONS[name]:
            try:
                await bus.publish(topic, [events.to_message(event)])
            except Unavailable as failure:
                _log.warning("%s to %s was not published: %s", name, topic, failure)
