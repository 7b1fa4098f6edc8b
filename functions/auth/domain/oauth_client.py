"""OAuth clients: the applications of a tenant, where they may be sent back to, and what they may ask for."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from functions.auth.domain import client_id as client_ids
from functions.auth.domain import roles
from functions.auth.domain.credentials import ClientSecret, PublicKey
from functions.auth.domain.machines import STILL_ISSUING, Status
from shared.errors import Conflict, Forbidden, Invalid, OAuthError, invalid

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
GrantType = Literal[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
]
Kind = Literal["confidential", "public"]

OIDC_SCOPES = frozenset({"openid", "profile", "email"})
"""What a client may ask to know of a person; everybody can grant these."""
MAX_REDIRECT_URIS = 20
MAX_RESOURCES = 10
MAX_SCOPES = 50
MAX_URI_CHARACTERS = 1000

_PLAIN = re.compile(r"[!#-)+-;=?-\[\]_a-z~]+")
"""Of what a URI here is made: printable ASCII without `"*<>^|`, backslash, backquote and braces."""
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost)(?::[0-9]{1,5})?(/[^#]*)?")
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:/[^#]*")


class OAuthClient(msgspec.Struct, frozen=True):
    """`redirect_uris` are compared as they are, but for the port of a loopback address (RFC 8252 §7.3);
    `post_logout_redirect_uris`, where the browser may go after a sign-out, as they are.

    `resources` are the other APIs that it may ask tokens for (RFC 8707). A public client holds no secret.
    """

    id: str
    tenant_id: str
    name: str
    kind: Kind
    redirect_uris: tuple[str, ...]
    grant_types: tuple[GrantType, ...]
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    secrets: tuple[ClientSecret, ...]
    keys: tuple[PublicKey, ...]
    created_by: str
    created_at: datetime
    status: Status = "active"
    post_logout_redirect_uris: tuple[str, ...] = ()

    @property
    def client_id(self) -> str:
        """What the client calls itself."""
        return client_ids.of(self.tenant_id, self.id)


def redirects_to(client: OAuthClient, uri: str) -> bool:
    """Whether `uri` is registered: the same characters, or the same loopback address with another port."""
    if uri in client.redirect_uris:
        return True
    asked = _loopback(uri)
    return asked is not None and any(asked == _loopback(known) for known in client.redirect_uris)


def returns_to(client: OAuthClient, uri: str) -> bool:
    """Whether the browser may go to `uri` after a sign-out (OpenID Connect RP-Initiated Logout 1.0 §3)."""
    return uri in client.post_logout_redirect_uris


def scopes_for(client: OAuthClient, held: Collection[str], asked: str | None) -> tuple[str, ...]:
    """What a person who has the scopes `held` gives to the client: those asked for, or all that are
    registered, without those that the person lacks (RFC 6749 §3.3), sorted.

    Raises `OAuthError` `invalid_scope` for one that is not registered, and where none is left.
    """
    wanted = roles.narrowed(client.scopes, asked)
    given = tuple(sorted(scope for scope in wanted if scope in OIDC_SCOPES or scope in held))
    if not given:
        raise OAuthError(400, "invalid_scope", "This person can grant none of these scopes. Ask for others.")
    return given


def still_granted(client: OAuthClient | None, scopes: Sequence[str]) -> tuple[str, ...]:
    """Those of a session's scopes that its client is registered for now; all of them for the app (None)."""
    return tuple(scope for scope in scopes if client is None or scope in client.scopes)


def of_machines(scopes: Sequence[str]) -> tuple[str, ...]:
    """The scopes that make sense without a person."""
    return tuple(scope for scope in scopes if scope not in OIDC_SCOPES)


def check(client: OAuthClient) -> None:
    """Checks that the client's fields fit together. Raises `Invalid`, which names the field."""
    _check_redirects("/redirect_uris", client.redirect_uris, client.kind)
    _check_redirects("/post_logout_redirect_uris", client.post_logout_redirect_uris, client.kind)
    if len(client.resources) > MAX_RESOURCES:
        raise invalid("/resources", "too_many", f"Give at most {MAX_RESOURCES} resources.")
    for index, uri in enumerate(client.resources):
        if not _is_https(uri):
            raise invalid(f"/resources/{index}", "invalid_uri", "Give an https URI without a fragment.")
    _check_grants(client)


def require_credentials(client: OAuthClient, scopes: Collection[str]) -> None:
    """Raises `Conflict` `public_client` for one that can keep no secret, and `Forbidden`
    `scope_not_grantable`: who gives a client a new secret could be that client from then on.
    """
    if client.kind == "public":
        raise Conflict(
            "public_client", "A public client has no secrets and no keys. Register a confidential one."
        )
    require_equal(client, scopes)


