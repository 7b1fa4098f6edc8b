"""People sign in for an application: code and PKCE, an ID token, a lost refresh, a second factor."""

import base64
import hashlib
import secrets
import time
from typing import Any

import jwt
import msgspec

from functions.auth.domain import totp
from local.demo.audit import Deed
from local.demo.browser import Browser
from local.demo.people import PASSWORD, Customer, Member
from local.demo.screen import Screen, yes
from local.demo.world import DemoFailed, World
from shared import base64url

CALLBACK = "https://reports.acme.example/callback"


class Client(msgspec.Struct, frozen=True):
    """As it was registered; `id` is what it calls itself."""

    id: str
    secret: str


class Asked(msgspec.Struct, frozen=True):
    """What an application remembers from sending a browser away until it comes back."""

    verifier: str
    nonce: str
    state: str


class Applications:
    """Of Acme: one that Bob signs in to."""

    def __init__(self, world: World, screen: Screen, acme: Customer, bob: Member) -> None:
        self._world = world
        self._screen = screen
        self._acme = acme
        self._bob = bob
        self._gateway = str(world.ready["gateway"])

    async def tell(self) -> list[Deed]:
        client, registered = await self._registered()
        await self._code_flow(client)
        return [registered, await self._second_factor(client)]

    async def _registered(self) -> tuple[Client, Deed]:
        self._screen.chapter(
            "Acme registers an application; Bob signs in to it on the hosted page, with PKCE"
        )
        wanted = {
            "name": "Acme Reports",
            "kind": "confidential",
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": [CALLBACK],
            "scopes": ["openid", "email", "usage:read"],
        }
        made = await self._world.must(201, "POST", "/v1/clients", self._acme.access_token, json=wanted)
        deed = Deed(self._acme.owner_id, "client.create", made["id"])
        return Client(made["client_id"], made["client_secret"]), deed

    async def _code_flow(self, client: Client) -> None:
        screen = self._screen
        async with Browser(self._gateway) as browser:
            asked = await self._sent_to_sign_in(browser, client)
            policy = browser.page.headers["content-security-policy"]
            screen.check("Scripts that the page may run, but those it names by hash", 0, _scripts(policy))
            await browser.send(email=self._bob.email, password=PASSWORD)
            address, answer = browser.sent_to
        screen.check("The browser comes back to", CALLBACK, address)
        screen.check("With the state of the application", "yes", yes(answer.get("state") == asked.state))
        screen.check("From the issuer", self._gateway, answer.get("iss"))
        wrong = await self._redeem(client, answer["code"], "w" * 43, 400)
        screen.check("The code with another verifier", "invalid_grant", wrong.get("error"))
        tokens = await self._redeem(client, answer["code"], asked.verifier)
        claims = await self._id_token(client, tokens, asked.nonce)
        screen.check("The ID token holds against the JWKS; its subject", self._bob.user_id, claims["sub"])
        screen.check("How sure the issuer is", "aal1", claims["acr"])
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        first, again = await self._token(client, form), await self._token(client, form)
        same = first["refresh_token"] == again["refresh_token"]
        screen.check(
            "A refresh whose answer is lost, asked again, gives the same successor", "yes", yes(same)
        )
        info = await self._world.must(200, "GET", "/oauth2/userinfo", again["access_token"])
        screen.check("Whose is it", self._bob.email, info["email"])

    async def _second_factor(self, client: Client) -> Deed:
        world, screen = self._world, self._screen
        screen.chapter("Bob sets up an authenticator app; his next sign-in asks for its code")
        login = {"tenant": self._acme.slug, "email": self._bob.email, "password": PASSWORD}
        own = (await world.must(200, "POST", "/v1/auth/login", json=login))["access_token"]
        secret = base64.b32decode((await world.must(200, "POST", "/v1/me/factors/totp", own))["secret"])
        step = int(time.time()) // totp.STEP_SECONDS
        code = {"code": totp.code(secret, step)}
        factors = await world.must(200, "POST", "/v1/me/factors/totp/confirm", own, json=code)
        screen.check("The app is set up", "yes", yes(factors["totp"] is not None))
        async with Browser(self._gateway) as browser:
            asked = await self._sent_to_sign_in(browser, client)
            await browser.send(email=self._bob.email, password=PASSWORD)
            screen.check("After the password the page asks at", "/oauth2/second-factor", browser.asks_at)
            await browser.send(**code)
            screen.check("The code that was used already works", "no", yes(browser.page.status_code == 303))
            await browser.send(code=totp.code(secret, step + 1))
            _, answer = browser.sent_to
        tokens = await self._redeem(client, answer["code"], asked.verifier)
        claims = await self._id_token(client, tokens, asked.nonce)
        screen.check("How sure the issuer is now", "aal2", claims["acr"])
        screen.check("Because of", "pwd otp mfa", " ".join(claims["amr"]))
        return Deed(self._bob.user_id, "factor.add", self._bob.user_id)

    async def _sent_to_sign_in(self, browser: Browser, client: Client) -> Asked:
        asked = Asked(*(secrets.token_urlsafe(32) for _ in range(3)))
        digest = hashlib.sha256(asked.verifier.encode()).digest()
        query = {
            "client_id": client.id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid email usage:read",
            "state": asked.state,
            "nonce": asked.nonce,
            "code_challenge": base64url.encode(digest),
            "code_challenge_method": "S256",
        }
        await browser.open("/oauth2/authorize", query)
        return asked

    async def _redeem(self, client: Client, code: str, verifier: str, status: int = 200) -> dict[str, Any]:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return await self._token(client, form | {"code_verifier": verifier}, status)

    async def _token(self, client: Client, form: dict[str, str], status: int = 200) -> dict[str, Any]:
        proof = (client.id, client.secret)
        path = "/oauth2/token"
        found: dict[str, Any] = await self._world.must(status, "POST", path, data=form, auth=proof)
        return found

    async def _id_token(self, client: Client, tokens: dict[str, Any], nonce: str) -> dict[str, Any]:
        """Its claims, once all that a relying party has to check is checked. Raises `DemoFailed`."""
        text = tokens["id_token"]
        keys = jwt.PyJWKSet.from_dict(await self._world.must(200, "GET", "/.well-known/jwks.json"))
        try:
            key = keys[jwt.get_unverified_header(text)["kid"]]
            claims: dict[str, Any] = jwt.decode(
                text, key, algorithms=["ES256"], audience=client.id, issuer=self._gateway
            )
        except (jwt.PyJWTError, KeyError) as wrong:
            raise DemoFailed(f"the ID token does not hold: {wrong!r}") from wrong
        self._screen.check("The nonce is the application's", "yes", yes(claims.get("nonce") == nonce))
        return claims


def _scripts(policy: str) -> int:
    """How many sources of scripts a Content-Security-Policy allows, besides hashes."""
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    sources = rules.get("script-src", rules.get("default-src", "*")).split()
    return sum(source != "'none'" and not source.startswith("'sha256-") for source in sources)
