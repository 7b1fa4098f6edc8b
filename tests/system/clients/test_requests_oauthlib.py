"""requests-oauthlib (PyPI). OAUTHLIB_INSECURE_TRANSPORT=1 lets it talk plain http."""

from urllib.parse import parse_qs, urlsplit

import pytest
from oauthlib.oauth2 import BackendApplicationClient, InvalidGrantError, LegacyApplicationClient
from oauthlib.oauth2.rfc6749.errors import OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from tests.system.clients.world import World

SCOPES = ["openid", "email", "users:read"]


@pytest.fixture(autouse=True)
def _plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.mark.parametrize("method", ["basic", "post", "none"])
def test_a_person_signs_in_and_the_session_refreshes_itself(world_of_clients: World, method: str) -> None:
    world = world_of_clients
    client = world.native if method == "none" else world.web
    endpoint = f"{world.issuer}/oauth2/token"
    kept: list[dict[str, str]] = []
    in_form = {"client_id": client.client_id} | (
        {"client_secret": client.client_secret} if method == "post" else {}
    )
    with OAuth2Session(
        client.client_id,
        redirect_uri=world.redirect_uri,
        scope=SCOPES,
        pkce="S256",
        auto_refresh_url=endpoint,
        auto_refresh_kwargs=in_form,
        token_updater=kept.append,
    ) as session:
        url, state = session.authorization_url(f"{world.issuer}/oauth2/authorize", nonce="a nonce")
        landed = world.visit(url)
        assert parse_qs(urlsplit(landed).query)["state"] == [state]
        basic = HTTPBasicAuth(client.client_id, client.client_secret) if method == "basic" else None
        tokens = session.fetch_token(
            endpoint,
            authorization_response=landed,
            auth=basic,
            include_client_id=method != "basic",
            client_secret=client.client_secret or None,
        )
        assert set(tokens["scope"]) == set(SCOPES)
        assert session.get(f"{world.issuer}/oauth2/userinfo").json()["email"] == world.person.email
        if method == "basic":
            fresh = session.refresh_token(endpoint, auth=basic)
        else:
            session.token = {**tokens, "expires_in": -1, "expires_at": 1}
            assert session.get(f"{world.issuer}/oauth2/userinfo").status_code == 200
            (fresh,) = kept
        assert fresh["refresh_token"] != tokens["refresh_token"]


def test_a_code_is_of_no_use_to_another_session(world_of_clients: World) -> None:
    """RFC 7636 §1: whoever catches it lacks the verifier."""
    world = world_of_clients

    def session() -> OAuth2Session:
        return OAuth2Session(
            world.native.client_id, redirect_uri=world.redirect_uri, scope=SCOPES, pkce="S256"
        )

    with session() as mine, session() as other:
        url, thief = (each.authorization_url(f"{world.issuer}/oauth2/authorize")[0] for each in (mine, other))
        assert url != thief
        (code,) = parse_qs(urlsplit(world.visit(url)).query)["code"]
        with pytest.raises(InvalidGrantError):
            other.fetch_token(f"{world.issuer}/oauth2/token", code=code, include_client_id=True)


def test_a_machine_gets_a_token(world_of_clients: World) -> None:
    machine = world_of_clients.machine
    with OAuth2Session(client=BackendApplicationClient(machine.client_id, scope=["usage:read"])) as session:
        tokens = session.fetch_token(
            f"{world_of_clients.issuer}/oauth2/token", client_secret=machine.client_secret
        )
    assert (tokens["token_type"], tokens["scope"]) == ("Bearer", ["usage:read"])


def test_a_password_is_no_grant(world_of_clients: World) -> None:
    """RFC 9700 §2.4: what this library still offers is told to be gone."""
    web, person = world_of_clients.web, world_of_clients.person
    with (
        OAuth2Session(client=LegacyApplicationClient(web.client_id)) as session,
        pytest.raises(OAuth2Error, match="unsupported_grant_type"),
    ):
        session.fetch_token(
            f"{world_of_clients.issuer}/oauth2/token",
            username=person.email,
            password=person.password,
            client_secret=web.client_secret,
        )
