"""`PyJWKClient` (PyPI `pyjwt`): other servers that verify our tokens by the published keys."""

import asyncio
from pathlib import Path
from typing import Any

import jwt
import pytest
from jwt.types import Options
from requests_oauthlib import OAuth2Session

from tests.system.clients.world import World
from tests.system.test_key_rotation import serving
from tests.tokens import ISSUER
from tests.unit.auth.suite import running
from tests.unit.auth.test_key_rotation import rotate

CHECKS: dict[str, Any] = {"algorithms": ["ES256"], "options": {"require": ["exp", "iat", "sub", "jti"]}}

UNTIMED: Options = {"verify_exp": False, "verify_iat": False}
"""For a clock that is not that of the library."""


def test_access_tokens_and_id_tokens_are_verified_by_the_published_keys(
    world_of_clients: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    world = world_of_clients
    metadata = world.metadata()
    keys = jwt.PyJWKClient(metadata["jwks_uri"])
    with OAuth2Session(
        world.native.client_id, redirect_uri=world.redirect_uri, scope=["openid", "users:read"], pkce="S256"
    ) as session:
        landed = world.visit(session.authorization_url(metadata["authorization_endpoint"], nonce="n")[0])
        tokens = session.fetch_token(
            metadata["token_endpoint"], authorization_response=landed, include_client_id=True
        )
    key = keys.get_signing_key_from_jwt(tokens["access_token"])
    said = jwt.decode_complete(
        tokens["access_token"], key, audience=world.issuer, issuer=world.issuer, **CHECKS
    )
    assert (said["header"]["typ"], said["payload"]["client_id"]) == ("at+jwt", world.native.client_id)
    key = keys.get_signing_key_from_jwt(tokens["id_token"])
    of_id_token = CHECKS | {"options": {"require": ["exp", "iat", "sub", "auth_time", "at_hash"]}}
    audience = world.native.client_id
    person = jwt.decode(tokens["id_token"], key, audience=audience, issuer=world.issuer, **of_id_token)
    assert (person["sub"], person["nonce"]) == (said["payload"]["sub"], "n")
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(tokens["id_token"], key, audience=world.issuer, issuer=world.issuer, **of_id_token)


@pytest.mark.anyio
async def test_a_server_that_knows_the_old_keys_follows_a_rotation(tmp_path: Path) -> None:
    """J34: it fetches the new key with the first token that names it, and has the old one meanwhile.

    By itself it waits half a minute between two such fetches; a key is published for 15 minutes before.
    """
    async with running(tmp_path) as suite, serving(suite) as url:
        keys = jwt.PyJWKClient(f"{url}/.well-known/jwks.json", cooldown_duration=0)
        client, secret = await suite.add_machine("usage:read")

        async def verified(token: str) -> str:
            key = await asyncio.to_thread(keys.get_signing_key_from_jwt, token)
            jwt.decode(token, key, audience=ISSUER, algorithms=["ES256"], options=UNTIMED)
            return str(key.key_id)

        before = await suite.machine_token(client, secret)
        first = await verified(before)
        await rotate(suite)
        suite.clock.move(31)
        second = await verified(await suite.machine_token(client, secret))
        assert second != first
        assert await verified(before) == first
