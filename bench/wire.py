"""A proxy before Google's emulators that counts what crosses: the operations that Google puts on the bill."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import msgspec
from google.cloud.firestore_v1.types import firestore
from google.pubsub_v1.types import pubsub

STREAMS = frozenset({"BatchGetDocuments", "RunQuery"})


class Counts(msgspec.Struct):
    """Documents read (an empty query costs one), written and deleted; requests; bytes of bodies both ways;
    messages published and their bytes.
    """

    reads: int = 0
    writes: int = 0
    deletes: int = 0
    commits: int = 0
    requests: int = 0
    bytes: int = 0
    messages: int = 0
    message_bytes: int = 0


class Wire(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """Hands every call on to `target`, an emulator's `host:port`, and counts it."""

    def __init__(self, target: str, counts: Counts) -> None:
        self._channel = grpc.aio.insecure_channel(target)
        self._counts = counts
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self,))

    async def start(self, address: str) -> None:
        self._server.add_insecure_port(address)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)
        await self._channel.close()

    def service(self, handler_call_details: Any) -> Any:
        method = str(handler_call_details.method)
        if method.rpartition("/")[2] in STREAMS:
            return grpc.unary_stream_rpc_method_handler(self._streamed(method))
        return grpc.unary_unary_rpc_method_handler(self._answered(method))

    def _answered(self, method: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
        call = self._channel.unary_unary(method)

        async def answer(request: bytes, context: Any) -> bytes:
            _count_request(self._counts, method.rpartition("/")[2], request)
            try:
                reply: bytes = await call(request, metadata=context.invocation_metadata())
            except grpc.aio.AioRpcError as refused:
                await context.abort(refused.code(), refused.details() or "", refused.trailing_metadata())
                raise
            self._counts.bytes += len(reply)
            return reply

        return answer

    def _streamed(self, method: str) -> Callable[[bytes, Any], AsyncIterator[bytes]]:
        call = self._channel.unary_stream(method)
        is_query = method.endswith("RunQuery")

        async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
            _count_request(self._counts, method.rpartition("/")[2], request)
            found = 0
            try:
                async for reply in call(request, metadata=context.invocation_metadata()):
                    self._counts.bytes += len(reply)
                    found += is_query and "document" in firestore.RunQueryResponse.deserialize(reply)
                    yield reply
            except grpc.aio.AioRpcError as refused:
                await context.abort(refused.code(), refused.details() or "", refused.trailing_metadata())
            if is_query:
                self._counts.reads += max(found, 1)

        return stream


def _count_request(counts: Counts, method: str, request: bytes) -> None:
    counts.requests += 1
    counts.bytes += len(request)
    if method == "BatchGetDocuments":
        counts.reads += len(firestore.BatchGetDocumentsRequest.deserialize(request).documents)
    elif method == "Commit":
        writes = firestore.CommitRequest.deserialize(request).writes
        deletes = sum("delete" in write for write in writes)
        counts.commits += 1
        counts.deletes += deletes
        counts.writes += len(writes) - deletes
    elif method == "Publish":
        messages = pubsub.PublishRequest.deserialize(request).messages
        counts.messages += len(messages)
        counts.message_bytes += sum(len(message.data) for message in messages)
