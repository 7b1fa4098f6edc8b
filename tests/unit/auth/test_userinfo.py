"""Userinfo, metadata and the protocol endpoints as HTTP has them."""

from typing import Any

import msgspec
import pytest

from functions.auth import records
from functions.auth.domain.people import User
from functions.auth.domain.roles import SCOPES
from functions.auth.oauth.discovery import metadata
from shared.store import Create
from tests.tokens import ISSUER
from tests.unit.auth import applications
from tests.unit.auth.applications import Application, register
from tests.unit.auth.http_door import Door
from tests.unit.auth.suite import ACME, OWNER, Suite

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(suite: Suite) -> Application:
    return await register(suite, scopes=("openid", "email", "profile", "usage:read"))


async def bearer(suite: Suite, client: Application, owner: User, *scopes: str) -> dict[str, str]:
    tokens = await applications.given(suite, client, owner, *scopes)
    return {"Authorization": f"Bearer {tokens.access_token}"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_it_tells_what_the_scopes_allow(
    suite: Suite, door: Door, client: Application, owner: User, method: str
) -> None:
    """OpenID Connect Core §5.3, §5.4"""

    async def told(*scopes: str) -> Any:
        headers = await bearer(suite, client, owner, *scopes)
        answer = await door.client.request(method, "/oauth2/userinfo", headers=headers)
        assert answer.status_code == 200
        return answer.json()

    who = {"sub": owner.id, "tid": ACME}
    email = {"email": OWNER, "email_verified": True}
    assert await told("openid") == who
    assert await told("openid", "email") == who | email
    profile = {"name": "Ada Owner", "roles": ["owner"], "tier": "standard"}
    assert await told() == who | email | profile


async def test_refusals_are_those_of_rfc_6750(
    suite: Suite, door: Door, client: Application, owner: User
) -> None:
    """§3, §3.1; a token in the body is none (J33)."""
    signed_in = await suite.login()
    tried = {
        "": (401, "Bearer", "invalid_token"),
        "Bearer x": (401, 'Bearer error="invalid_token"', "invalid_token"),
        f"Bearer {signed_in.access_token}": (
            403,
            'Bearer error="insufficient_scope", scope="openid"',
            "insufficient_scope",
        ),
    }
    for header, expected in tried.items():
        headers = {"Authorization": header} if header else {}
        answer = await door.client.get("/oauth2/userinfo", headers=headers)
        challenge = answer.headers["www-authenticate"]
        assert (answer.status_code, challenge, answer.json()["error"]) == expected
    held = await applications.given(suite, client, owner)
    answer = await door.client.post("/oauth2/userinfo", data={"access_token": held.access_token})
    assert answer.status_code == 401


async def test_who_is_disabled_or_gone_is_nobody(
    suite: Suite, door: Door, client: Application, owner: User
) -> None:
    """Before the verifiers have heard of it."""
    headers = await bearer(suite, client, owner)
    key = suite.store.tenant(ACME).key("users", owner.id)
    (doc,) = await suite.store.read(key)
    assert doc is not None
    found = records.found(doc, User)
    assert found is not None
    marker = Create(suite.store.tenant(ACME).key("audit", "aud_test"), {})
    await suite.store.commit(marker, found.replace(msgspec.structs.replace(owner, status="disabled")))
    answer = await door.client.get("/oauth2/userinfo", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_the_endpoints_over_http(suite: Suite, door: Door, client: Application, owner: User) -> None:
    tokens = await applications.given(suite, client, owner)
    basic = {"Authorization": client.basic}
    looked = await door.client.post("/oauth2/introspect", data={"token": tokens.access_token}, headers=basic)
    assert (looked.status_code, looked.json()["active"]) == (200, True)
    assert looked.headers["cache-control"] == "no-store"
    gone = await door.client.post("/oauth2/revoke", data={"token": tokens.access_token}, headers=basic)
    assert (gone.status_code, gone.content) == (200, b"")
    nobody = await door.client.post("/oauth2/introspect", data={"token": "x"})
    assert (nobody.status_code, nobody.json()["error"]) == (401, "invalid_client")
    wrong = {"Authorization": applications.basic(client.id, "guess")}
    refused = await door.client.post("/oauth2/introspect", data={"token": "x"}, headers=wrong)
    assert refused.headers["www-authenticate"] == 'Basic realm="token"'


async def test_a_client_is_registered_once_for_each_key_and_its_secret_shown_once(
    suite: Suite, door: Door, owner: User
) -> None:
    headers = await door.bearer() | {"Idempotency-Key": "key-1"}
    body = {"name": "nightly", "kind": "confidential", "grant_types": ["client_credentials"], "scopes": []}
    made = await door.client.post("/v1/clients", json=body, headers=headers)
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    again = await door.client.post("/v1/clients", json=body, headers=headers)
    assert again.headers["idempotency-replayed"] == "true"
    assert made.json().keys() - again.json().keys() == {"client_secret"}
    one = f"/v1/clients/{made.json()['id']}"
    added = await door.client.post(f"{one}/secrets", json={}, headers=headers)
    key = await door.client.post(f"{one}/keys", json={"jwk": applications.jwk("EdDSA")}, headers=headers)
    assert (added.status_code, key.status_code) == (201, 201)
    shown = await door.client.get(one, headers=headers)
    assert len(shown.json()["secrets"]) == 2
    assert made.json()["client_secret"] not in shown.text
    assert (await door.client.get("/v1/clients", headers=headers)).json()["items"] == [shown.json()]
    removed = await door.client.delete(f"{one}/keys/eddsa", headers=headers)
    changed = await door.client.patch(one, json={"status": "disabled"}, headers=headers)
    assert (removed.status_code, changed.json()["status"], changed.json()["keys"]) == (204, "disabled", [])
    assert (await door.client.delete(one, headers=headers)).status_code == 204
    assert (await door.client.get(one, headers=headers)).status_code == 404


async def test_both_addresses_of_the_metadata_say_the_same_and_lead_somewhere(
    suite: Suite, door: Door
) -> None:
    """OpenID Connect Discovery §4, RFC 8414 §3"""
    paths = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]
    first, second = [await door.client.get(path) for path in paths]
    assert first.content == second.content
    assert first.headers["cache-control"] == "public, max-age=300"
    offered = first.json()
    assert (offered["issuer"], offered["end_session_endpoint"]) == (ISSUER, f"{ISSUER}/oauth2/logout")
    there = {f"{ISSUER}{route.path}" for route in suite.routes}
    named = {value for name, value in offered.items() if name.endswith(("_endpoint", "jwks_uri"))}
    assert named <= there
    assert set(offered["grant_types_supported"]) == set(suite.endpoint.grant_types)
    assert set(offered["scopes_supported"]) == SCOPES | {"openid", "email", "profile"}


def test_what_is_not_there_is_not_offered() -> None:
    offered = msgspec.json.decode(metadata(ISSUER, ["refresh_token"]))
    assert (offered["grant_types_supported"], offered["response_types_supported"]) == (["refresh_token"], [])
    pages = {"authorization_endpoint", "end_session_endpoint", "device_authorization_endpoint"}
    assert pages.isdisjoint(offered)
