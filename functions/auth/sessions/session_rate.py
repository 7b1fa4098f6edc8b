"""Limits how often a user begins sessions: each ended one is a record that verifiers read (decision 0021)."""

from functions.auth.guessing.buckets import Buckets, Rate
from shared.errors import TooManyRequests
from shared.ids import Clock

SESSIONS = Rate(burst=1_000, seconds=1, keys=10_000)


class SessionRate:
    """Shared by all ways to begin a session. Counts in this process only."""

    def __init__(self, clock: Clock) -> None:
        self._begun = Buckets(SESSIONS, clock)

    def count(self, tenant_id: str, user_id: str) -> None:
        """Counts a new session. Raises `TooManyRequests` `too_many_sessions`."""
        wait = self._begun.take(f"{tenant_id}/{user_id}")
        if wait:
            detail = "You have signed in very often just now. Wait a little, then try again."
            raise TooManyRequests("too_many_sessions", detail, headers={"Retry-After": str(wait)})
