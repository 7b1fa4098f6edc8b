"""Limits on the requests of one process."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """At most `running` requests run, `waiting` wait for their turn and `receiving` for their bodies; further
    ones are shed.

    `trusted_hops` is the number of our own proxies, each of which appends the address it saw to
    `X-Forwarded-For`. With 0, or with fewer addresses than that, the client is the peer of the connection.
    """

    max_headers: int = 100
    max_headers_bytes: int = 32_768
    max_header_bytes: int = 8_192
    max_target_bytes: int = 8_192
    running: int = 64
    waiting: int = 64
    receiving: int = 256
    body_seconds: float = 10.0
    handler_seconds: float = 30.0
    trusted_hops: int = 1
    unread_bytes: int = 65_536
    """Up to this much of an unread body is drained to keep the connection open."""
    linger_bytes: int = 16_777_216
    linger_seconds: float = 2.0
    """How much of an unread body is discarded, and for how long, before the connection is closed.

    Closing it with unread data resets it, and a gateway that is still sending then reports an outage instead
    of the answer.
    """
