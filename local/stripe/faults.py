"""Faults that a test asks for: which request they hit, and what is wrong with its answer."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of trouble for the requests that match.

    - `hang`: no answer until the client goes away; `reset`: the connection is reset without one;
      `half_body`: it ends in the middle; `invalid_json`: whole, but cut-off JSON; `status`: that status with
      Stripe's error for it (302 points to /v1/redirected); `delay`: the answer takes `seconds` longer, and
      the idempotency key is in progress meanwhile.
    - `when`: "before" anything is done, or "after" it is done and kept under the idempotency key.
    - `saved`: a `status` becomes the answer of the idempotency key, as Stripe keeps a 500.
    - `method` and `path` (`*` is one segment, `**` any number) say which requests; the first `skip` of them
      pass, the next `times` are hit, all of them where it is None.
    """

    kind: Literal["hang", "reset", "half_body", "invalid_json", "status", "delay"]
    when: Literal["before", "after"] = "before"
    method: str = "*"
    path: str = "/v1/**"
    skip: Annotated[int, Meta(ge=0)] = 0
    times: Annotated[int, Meta(ge=1)] | None = 1
    status: Annotated[int, Meta(ge=300, le=599)] = 500
    saved: bool = False
    seconds: Annotated[float, Meta(ge=0, le=600)] = 0.0
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.saved and self.kind != "status":
            raise ValueError("only a status can be saved")

    def matches(self, method: str, path: str) -> bool:
        pattern = re.escape(self.path).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
        return self.method in ("*", method) and re.fullmatch(pattern, path) is not None


class Faults:
    """Those that are asked for, in order; each counts the requests that it matches."""

    def __init__(self) -> None:
        self._seen: list[tuple[Fault, int]] = []

    def add(self, fault: Fault) -> None:
        self._seen.append((fault, 0))

    def clear(self) -> None:
        self._seen.clear()

    @property
    def waiting(self) -> Sequence[Fault]:
        """Those that can still hit a request."""
        return [fault for fault, seen in self._seen if fault.times is None or seen < fault.skip + fault.times]

    def hit(self, method: str, path: str) -> Fault | None:
        """The first fault that this request meets; it counts for every one that it matches."""
        met = None
        for number, (fault, seen) in enumerate(self._seen):
            if not fault.matches(method, path):
                continue
            self._seen[number] = (fault, seen + 1)
            due = seen >= fault.skip and (fault.times is None or seen < fault.skip + fault.times)
            met = fault if due and met is None else met
        return met
