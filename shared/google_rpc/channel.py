"""Opens a gRPC channel to one of Google's services or to its emulator."""

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
"""By default gRPC waits up to two minutes before it reconnects, and channels share a connection, so that a
new channel would not get a new one."""

_log = logging.getLogger(__name__)


async def open_channel(
    target: str, scope: str, *, emulator_host: str = "", options: Sequence[tuple[str, int]] = ()
) -> grpc.aio.Channel:
    """A channel to `target` (`host:port`) with the default credentials for `scope`, and `options` besides
    `OPTIONS`. With `emulator_host` it goes there, without credentials and proxies. Raises `Misconfigured`.
    """
    options = (*OPTIONS, *options)
    if emulator_host:
        return grpc.aio.insecure_channel(emulator_host, options=(*options, ("grpc.enable_http_proxy", 0)))
    credentials = await asyncio.to_thread(_credentials, scope)  # it asks files and the network
    return grpc.aio.secure_channel(target, credentials, options=options)


def misconfigured(resource: str, what_to_do: str) -> Misconfigured:
    """Logs and returns the error. Clients are not told the details."""
    refusal = Misconfigured(resource, what_to_do)
    _log.error("%s", refusal)
    return refusal


def not_whole() -> AioRpcError:
    """The error for a truncated response, which gRPC reports as None with status OK."""
    return AioRpcError(StatusCode.INTERNAL, Metadata(), Metadata(), "the answer is not whole")


def _credentials(scope: str) -> grpc.ChannelCredentials:
    """Credentials for TLS, with an access token for each call. Raises `Misconfigured`."""
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
