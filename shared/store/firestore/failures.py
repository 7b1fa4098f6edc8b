"""Translates errors of Firestore by their gRPC status, never by their text."""

from grpc import StatusCode
from grpc.aio import AioRpcError

from shared.errors import Unavailable
from shared.google_rpc.channel import misconfigured

OUTAGE = frozenset(
    {
        StatusCode.CANCELLED,
        StatusCode.UNKNOWN,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.INTERNAL,
        StatusCode.UNAVAILABLE,
    }
)
"""After these it is unknown whether the call took effect; it may be retried."""

_REMEDIES = {
    StatusCode.PERMISSION_DENIED: "forbidden: grant roles/datastore.user to the function's service account",
    StatusCode.UNAUTHENTICATED: "the credentials are refused: give the function a service account",
    StatusCode.NOT_FOUND: "missing: create it, or set FIRESTORE_DATABASE and FIRESTORE_PROJECT",
    StatusCode.FAILED_PRECONDITION: "not ready for this: deploy deploy/firestore.indexes.json, and see that "
    "it is in native mode",
}


def told(failure: AioRpcError, database: str) -> Exception:
    """The exception to raise for a failed call. A status that only a bug can cause is returned unchanged."""
    if failure.code() in OUTAGE:
        return unavailable()
    remedy = _REMEDIES.get(failure.code())
    if remedy is None:
        bug: Exception = failure
        return bug
    return misconfigured(f"Firestore database {database}", f"{remedy} ({failure.details()})")


def unavailable() -> Unavailable:
    return Unavailable("store_unavailable", "The store did not answer. Try again.")
