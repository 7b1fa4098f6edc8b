"""How a client identifies itself in a request: by exactly one method (RFC 6749 §2.3, RFC 7521 §4.2)."""

import base64
import binascii
from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote_plus

import msgspec

from functions.auth.oauth import client_assertion
from functions.auth.oauth.client_assertion import Assertion, NotAnAssertion
from shared.errors import OAuthError

Method = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
METHODS: tuple[Method, ...] = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")


class Presented(msgspec.Struct, frozen=True):
    """What a client claims, unproven. `secret` is empty for methods that send none."""

    client_id: str | None
    method: Method
    secret: str = ""
    assertion: Assertion | None = None


def invalid_client() -> OAuthError:
    return OAuthError(
        401, "invalid_client", "The client could not be authenticated. Check its id, and its secret or key."
    )


def presented(form: Mapping[str, str], authorization: str | None) -> Presented:
    """Reads the form and the `Authorization` header. A header of another scheme than `Basic` is the gateway's
    and is ignored.

    Raises `OAuthError`: `invalid_request` for two methods at once, `invalid_client` for what is malformed.
    """
    scheme, _, basic = (authorization or "").partition(" ")
    used = ("client_secret" in form) + ("client_assertion" in form) + (scheme.lower() == "basic")
    if used > 1:
        raise _one_way()
    named, secret = form.get("client_id"), form.get("client_secret")
    if "client_assertion" in form or "client_assertion_type" in form:
        said = _asserted(form)
    elif scheme.lower() == "basic":
        said = _basic(basic.strip())
    elif secret is not None:
        said = Presented(named, "client_secret_post", secret)
    else:
        said = Presented(named, "none")
    if named not in (None, said.client_id):
        raise _one_way()
    return said


def _asserted(form: Mapping[str, str]) -> Presented:
    if form.get("client_assertion_type") != client_assertion.TYPE:
        detail = f"client_assertion_type is {client_assertion.TYPE}."
        raise OAuthError(400, "invalid_request", detail)
    try:
        assertion = Assertion(form.get("client_assertion", ""))
    except NotAnAssertion:
        raise invalid_client() from None
    return Presented(assertion.client_id, "private_key_jwt", assertion=assertion)


def _basic(text: str) -> Presented:
    """RFC 7617, each half form-encoded as RFC 6749 §2.3.1 has it."""
    try:
        decoded = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid_client() from None
    name, colon, secret = decoded.partition(":")
    if not colon:
        raise invalid_client()
    return Presented(unquote_plus(name), "client_secret_basic", unquote_plus(secret))


def _one_way() -> OAuthError:
    return OAuthError(400, "invalid_request", "Authenticate in one way, as one client.")
