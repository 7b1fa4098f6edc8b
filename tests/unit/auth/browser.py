"""A browser for tests of the hosted pages: keeps cookies, fills in forms, follows nothing by itself."""

import base64
import hashlib
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import msgspec

from functions.auth import records
from functions.auth.domain import credentials
from functions.auth.domain.oauth_client import GrantType, OAuthClient
from shared.logs import Access
from shared.store import Create
from shared.store.bodies import to_body
from tests.tokens import ISSUER
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite

DEVICE_CODE: GrantType = "urn:ietf:params:oauth:grant-type:device_code"
CALLBACK = "https://app.example/callback"
SECRET = "a secret that only the test has"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
GRANTS: tuple[GrantType, ...] = ("authorization_code", "refresh_token", DEVICE_CODE)

_FORM = re.compile(r'<form method="post" action="([^"]+)">')
_INPUT = re.compile(r"<input([^>]*)>")
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')


async def add_client(suite: Suite, own_id: str = "cli_web", tenant_id: str = ACME, **changes: Any) -> str:
    """A confidential client of `tenant_id` with `SECRET`; its client id."""
    at = suite.clock()
    client = OAuthClient(
        id=own_id,
        tenant_id=tenant_id,
        name="Acme <Reports>",
        kind="confidential",
        redirect_uris=(CALLBACK,),
        grant_types=GRANTS,
        scopes=("email", "openid", "profile", "tenant:read", "users:read"),
        resources=("https://files.example",),
        secrets=(credentials.hashed("sec_1", SECRET, at),),
        keys=(),
        created_by="usr_test",
        created_at=at,
    )
    client = msgspec.structs.replace(client, **changes)
    if client.kind == "public":
        client = msgspec.structs.replace(client, secrets=())
    await suite.store.inner.commit(
        Create(records.client_key(suite.store, tenant_id, own_id), to_body(client))
    )
    return f"{tenant_id}.{own_id}"


class Browser:
    """Each has cookies of its own. `answer` is what it shows now."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.logged: list[Access] = []
        self.app = suite.app(self.logged.append)
        transport = httpx.ASGITransport(self.app)
        self.client = httpx.AsyncClient(transport=transport, base_url=ISSUER)
        self.answer = httpx.Response(200)

    async def get(self, path: str, **query: str) -> httpx.Response:
        self.answer = await self.client.get(path, params=query or None)
        return self.answer

    async def send(self, **fields: str) -> httpx.Response:
        """Sends the form that is shown, with `fields` filled in."""
        action = _FORM.search(self.answer.text)
        assert action is not None, self.answer.text
        self.answer = await self.client.post(action[1], data=self.form() | fields)
        return self.answer

    def form(self) -> dict[str, str]:
        """The fields of the form that is shown, as they are."""
        inputs = [dict(_ATTRIBUTE.findall(found)) for found in _INPUT.findall(self.answer.text)]
        return {each["name"]: unescape(each.get("value", "")) for each in inputs if "name" in each}

    async def authorize(self, client_id: str, /, **changes: str | None) -> httpx.Response:
        return await self.get("/oauth2/authorize", **request(client_id, **changes))

    async def sign_in(self, email: str = OWNER, password: str = PASSWORD, **more: str) -> httpx.Response:
        return await self.send(email=email, password=password, **more)

    async def code(self, client_id: str, /, **changes: str | None) -> str:
        """A code, after a sign-in where one is asked for."""
        if (await self.authorize(client_id, **changes)).status_code == 200:
            await self.sign_in()
        return self.answered()["code"]

    def answered(self) -> dict[str, str]:
        """What the client is told by the redirect that is shown."""
        assert self.answer.status_code == 303, self.answer.text
        return told(self.answer.headers["location"])

    async def redeem(self, code: str, client_id: str, /, **changes: str) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **changes,
        }
        return await self.client.post("/oauth2/token", data=form, auth=(client_id, SECRET))


def request(client_id: str, /, **changes: str | None) -> dict[str, str]:
    """A good authorization request with `changes`; None leaves a parameter out."""
    asked: dict[str, str | None] = {
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid users:read",
        "state": "st&te=1",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in asked.items() if value is not None}


def told(location: str) -> dict[str, str]:
    """The parameters of a redirect to the client, each of which is there once."""
    uri, _, query = location.partition("?")
    assert uri == CALLBACK
    parameters = parse_qs(query, strict_parsing=True)
    assert all(len(values) == 1 for values in parameters.values())
    return {name: values[0] for name, values in parameters.items()}


def with_pairs(path: str, asked: dict[str, str], *more: tuple[str, str]) -> str:
    """A target in which parameters may come twice."""
    assert not urlsplit(path).query
    return f"{path}?{urlencode([*asked.items(), *more])}"


def claims(token: str) -> dict[str, Any]:
    """Of a JWT, unchecked."""
    part = token.split(".")[1]
    found: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def query_of(uri: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(uri).query))
