"""Where a sign-in comes from."""

import msgspec

from shared.http import Call


class Source(msgspec.Struct, frozen=True):
    """Where a sign-in comes from. `device` is the device token that an earlier sign-in was given, if any."""

    ip: str
    device: str | None = None
    user_agent: str = ""
    request_id: str = ""


def source_of(call: Call, device: str | None = None) -> Source:
    """The source of a request. The caller takes `device` from the body or a cookie."""
    return Source(call.client_ip, device, call.headers.get("user-agent", ""), call.request_id)