def require_equal(client: OAuthClient, scopes: Collection[str]) -> None:
    """Raises `Forbidden` `scope_not_grantable` for a caller who lacks a scope of the client."""
    if not set(scopes).issuperset(of_machines(client.scopes)):
        detail = "This client may more than you. Ask somebody who has all of its scopes."
        raise Forbidden("scope_not_grantable", detail)


def is_led_elsewhere(before: OAuthClient, after: OAuthClient) -> bool:
    """Whether codes, tokens or people may go where they could not go before, or go again."""
    more = (
        set(after.redirect_uris) - set(before.redirect_uris),
        set(after.post_logout_redirect_uris) - set(before.post_logout_redirect_uris),
        set(after.grant_types) - set(before.grant_types),
        set(after.resources) - set(before.resources),
    )
    return any(more) or (before.status != "active" and after.status == "active")


def over_at(before: OAuthClient, after: OAuthClient, at: datetime) -> datetime | None:
    """Up to which `iat` a change ends the client's access tokens, those for people included, because it was
    disabled or has fewer scopes; None: it ends none.
    """
    disabled = before.status == "active" and after.status == "disabled"
    return at + STILL_ISSUING if disabled or not set(before.scopes) <= set(after.scopes) else None


def grantable(asked: Sequence[str], own: frozenset[str], tenant_id: str) -> tuple[str, ...]:
    """What a client may ask for, sorted. Raises `Invalid`, and `Forbidden` beyond the caller's own."""
    if len(asked) > MAX_SCOPES:
        raise invalid("/scopes", "too_many", f"Give at most {MAX_SCOPES} scopes.")
    roles.require_known(asked, roles.SCOPES | OIDC_SCOPES)
    of_the_api = set(asked) - OIDC_SCOPES
    if not own >= of_the_api or not roles.exist_in(tenant_id, of_the_api):
        raise Forbidden(
            "scope_not_grantable", "A client gets no scope that you do not have yourself. Leave it out."
        )
    return tuple(sorted(set(asked)))


def unregistered_grant() -> OAuthError:
    """For a client that uses a grant type which it is not registered for."""
    detail = "This client may not use this grant type. Register it with the client."
    return OAuthError(400, "unauthorized_client", detail)


def unregistered_resource() -> OAuthError:
    """For a client that names an API which it is not registered for (RFC 8707 §2)."""
    detail = "The client may not ask for tokens for this resource. Register it, or leave it out."
    return OAuthError(400, "invalid_target", detail)


def _check_grants(client: OAuthClient) -> None:
    grants = set(client.grant_types)
    by_person = grants & {"authorization_code", DEVICE_CODE}
    if not grants - {"refresh_token"}:
        raise invalid("/grant_types", "required", "Give a grant type beside refresh_token.")
    if "refresh_token" in grants and not by_person:
        detail = "refresh_token goes with authorization_code or device_code only."
        raise invalid("/grant_types", "invalid_value", detail)
    if client.kind == "public" and "client_credentials" in grants:
        raise invalid("/grant_types", "invalid_value", "A public client cannot have client_credentials.")
    if ("authorization_code" in grants) != bool(client.redirect_uris):
        detail = "Redirect URIs and authorization_code go together: give both or neither."
        raise invalid("/redirect_uris", "invalid_value", detail)


def _check_redirects(field: str, uris: Sequence[str], kind: Kind) -> None:
    if len(uris) > MAX_REDIRECT_URIS:
        raise invalid(field, "too_many", f"Give at most {MAX_REDIRECT_URIS} redirect URIs.")
    for index, uri in enumerate(uris):
        if not _may_redirect(uri, kind):
            raise _bad_redirect(f"{field}/{index}")


def _bad_redirect(path: str) -> Invalid:
    detail = (
        "Give an https URI, http://127.0.0.1/, http://[::1]/ or http://localhost/, or for a public client a"
        " scheme of its own with a dot, like com.example.app:/callback. No fragment, no wildcard, no user."
    )
    return invalid(path, "invalid_uri", detail)


def _may_redirect(uri: str, kind: Kind) -> bool:
    if len(uri) > MAX_URI_CHARACTERS or not _PLAIN.fullmatch(uri):
        return False
    if _is_https(uri) or _loopback(uri) is not None:
        return True
    return kind == "public" and _PRIVATE_USE.fullmatch(uri) is not None


def _is_https(uri: str) -> bool:
    if len(uri) > MAX_URI_CHARACTERS or not _PLAIN.fullmatch(uri) or not uri.startswith("https://"):
        return False
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018 - raises for one that is no port
    except ValueError:
        return False
    return bool(parts.hostname) and "@" not in parts.netloc and "#" not in uri


def _loopback(uri: str) -> tuple[str, str] | None:
    """Host and what follows the port."""
    match = _LOOPBACK.fullmatch(uri)
    return None if match is None else (match[1], match[2] or "")
