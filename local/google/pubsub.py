"""The Pub/Sub emulator as a broker."""

from local.broker import Options, Subscription
from local.google.emulator import Emulator
from local.google.pulling import ACK_DEADLINE_SECONDS, PullSubscriber
from shared.bus import TOPICS, Bus, dead_letters
from shared.bus.pubsub import PubSubBus


class PubSubBroker:
    """`broker.Broker`. To be made inside of the running event loop."""

    def __init__(self, host: str, options: Options) -> None:
        self.project = options.project
        self.bus: Bus = PubSubBus(options.project, emulator_host=host)
        self._options = options
        self._emulator = Emulator(host, options.project)

    async def prepare(self, *subscriptions: Subscription) -> None:
        """All topics, those of the dead letters too, and the given subscriptions."""
        for topic in TOPICS:
            await self._emulator.create_topic(topic)
            await self._emulator.create_topic(dead_letters.topic_for(topic))
        for each in subscriptions:
            await self._emulator.create_subscription(each.topic, each.name, ACK_DEADLINE_SECONDS)

    def subscriber(self, subscription: Subscription) -> PullSubscriber:
        return PullSubscriber(self._emulator, subscription, self._options)

    async def close(self) -> None:
        await self.bus.close()
        await self._emulator.close()
