"""What one request may cost."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """`running` requests at once, `waiting` for their turn, `receiving` for their bodies; the rest is shed.

    `trusted_hops`: proxies of ours, each of which appends the address it saw to `X-Forwarded-For`. With none,
    or where there are fewer addresses, the client is whoever is connected.
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
    """So much of a body that nobody read is worth draining to keep the connection."""
    linger_bytes: int = 16_777_216
    linger_seconds: float = 2.0
    """So much more is taken and thrown away after an answer that ends the connection. Closed with something
    unread, it is reset, and a gateway that is still sending never sees the answer but tells of an outage.
    """
