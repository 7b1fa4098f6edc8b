"""A gRPC server that answers as Firestore might, one scripted answer after the other."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.cloud.firestore_v1.types import firestore as types
from grpc import StatusCode

SERVICE = "google.firestore.v1.Firestore"

CommitRequest = types.CommitRequest.meta.pb
CommitResponse = types.CommitResponse.meta.pb
BatchGetRequest = types.BatchGetDocumentsRequest.meta.pb
BatchGetResponse = types.BatchGetDocumentsResponse.meta.pb
RunQueryRequest = types.RunQueryRequest.meta.pb
RunQueryResponse = types.RunQueryResponse.meta.pb

Refusal = tuple[StatusCode, str]


class ScriptedFirestore:
    """`answers` are given in turn, then each call finds nothing: a refusal, or a list of responses.

    None ends a call well without a message, as streams that were cut off have been seen to end.
    `asked` are the requests, `metadata` what came with the last one. `answer_later`, where it is set, makes
    further answers from what was asked.
    """

    def __init__(self) -> None:
        self.answers: list[Refusal | list[Any] | None] = []
        self.asked: list[Any] = []
        self.metadata: dict[str, str] = {}
        self.address = ""
        self.answer_later: Callable[[list[Any]], list[Refusal | list[Any] | None]] | None = None

    async def commit(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """On the wire, a stream of one is a single answer."""
        async for answer in self._answers(request, context, [_done(request, 1, 0)]):
            yield answer

    async def read(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for answer in self._answers(request, context, _missing(request)):
            yield answer

    async def query(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for answer in self._answers(request, context, [RunQueryResponse()]):
            yield answer

    async def _answers(self, request: Any, context: Any, usual: list[Any]) -> AsyncIterator[Any]:
        answers = await self._answer(request, context)
        if answers is not None:
            for answer in answers or usual:
                yield answer

    async def _answer(self, request: Any, context: Any) -> list[Any] | None:
        self.asked.append(request)
        self.metadata = dict(context.invocation_metadata())
        if not self.answers and self.answer_later is not None:
            self.answers, self.answer_later = self.answer_later(self.asked), None
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, tuple):
            await context.abort(*answer)
        return answer if answer is None else list(answer)

    def handlers(self) -> Any:
        stream = grpc.unary_stream_rpc_method_handler
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Commit": stream(self.commit, CommitRequest.FromString, CommitResponse.SerializeToString),
                "BatchGetDocuments": stream(
                    self.read, BatchGetRequest.FromString, BatchGetResponse.SerializeToString
                ),
                "RunQuery": stream(
                    self.query, RunQueryRequest.FromString, RunQueryResponse.SerializeToString
                ),
            },
        )


def done(writes: int, seconds: int, nanos: int) -> Any:
    """A commit of so many writes, all of them at one time."""
    response = CommitResponse()
    for _ in range(writes):
        time = response.write_results.add().update_time
        time.seconds, time.nanos = seconds, nanos
    return response


def found(name: str, made_by: str = "somebody", nanos: int = 0) -> Any:
    """A document with an empty body, made at second 1 and as many nanoseconds."""
    response = BatchGetResponse()
    document = response.found
    document.name = name
    held = document.fields["doc"].map_value.fields
    held["made_by"].string_value = made_by
    held["body"].map_value.SetInParent()
    for time in (document.create_time, document.update_time):
        time.seconds, time.nanos = 1, nanos
    return response


def missing(name: str) -> Any:
    return BatchGetResponse(missing=name)


def body(document: Any) -> Any:
    """The fields of its body."""
    return document.fields["doc"].map_value.fields["body"].map_value.fields


@asynccontextmanager
async def scripted_firestore() -> AsyncIterator[ScriptedFirestore]:
    firestore = ScriptedFirestore()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((firestore.handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    firestore.address = f"127.0.0.1:{port}"
    await server.start()
    yield firestore
    await server.stop(1)


def _done(request: Any, seconds: int, nanos: int) -> Any:
    return done(len(request.writes), seconds, nanos)


def _missing(request: Any) -> list[Any]:
    return [missing(name) for name in request.documents]
