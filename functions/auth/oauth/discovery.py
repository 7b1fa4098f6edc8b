"""Discovery metadata (OpenID Connect Discovery 1.0 §3, RFC 8414 §2): what works, and nothing else."""

from collections.abc import Collection
from typing import Any

import msgspec

from functions.auth.domain import jwk
from functions.auth.domain.oauth_client import DEVICE_CODE, OIDC_SCOPES
from functions.auth.domain.roles import SCOPES
from functions.auth.oauth.presented_client import METHODS
from functions.auth.oauth.userinfo import Claims
from shared.keyring import ALGORITHMS

_ID_TOKEN = ("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid", "tid")


def metadata(issuer: str, grant_types: Collection[str]) -> bytes:
    """The metadata document as JSON. `grant_types` are those of the token endpoint."""
    proven = [method for method in METHODS if method != "none"]
    algorithms = sorted(jwk.ALGORITHMS.values())
    offered: dict[str, Any] = {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "token_endpoint": f"{issuer}/oauth2/token",
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint": f"{issuer}/oauth2/introspect",
        "introspection_endpoint_auth_methods_supported": proven,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint": f"{issuer}/oauth2/revoke",
        "revocation_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "userinfo_endpoint": f"{issuer}/oauth2/userinfo",
        "grant_types_supported": sorted(grant_types),
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted(ALGORITHMS),  # a rotation may change it
        "scopes_supported": sorted(SCOPES | OIDC_SCOPES),
        "claims_supported": sorted({*_ID_TOKEN, *Claims.__struct_fields__}),
        "acr_values_supported": ["aal1", "aal2"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
    if "authorization_code" in grant_types:
        offered |= _of_the_code_flow(issuer)
    if DEVICE_CODE in grant_types:
        offered["device_authorization_endpoint"] = f"{issuer}/oauth2/device_authorization"
    return msgspec.json.encode(offered)


def _of_the_code_flow(issuer: str) -> dict[str, Any]:
    return {
        "authorization_endpoint": f"{issuer}/oauth2/authorize",
        "end_session_endpoint": f"{issuer}/oauth2/logout",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": ["none", "login", "select_account", "consent"],
    }
