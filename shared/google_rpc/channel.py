"""A gRPC channel to one of Google's services, or to what stands in for it on one machine."""

import asyncio
import logging
from collections.abc import Sequence

import grpc
import grpc.aio
from grpc import StatusCode
from grpc.aio import AioRpcError, Metadata

from shared.errors import Misconfigured

OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
)
"""Left alone, gRPC waits up to two minutes before it connects again, and channels share a connection, so that
giving one up is in vain."""

_log = logging.getLogger(__name__)


async def open_channel(
    target: str, scope: str, *, emulator_host: str = "", options: Sequence[tuple[str, int]] = ()
) -> grpc.aio.Channel:
    """To `target` (`host:port`), with the default credentials for `scope`; `options` come beside `OPTIONS`.

    With `emulator_host` it goes there, without credentials and proxies. Raises `Misconfigured`.
    """
    options = (*OPTIONS, *options)
    if emulator_host:
        return grpc.aio.insecure_channel(emulator_host, options=(*options, ("grpc.enable_http_proxy", 0)))
    credentials = await asyncio.to_thread(_credentials, scope)  # it asks files and the network
    return grpc.aio.secure_channel(target, credentials, options=options)


def misconfigured(resource: str, what_to_do: str) -> Misconfigured:
    """Logged here, since clients learn nothing of it."""
    refusal = Misconfigured(resource, what_to_do)
    _log.error("%s", refusal)
    return refusal


def not_whole() -> AioRpcError:
    """Of an answer that was cut off gRPC makes None, and calls it a success."""
    return AioRpcError(StatusCode.INTERNAL, Metadata(), Metadata(), "the answer is not whole")


def _credentials(scope: str) -> grpc.ChannelCredentials:
    """TLS, and who we are with each call. Raises `Misconfigured`."""
    import google.auth  # noqa: PLC0415 - no emulator needs it
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from google.auth.transport.grpc import AuthMetadataPlugin  # noqa: PLC0415
    from google.auth.transport.requests import Request  # noqa: PLC0415

    try:
        found, _ = google.auth.default(scopes=[scope])
    except GoogleAuthError as failure:
        raise misconfigured("Google's default credentials", str(failure)) from failure
    bearer = grpc.metadata_call_credentials(AuthMetadataPlugin(found, Request()))  # type: ignore[no-untyped-call]
    return grpc.composite_channel_credentials(grpc.ssl_channel_credentials(), bearer)
