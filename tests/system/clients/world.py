"""A tenant with one OAuth client of each kind, for clients that nobody here wrote."""

import json
from typing import Any

import httpx
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from tests import customers
from tests.customers import PASSWORD
from tests.suite import Suite
from tests.system.clients.browser import Browser, Person

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
REDIRECT_URI = "http://127.0.0.1:49152/callback"
"""Nothing listens there: the browser stops before."""
SIGNED_OUT_URI = "http://127.0.0.1:49152/signed-out"
RESOURCE = "https://files.example/api"
"""Another API of the tenant."""
SCOPES = "openid email profile offline_access users:read"


class Client(msgspec.Struct, frozen=True):
    """`client_secret` is empty for a public one, `private_jwk` for one that registered no key."""

    client_id: str
    client_secret: str = ""
    private_jwk: dict[str, str] = {}


class World(msgspec.Struct, frozen=True):
    """`web` is confidential and proves itself in each of three ways; `native` is public; `machine` is a
    confidential one that nobody signs in to.
    """

    issuer: str
    redirect_uri: str
    signed_out_uri: str
    resource: str
    scope: str
    person: Person
    web: Client
    native: Client
    machine: Client

    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.issuer}/.well-known/openid-configuration").json()
        return found

    def visit(self, url: str, button: str = "") -> str:
        """With a new browser; see there."""
        with httpx.Client(trust_env=False) as http:
            return Browser(http, self.issuer, self.person).visit(url, button)


def build(suite: Suite) -> World:
    customer = customers.take_on(suite)
    registration = Registration(suite, customer.access_token)
    key = ec.generate_private_key(ec.SECP256R1())
    by_code = ["authorization_code", "refresh_token"]
    people = {
        "redirect_uris": [REDIRECT_URI],
        "post_logout_redirect_uris": [SIGNED_OUT_URI],
        "resources": [RESOURCE],
        "scopes": _registered(SCOPES),
    }
    web = registration.client("Web", kind="confidential", grant_types=by_code, **people)
    private = registration.key(web.client_id, key)
    return World(
        issuer=suite.gateway,
        redirect_uri=REDIRECT_URI,
        signed_out_uri=SIGNED_OUT_URI,
        resource=RESOURCE,
        scope=SCOPES,
        person=Person(customer.slug, f"owner@{customer.slug}.example", PASSWORD),
        web=msgspec.structs.replace(web, private_jwk=private),
        native=registration.client("Native", kind="public", grant_types=[*by_code, DEVICE_CODE], **people),
        machine=registration.client(
            "Machine",
            kind="confidential",
            grant_types=["client_credentials"],
            resources=[RESOURCE],
            scopes=["users:read", "usage:read"],
        ),
    )


class Registration:
    """As the tenant's administrator."""

    def __init__(self, suite: Suite, access_token: str) -> None:
        self._url = f"{suite.gateway}/v1/clients"
        self._headers = {"authorization": f"Bearer {access_token}"}

    def client(self, name: str, **wanted: Any) -> Client:
        made = self._post(self._url, {"name": name, **wanted})
        return Client(made["client_id"], made.get("client_secret", ""))

    def key(self, client_id: str, key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
        """Registers its public half. Returns the private one as a JWK."""
        public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        known = self._post(f"{self._url}/{client_id.rpartition('.')[2]}/keys", {"jwk": public})
        private = jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True)
        return {**private, "kid": known["kid"]}

    def _post(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = httpx.post(url, json=body, headers=self._headers)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


def _registered(scope: str) -> list[str]:
    """All but the one that no client registers."""
    return [each for each in scope.split() if each != "offline_access"]


def as_argument(world: World) -> str:
    """For a program in another language."""
    return json.dumps(msgspec.to_builtins(world))
