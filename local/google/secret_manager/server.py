"""The stand-in on the wire, and what tests let go wrong there."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.cloud.secretmanager_v1 import types

from local.google.secret_manager.service import Refusal, Service
from local.ports import HOST
from shared.ids import Clock, utc_now

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
THREADS = 8

Faults = dict[str, list[grpc.StatusCode]]


class SecretManagerServer:
    """Listens from the moment it is made. Methods go by their names on the wire: `AddSecretVersion`."""

    def __init__(self, port: int = 0, clock: Clock = utc_now) -> None:
        """0: any free port. Raises RuntimeError where it cannot be had."""
        self.service = Service(clock)
        self._turn = threading.Lock()
        self._refused: Faults = {}
        self._lost: Faults = {}
        self._corrupted = 0
        self._cut: list[str] = []
        self.calls: list[str] = []
        self._server = grpc.server(ThreadPoolExecutor(THREADS), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self.port: int = self._server.add_insecure_port(f"{HOST}:{port}")
        self._server.start()

    @property
    def host(self) -> str:
        return f"{HOST}:{self.port}"

    def wait(self) -> None:
        """Until it is stopped."""
        self._server.wait_for_termination()

    def stop(self) -> None:
        self._server.stop(grace=None).wait()

    def refuse(self, method: str, code: grpc.StatusCode, times: int = 1) -> None:
        """The next so many calls do nothing and are answered with `code`."""
        self._refused.setdefault(method, []).extend([code] * times)

    def lose(self, method: str, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        """The next call does its work, and is answered with `code` all the same."""
        self._lost.setdefault(method, []).append(code)

    def corrupt(self, times: int) -> None:
        """The next so many payloads arrive with a bit turned."""
        self._corrupted = times

    def cut(self, method: str) -> None:
        """The next call ends well without a message, as streams that were cut off have been seen to end."""
        self._cut.append(method)

    def _handlers(self) -> grpc.GenericRpcHandler:
        service = self.service
        methods: list[tuple[Callable[[Any], Any], Any, Any]] = [
            (service.create_secret, types.CreateSecretRequest, types.Secret),
            (service.get_secret, types.GetSecretRequest, types.Secret),
            (service.add_secret_version, types.AddSecretVersionRequest, types.SecretVersion),
            (service.get_secret_version, types.GetSecretVersionRequest, types.SecretVersion),
            (self._access, types.AccessSecretVersionRequest, types.AccessSecretVersionResponse),
            (service.list_secret_versions, types.ListSecretVersionsRequest, types.ListSecretVersionsResponse),
            (service.enable_secret_version, types.EnableSecretVersionRequest, types.SecretVersion),
            (service.disable_secret_version, types.DisableSecretVersionRequest, types.SecretVersion),
            (service.destroy_secret_version, types.DestroySecretVersionRequest, types.SecretVersion),
        ]
        handlers = {}
        for handler, request, response in methods:
            method = request.__name__.removesuffix("Request")
            # On the wire, a stream of one is a single answer.
            handlers[method] = grpc.unary_stream_rpc_method_handler(
                self._answering(method, handler),
                request_deserializer=request.deserialize,
                response_serializer=response.serialize,
            )
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _answering(self, method: str, handler: Callable[[Any], Any]) -> Callable[[Any, Any], Iterator[Any]]:
        def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                with self._turn:
                    answer = self._run(method, handler, request)
                if method in self._cut:
                    self._cut.remove(method)
                else:
                    yield answer
            except Refusal as refusal:
                context.abort(refusal.code, refusal.message)

        return answer

    def _run(self, method: str, handler: Callable[[Any], Any], request: Any) -> Any:
        self.calls.append(method)
        if self._refused.get(method):
            raise Refusal(self._refused[method].pop(0), "by request of a test")
        answer = handler(request)
        if self._lost.get(method):
            raise Refusal(self._lost[method].pop(0), "the reply is lost")
        return answer

    def _access(self, request: types.AccessSecretVersionRequest) -> types.AccessSecretVersionResponse:
        answer = self.service.access_secret_version(request)
        if self._corrupted == 0:
            return answer
        self._corrupted -= 1
        data = answer.payload.data
        payload = {"data": bytes([data[0] ^ 1]) + data[1:], "data_crc32c": answer.payload.data_crc32c}
        return types.AccessSecretVersionResponse(name=answer.name, payload=payload)
