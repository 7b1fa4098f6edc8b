"""Authorization requests (RFC 6749 §4.1.1, OpenID Connect Core 1.0 §3.1.2.1): read, judged, answered."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

import msgspec

from functions.auth.domain import pkce
from functions.auth.domain.assurance import acr_of
from functions.auth.domain.oauth_client import unregistered_resource
from shared import base64url
from shared.errors import BadRequest, OAuthError

Pairs = Sequence[tuple[str, str]]

OFFLINE_ACCESS = "offline_access"
"""Taken and left out (OpenID Connect Core §11): which client gets refresh tokens is said by its grants."""

MAX_STATE = 2048
"""Of `state` and of `nonce`, in characters."""

_PROMPTS = frozenset({"none", "login", "select_account", "consent"})
_UNSUPPORTED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")
_MAX_AGE = re.compile(r"[0-9]{1,9}")


class AuthorizationRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is left to know of a request that was found good. `scope`: None where none was named.

    `subject`: the one user whom the client wants an answer about; None for whoever signs in.
    `second_factor`: whether it takes one (RFC 9470 §4).
    """

    client_id: str
    redirect_uri: str
    code_challenge: str
    scope: str | None = None
    state: str | None = None
    nonce: str | None = None
    prompt: tuple[str, ...] = ()
    max_age_seconds: int | None = None
    resource: str | None = None
    login_hint: str = ""
    subject: str | None = None
    second_factor: bool = False

    @property
    def is_silent(self) -> bool:
        """Nobody may be asked anything: `prompt=none`."""
        return "none" in self.prompt


class _Hint(msgspec.Struct, frozen=True):
    """What counts of an ID token that is shown as a hint."""

    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Addressee(msgspec.Struct, frozen=True):
    """To whom an answer would go; not yet known to be a client's own address."""

    client_id: str
    redirect_uri: str


def addressee(pairs: Pairs) -> Addressee:
    """Raises `BadRequest`, to be shown to the person: until this is proven nothing is sent anywhere."""
    client_id, redirect_uri = _only(pairs, "client_id"), _only(pairs, "redirect_uri")
    if client_id is None or redirect_uri is None:
        detail = "The application's request lacks client_id or redirect_uri, or has one of them twice."
        raise BadRequest("invalid_authorization_request", detail)
    return Addressee(client_id, redirect_uri)


def state_of(pairs: Pairs) -> str | None:
    """What an answer repeats, an error too."""
    state = _only(pairs, "state")
    return None if state is None or len(state) > MAX_STATE else state


def read(pairs: Pairs, to: Addressee, audiences: Collection[str]) -> AuthorizationRequest:
    """Parameters that we do not know, or that have no value, count as left out (RFC 6749 §3.1).

    `audiences`: the resources that the client may ask tokens for. Raises `OAuthError` with the codes of
    RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6 and RFC 8707 §2.
    """
    given = {name: value for name, value in pairs if value}
    if len(given) != sum(1 for _, value in pairs if value):
        raise _refused("invalid_request", "A parameter comes twice.")
    for name, error in _UNSUPPORTED.items():
        if name in given:
            raise _refused(error, f"Send the parameters themselves instead of {name}.")
    _require_code_flow(given.get("response_type"), given.get("response_mode"))
    for name in ("state", "nonce"):
        if len(given.get(name, "")) > MAX_STATE:
            raise _refused("invalid_request", f"{name} has more than {MAX_STATE} characters.")
    return AuthorizationRequest(
        client_id=to.client_id,
        redirect_uri=to.redirect_uri,
        code_challenge=_challenge(given.get("code_challenge"), given.get("code_challenge_method")),
        scope=api_scope(given.get("scope")),
        state=given.get("state"),
        nonce=given.get("nonce"),
        prompt=_prompt(given.get("prompt")),
        max_age_seconds=_max_age(given.get("max_age")),
        resource=_resource(given.get("resource"), audiences),
        login_hint=_login_hint(given.get("login_hint", "")),
        subject=_subject(given.get("id_token_hint")),
        second_factor=_is_second_factor_asked_for(given.get("acr_values", "")),
    )


