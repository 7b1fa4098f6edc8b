"""Idempotency keys: what was answered to a key is answered again, for a day."""

import msgspec

from local.stripe.account import Account
from local.stripe.errors import ApiError

KEPT_SECONDS = 24 * 3600
MAX_LENGTH = 255


class Answer(msgspec.Struct, frozen=True):
    """`original`: the request that was executed; another one's id in an answer that is given again."""

    status: int
    body: bytes
    request_id: str
    original: str


class IdempotencyKeys:
    """The keys of one account; those of requests under way are known to this process only."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._in_progress: set[str] = set()

    def begin(self, key: str, endpoint: str, parameters: str, request_id: str) -> Answer | None:
        """The kept answer, or None for a key that is now in progress until `end`. Raises `ApiError`."""
        if len(key) > MAX_LENGTH:
            raise _refused(400, f"Idempotency keys have at most {MAX_LENGTH} characters.")
        if key in self._in_progress:
            raise _refused(
                409,
                f"There is currently another in-progress request using this Idempotency Key: {key}."
                " Please try again later.",
                "idempotency_key_in_use",
            )
        oldest = self._account.now() - KEPT_SECONDS
        self._account.storage.connection.execute("DELETE FROM answers WHERE at <= ?", (oldest,))
        row = self._account.storage.connection.execute(
            "SELECT endpoint, parameters, request_id, status, body FROM answers WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            self._in_progress.add(key)
            return None
        for asked, kept, what in ((endpoint, row[0], "endpoint"), (parameters, row[1], "parameters")):
            if asked != kept:
                raise _refused(
                    400,
                    f"Keys for idempotent requests can only be used with the same {what} they were first used"
                    f" with. Try using a key other than '{key}' if you meant to execute a different request.",
                )
        return Answer(row[3], row[4], request_id, row[2])

    def keep(self, key: str, endpoint: str, parameters: str, answer: Answer) -> None:
        """In the transaction of what the request did."""
        self._account.storage.connection.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, endpoint, parameters, answer.original, answer.status, answer.body, self._account.now()),
        )

    def end(self, key: str) -> None:
        self._in_progress.discard(key)


def _refused(status: int, message: str, code: str | None = None) -> ApiError:
    return ApiError(status, message, kind="idempotency_error", code=code, executed=False)
