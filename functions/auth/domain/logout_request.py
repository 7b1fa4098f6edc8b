"""Logout requests (OpenID Connect RP-Initiated Logout 1.0 §2): read, and answered."""

from urllib.parse import urlencode

import msgspec

from functions.auth.domain.authorization_request import MAX_STATE, Pairs
from shared.errors import BadRequest

NAMES = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")
"""What counts. `logout_hint`, `ui_locales` and what nobody knows do not."""


class LogoutRequest(msgspec.Struct, frozen=True):
    """As it came; empty is what was left out. Nothing of it is proven."""

    id_token_hint: str = ""
    client_id: str = ""
    post_logout_redirect_uri: str = ""
    state: str = ""


def counted(pairs: Pairs) -> Pairs:
    """Those parameters that count and have a value."""
    return [(name, value) for name, value in pairs if name in NAMES and value]


def read(pairs: Pairs) -> LogoutRequest:
    """Raises `BadRequest`, to be shown to the person."""
    known = counted(pairs)
    given = dict(known)
    if len(given) != len(known) or len(given.get("state", "")) > MAX_STATE:
        detail = f"The application sent a parameter twice, or a state of more than {MAX_STATE} characters."
        raise BadRequest("invalid_logout_request", detail)
    return LogoutRequest(**given)


def answer(request: LogoutRequest) -> str:
    """The address that the client registered, with its state in the query (§3)."""
    uri = request.post_logout_redirect_uri
    if not request.state:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode({'state': request.state})}"