def api_scope(text: str | None) -> str | None:
    """`scope`, each once, without `offline_access`. Raises `OAuthError` `invalid_scope` for what is none."""
    if text is None:
        return None
    scopes = text.split(" ")
    if not all(map(_SCOPE_TOKEN.fullmatch, scopes)):
        raise _refused("invalid_scope", "scope is a list of words with one space between each two.")
    return " ".join(scope for scope in dict.fromkeys(scopes) if scope != OFFLINE_ACCESS)


def must_sign_in(request: AuthorizationRequest, authenticated_at: datetime, at: datetime) -> bool:
    """Whether a sign-in is too old for the request, or not to be relied on at all."""
    if "login" in request.prompt or "select_account" in request.prompt:
        return True
    age = request.max_age_seconds
    return age is not None and at - authenticated_at > timedelta(seconds=age)


def unmet(request: AuthorizationRequest, user_id: str, amr: Collection[str]) -> OAuthError | None:
    """Why a sign-in of that user by those methods is none for this request, whenever it was."""
    if request.subject not in (None, user_id):
        return _refused("login_required", "Somebody else is signed in than id_token_hint names.")
    if request.second_factor and acr_of(amr) != "aal2":
        return _refused("unmet_authentication_requirements", "This person has no second factor to show.")
    return None


def answer(redirect_uri: str, issuer: str, state: str | None, **parameters: str) -> str:
    """The address with an answer in its query, and with it who gives it (RFC 9207)."""
    query = {**parameters, **({} if state is None else {"state": state}), "iss": issuer}
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(query)}"


def _only(pairs: Pairs, wanted: str) -> str | None:
    values = [value for name, value in pairs if name == wanted]
    return values[0] if len(values) == 1 and values[0] else None


def _require_code_flow(response_type: str | None, response_mode: str | None) -> None:
    if response_type is None:
        raise _refused("invalid_request", "response_type is missing.")
    if response_type != "code":
        raise _refused("unsupported_response_type", "Use response_type code.")
    if response_mode not in (None, "query"):
        raise _refused("invalid_request", "Use response_mode query.")


def _challenge(challenge: str | None, method: str | None) -> str:
    if challenge is None:
        raise _refused("invalid_request", "code_challenge is missing: PKCE is required (RFC 7636).")
    if method != "S256":
        raise _refused("invalid_request", "Use code_challenge_method S256.")
    if not pkce.is_challenge(challenge):
        raise _refused("invalid_request", "code_challenge is no SHA-256 in base64url without padding.")
    return challenge


def _resource(text: str | None, audiences: Collection[str]) -> str | None:
    if text is not None and text not in audiences:
        raise unregistered_resource()
    return text


def _prompt(text: str | None) -> tuple[str, ...]:
    values = set() if text is None else set(text.split(" "))
    if not values <= _PROMPTS or ("none" in values and len(values) > 1):
        raise _refused("invalid_request", "prompt is none alone, or of login, select_account and consent.")
    return tuple(sorted(values))


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if _MAX_AGE.fullmatch(text) is None:
        raise _refused("invalid_request", "max_age is a number of seconds.")
    return int(text)


def _login_hint(text: str) -> str:
    """For the e-mail field; what cannot be an address is no hint."""
    return text if len(text) <= 254 and text.isprintable() else ""


def _subject(hint: str | None) -> str | None:
    """Whose ID token it is, whoever signed it and however long ago: a false one only keeps people out."""
    if hint is None:
        return None
    try:
        return msgspec.json.decode(base64url.decode(hint.split(".")[1]), type=_Hint).sub
    except (IndexError, ValueError, RecursionError):
        raise _refused("invalid_request", "id_token_hint is no ID token.") from None


def _is_second_factor_asked_for(acr_values: str) -> bool:
    """Where a password alone is not among what would do; levels that we do not know are not looked at."""
    values = acr_values.split(" ")
    return "aal2" in values and "aal1" not in values


def _refused(error: str, description: str) -> OAuthError:
    return OAuthError(400, error, description)
