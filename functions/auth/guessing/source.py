"""Where a try comes from."""

import msgspec

from shared.http import Call


class Source(msgspec.Struct, frozen=True):
    """Where a sign-in comes from. `device`: the token that an earlier one was given there, if any."""

    ip: str
    device: str | None = None
    user_agent: str = ""
    request_id: str = ""


def source_of(call: Call, device: str | None = None) -> Source:
    """Of a request; `device` is in its body, or in a cookie."""
    return Source(call.client_ip, device, call.headers.get("user-agent", ""), call.request_id)
