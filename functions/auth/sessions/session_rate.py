"""How often one person begins sessions: each that ends is a record for all who verify (decision 0021)."""

from functions.auth.guessing.buckets import Buckets, Rate
from shared.errors import TooManyRequests
from shared.ids import Clock

SESSIONS = Rate(burst=1_000, seconds=1, keys=10_000)


class SessionRate:
    """One for all ways to begin a session in this process."""

    def __init__(self, clock: Clock) -> None:
        self._begun = Buckets(SESSIONS, clock)

    def count(self, tenant_id: str, user_id: str) -> None:
        """One more. Raises `TooManyRequests` `too_many_sessions`."""
        wait = self._begun.take(f"{tenant_id}/{user_id}")
        if wait:
            detail = "You have signed in very often just now. Wait a little, then try again."
            raise TooManyRequests("too_many_sessions", detail, headers={"Retry-After": str(wait)})
