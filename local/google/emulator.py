"""The calls made of the Pub/Sub emulator, each with a time-out and with our errors."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import grpc
from google.api_core import exceptions
from google.pubsub_v1.services.publisher import PublisherAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber import SubscriberAsyncClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from google.pubsub_v1.types import ReceivedMessage

from shared.bus import Message
from shared.errors import Misconfigured, Unavailable
from shared.google_rpc.channel import OPTIONS

CALL_SECONDS = 5.0
LOCAL_OPTIONS = (*OPTIONS, ("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1))
"""No proxy knows it. Messages have up to 10 MB, an answer with several of them more; gRPC takes 4."""


class Emulator:
    """One connection for one event loop. Names are short: the project is added here.

    Every call raises `Unavailable`, or `Misconfigured` for a topic or subscription that does not exist.
    """

    def __init__(self, host: str, project: str) -> None:
        self._host = host
        self._project = project
        self._channel = grpc.aio.insecure_channel(host, options=LOCAL_OPTIONS)
        self._publisher = PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=self._channel))
        self._subscriber = SubscriberAsyncClient(
            transport=SubscriberGrpcAsyncIOTransport(channel=self._channel)
        )

    async def create_topic(self, topic: str) -> bool:
        """False: it exists."""
        return await self._create(self._publisher.create_topic, {"name": self._topic(topic)})

    async def delete_topic(self, topic: str) -> None:
        await self._call(self._publisher.delete_topic, {"topic": self._topic(topic)})

    async def create_subscription(self, topic: str, subscription: str, ack_deadline_seconds: int) -> None:
        """One that exists is left as it is."""
        request = {
            "name": self._subscription(subscription),
            "topic": self._topic(topic),
            "ack_deadline_seconds": ack_deadline_seconds,
        }
        await self._create(self._subscriber.create_subscription, request)

    async def publish(self, topic: str, message: Message) -> None:
        messages = [{"data": message.data, "attributes": message.attributes}]
        await self._call(self._publisher.publish, {"topic": self._topic(topic), "messages": messages})

    async def pull(self, subscription: str, limit: int) -> Sequence[ReceivedMessage]:
        """What is there now. Where it fails, messages may be leased that nobody has seen."""
        request = {
            "subscription": self._subscription(subscription),
            "max_messages": limit,
            "return_immediately": True,
        }
        response = await self._call(self._subscriber.pull, request)
        received: Sequence[ReceivedMessage] = response.received_messages
        return received

    async def acknowledge(self, subscription: str, ack_id: str) -> None:
        request = {"subscription": self._subscription(subscription), "ack_ids": [ack_id]}
        await self._call(self._subscriber.acknowledge, request)

    async def extend(self, subscription: str, ack_ids: Sequence[str], seconds: int) -> None:
        """From now on, so long. 0: they are given again at once."""
        request = {
            "subscription": self._subscription(subscription),
            "ack_ids": ack_ids,
            "ack_deadline_seconds": seconds,
        }
        await self._call(self._subscriber.modify_ack_deadline, request)

    async def close(self) -> None:
        await self._channel.close()

    async def _create(self, method: Callable[..., Coroutine[Any, Any, Any]], request: Any) -> bool:
        try:
            await self._call(method, request)
        except exceptions.AlreadyExists:
            return False
        return True

    async def _call(self, method: Callable[..., Coroutine[Any, Any, Any]], request: Any) -> Any:
        try:
            return await method(request=request, retry=None, timeout=CALL_SECONDS)
        except exceptions.AlreadyExists:
            raise
        except exceptions.NotFound as missing:
            resource = request.get("subscription") or request["topic"]
            raise Misconfigured(f"{resource} on {self._host}", "NotFound") from missing
        except exceptions.GoogleAPICallError as failure:
            detail = f"Pub/Sub at {self._host} does not do it: {type(failure).__name__} ({failure.message})."
            raise Unavailable("bus_unavailable", detail) from failure

    def _topic(self, topic: str) -> str:
        return f"projects/{self._project}/topics/{topic}"

    def _subscription(self, subscription: str) -> str:
        return f"projects/{self._project}/subscriptions/{subscription}"
