"""Debian's `libapache2-mod-auth-openidc`: a site that signs people in, and an API that takes their tokens.

It talks plain http to an issuer, and is reached by it, as it is; its cookies are then not `Secure`.
"""

from collections.abc import Iterator

import httpx
import pytest

from tests.system.clients import apache, required
from tests.system.clients.browser import Browser
from tests.system.clients.world import World


@pytest.fixture
def site(world_of_clients: World) -> Iterator[str]:
    required.installed(
        apache.is_installed(),
        "apt-get install --no-install-recommends apache2-bin libapache2-mod-auth-openidc",
    )
    with apache.running(world_of_clients) as url:
        yield url


def test_a_site_signs_people_in_and_an_api_takes_their_tokens(world_of_clients: World, site: str) -> None:
    world = world_of_clients
    with httpx.Client(trust_env=False) as http:
        page = signed_in(world, http, f"{site}/people/")
        told = page.headers
        assert (page.status_code, told["x-remote-user"]) == (200, world.person.email)
        assert (told["x-tenant"], told["x-name"]) == (world.web.client_id.partition(".")[0], "Owner")

        later = http.get(f"{site}/people/").headers
        assert later["x-refresh-token"] != told["x-refresh-token"], "it refreshes with each page here"

        answer = httpx.get(f"{site}/api/", headers={"authorization": f"Bearer {later['x-access-token']}"})
        assert (answer.status_code, answer.headers["x-remote-user"]) == (200, told["x-subject"])
        assert httpx.get(f"{site}/api/", headers={"authorization": "Bearer none"}).status_code == 401

        leaving = http.get(f"{site}/callback", params={"logout": world.signed_out_uri})
        ending = leaving.headers["location"]
        assert ending.startswith(f"{world.issuer}/oauth2/logout?id_token_hint=")
        assert http.get(ending).headers["location"] == world.signed_out_uri, "nobody is asked"
        silent = http.get(f"{site}/people/").headers["location"]
        assert "error=login_required" in http.get(f"{silent}&prompt=none").headers["location"]

        assert http.get(f"{site}/people/").headers["location"].startswith(f"{world.issuer}/oauth2/authorize")
        form = {"grant_type": "refresh_token", "refresh_token": later["x-refresh-token"]}
        client = (world.web.client_id, world.web.client_secret)
        refused = httpx.post(f"{world.issuer}/oauth2/token", data=form, auth=client)
        assert refused.json()["error"] == "invalid_grant", "it gave its tokens back (RFC 7009)"


def signed_in(world: World, http: httpx.Client, url: str) -> httpx.Response:
    """The page that was asked for, after all redirects."""
    location = http.get(url).headers["location"]
    back = Browser(http, world.issuer, world.person).visit(location)
    return http.get(back, follow_redirects=True)
