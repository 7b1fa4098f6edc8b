"""Authlib (PyPI) with its `requests` client. It takes plain http on a loopback address as it is."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.core import CodeIDToken, UserInfo
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from tests.system.clients.world import DEVICE_CODE, World

NONCE = "a nonce"
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")


@pytest.fixture
def metadata(world_of_clients: World) -> dict[str, Any]:
    return world_of_clients.metadata()


def session(world: World, metadata: dict[str, Any], method: str) -> OAuth2Session:
    """The confidential client, or the public one where `method` is `none`."""
    client = world.native if method == "none" else world.web
    signs = method == "private_key_jwt"
    made = OAuth2Session(
        client.client_id,
        ECKey.import_key({**client.private_jwk}) if signs else client.client_secret or None,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        redirect_uri=world.redirect_uri,
        scope=world.scope,
        code_challenge_method="S256",
        token_endpoint=metadata["token_endpoint"],
    )
    made.register_client_auth_method(PrivateKeyJWT(metadata["token_endpoint"], alg="ES256"))
    return made


def signed_in(world: World, metadata: dict[str, Any], client: OAuth2Session) -> dict[str, Any]:
    """The token endpoint's answer to a code."""
    verifier = generate_token(48)
    url, state = client.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=NONCE
    )
    landed = world.visit(url)
    assert parse_qs(urlsplit(landed).query)["iss"] == [world.issuer]
    tokens: dict[str, Any] = client.fetch_token(
        authorization_response=landed, state=state, code_verifier=verifier
    )
    return tokens


def id_token(
    world: World, metadata: dict[str, Any], client: OAuth2Session, tokens: dict[str, Any]
) -> CodeIDToken:
    """As validated (OpenID Connect Core §3.1.3.7)."""
    keys = KeySet.import_key_set(client.get(metadata["jwks_uri"]).json())
    algorithms = metadata["id_token_signing_alg_values_supported"]
    decoded = jwt.decode(tokens["id_token"], keys, algorithms=algorithms)
    options = {"iss": {"value": world.issuer}, "aud": {"value": client.client_id}}
    params = {"nonce": NONCE, "client_id": client.client_id, "access_token": tokens["access_token"]}
    claims = CodeIDToken(decoded.claims, decoded.header, options, params)
    claims.validate()
    return claims


def test_the_metadata_is_complete_and_valid(metadata: dict[str, Any]) -> None:
    OpenIDProviderMetadata(metadata).validate()
    AuthorizationServerMetadata(metadata).validate()


@pytest.mark.parametrize("method", METHODS)
def test_a_person_signs_in_and_out(world_of_clients: World, metadata: dict[str, Any], method: str) -> None:
    world = world_of_clients
    with session(world, metadata, method) as client:
        tokens = signed_in(world, metadata, client)
        claims = id_token(world, metadata, client, tokens)
        assert {"nonce", "at_hash", "auth_time"} <= claims.keys()
        person = UserInfo(client.get(metadata["userinfo_endpoint"]).json())
        told = (person.sub, person.email, person.email_verified)
        assert told == (claims["sub"], world.person.email, True)
        fresh = client.refresh_token()
        assert fresh["refresh_token"] != tokens["refresh_token"]
        client.revoke_token(metadata["revocation_endpoint"], fresh["refresh_token"], "refresh_token")
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.refresh_token(refresh_token=fresh["refresh_token"])


@pytest.mark.parametrize("method", [method for method in METHODS if method != "none"])
def test_tokens_are_introspected(world_of_clients: World, metadata: dict[str, Any], method: str) -> None:
    endpoint = metadata["introspection_endpoint"]
    with session(world_of_clients, metadata, method) as client:
        tokens = signed_in(world_of_clients, metadata, client)
        told = client.introspect_token(endpoint, tokens["access_token"], "access_token").json()
        assert (told["active"], told["client_id"], told["token_type"]) == (True, client.client_id, "Bearer")
        client.revoke_token(metadata["revocation_endpoint"], tokens["access_token"], "access_token")
        assert client.introspect_token(endpoint, tokens["refresh_token"]).json() == {"active": False}


def test_a_machine_gets_a_token_for_another_api(world_of_clients: World, metadata: dict[str, Any]) -> None:
    machine, resource = world_of_clients.machine, world_of_clients.resource
    with OAuth2Session(machine.client_id, machine.client_secret, scope="usage:read") as client:
        got = client.fetch_token(
            metadata["token_endpoint"], grant_type="client_credentials", resource=resource
        )
        assert (got["scope"], "refresh_token" in got) == ("usage:read", False)
        told = client.introspect_token(metadata["introspection_endpoint"], got["access_token"]).json()
        assert told["aud"] == resource


def test_a_device_is_connected(world_of_clients: World, metadata: dict[str, Any]) -> None:
    with session(world_of_clients, metadata, "none") as client:
        form = {"client_id": client.client_id, "scope": "openid users:read"}

        def ask() -> dict[str, str]:
            endpoint = metadata["device_authorization_endpoint"]
            answer: dict[str, str] = client.post(endpoint, data=form, withhold_token=True).json()
            return answer

        def redeem(asked: dict[str, str]) -> dict[str, Any]:
            got: dict[str, Any] = client.fetch_token(grant_type=DEVICE_CODE, device_code=asked["device_code"])
            return got

        waiting, allowed, denied = ask(), ask(), ask()
        world_of_clients.visit(allowed["verification_uri_complete"], "allow")
        world_of_clients.visit(denied["verification_uri_complete"], "deny")
        assert {"access_token", "refresh_token", "id_token"} <= redeem(allowed).keys()
        with pytest.raises(OAuthError, match="authorization_pending"):
            redeem(waiting)
        with pytest.raises(OAuthError, match="slow_down"):
            redeem(waiting)
        with pytest.raises(OAuthError, match="access_denied"):
            redeem(denied)
