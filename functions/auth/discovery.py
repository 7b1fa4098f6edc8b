"""What the token service offers (OpenID Connect Discovery 1.0 §3, RFC 8414 §2)."""

import msgspec

from functions.auth.domain.roles import SCOPES


def metadata(issuer: str) -> bytes:
    """As JSON."""
    offered = {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "token_endpoint": f"{issuer}/oauth2/token",
        "grant_types_supported": ["refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "scopes_supported": sorted(SCOPES),
    }
    return msgspec.json.encode(offered)
