"""OAuth clients for tests: registered, given to a person, and asking with whatever proves who they are."""

import base64
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from functions.auth import records
from functions.auth.domain import client_id
from functions.auth.domain.oauth_client import GrantType, OAuthClient
from functions.auth.domain.people import User
from functions.auth.domain.session import Session
from functions.auth.oauth.client_assertion import TYPE
from functions.auth.oauth.oauth_clients import Wanted
from functions.auth.oauth.tokens import Tokens
from functions.auth.sessions import session_start
from functions.auth.sessions.session_start import Proof
from shared import tenant
from shared.audit import Actor
from shared.errors import OAuthError
from shared.tenant import Tenant
from tests.tokens import ISSUER
from tests.unit.auth.suite import ACME, Suite, principal

CALLBACK = "https://app.acme.test/callback"
BY_CODE: tuple[GrantType, ...] = ("authorization_code", "refresh_token")
SIGNING_KEYS: dict[str, Any] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(public_exponent=65_537, key_size=2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
_JWK_OF: dict[str, Any] = {"ES256": ECAlgorithm, "RS256": RSAAlgorithm, "EdDSA": OKPAlgorithm}


class Application(msgspec.Struct, frozen=True):
    """A client that was registered: the id it calls itself, and its secret."""

    client: OAuthClient
    id: str
    secret: str = ""

    @property
    def basic(self) -> str:
        return basic(self.id, self.secret)


def basic(client: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()


async def register(suite: Suite, *, tenant_id: str = ACME, **changes: Any) -> Application:
    """A confidential client that signs people in, with `changes` to that."""
    wanted = Wanted("dashboard", "confidential", BY_CODE, ("openid", "email", "usage:read"), (CALLBACK,))
    actor = Actor("user", "usr_test", tenant_id)
    made = await suite.do.oauth_clients.create(
        principal("owner", tenant_id), actor, msgspec.structs.replace(wanted, **changes)
    )
    return Application(made.client, client_id.of(tenant_id, made.client.id), made.secret or "")


async def machine(suite: Suite, *scopes: str, **changes: Any) -> Application:
    """A confidential client that acts for itself."""
    of_machine: dict[str, Any] = {"grant_types": ("client_credentials",), "redirect_uris": ()}
    return await register(suite, **(of_machine | {"scopes": scopes or ("usage:read",)} | changes))


async def given(
    suite: Suite,
    application: Application,
    user: User,
    *scopes: str,
    resource: str | None = None,
    **more: Any,
) -> Tokens:
    """What the client holds once the person has signed in to it."""
    tenant_doc, user_doc = await suite.store.read(
        tenant.key(suite.store, ACME), records.user_key(suite.store, ACME, user.id)
    )
    owner, person = records.found(tenant_doc, Tenant), records.found(user_doc, User)
    assert owner is not None
    assert person is not None
    started = session_start.start(
        suite.store,
        owner,
        person,
        Proof(("pwd", "otp", "mfa"), suite.clock()),
        client_id=application.id,
        at=suite.clock(),
        request_id="req_1",
        scopes=scopes or application.client.scopes,
        resource=resource,
    )
    await suite.store.commit(*started.writes)
    return await suite.sessions.tokens(owner.value, started.session, started.session.scopes, **more)


async def ask(suite: Suite, form: dict[str, str], authorization: str | None = None) -> Tokens:
    return await suite.endpoint.answer(form, authorization, "req_1")


async def refresh(suite: Suite, application: Application, token: str | None, **form: str) -> Tokens:
    assert token is not None
    asked = {"grant_type": "refresh_token", "refresh_token": token} | form
    if application.secret:
        return await ask(suite, asked, application.basic)
    return await ask(suite, asked | {"client_id": application.id})


def jwk(algorithm: str) -> dict[str, Any]:
    """The public half of one of `SIGNING_KEYS`."""
    made: dict[str, Any] = _JWK_OF[algorithm].to_jwk(SIGNING_KEYS[algorithm].public_key(), as_dict=True)
    return {name: value for name, value in made.items() if name != "key_ops"} | {"kid": algorithm.lower()}


async def add_key(suite: Suite, application: Application, algorithm: str) -> None:
    await suite.do.oauth_client_changes.add_key(
        principal("owner"), Actor("user", "usr_test", ACME), application.client.id, jwk(algorithm), None
    )


def assertion(
    suite: Suite,
    client: str,
    algorithm: str = "ES256",
    header: dict[str, Any] | None = None,
    without: str = "",
    **claims: Any,
) -> dict[str, str]:
    """The form of a client that proves itself by a key of `SIGNING_KEYS`."""
    now = int(suite.clock().timestamp())
    said = {"iss": client, "sub": client, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": "jti_1"} | claims
    said.pop(without, None)
    headers = {"kid": algorithm.lower()} | (header or {})
    headers = {name: value for name, value in headers.items() if value is not None}
    text = jwt.encode(said, SIGNING_KEYS[algorithm], algorithm=algorithm, headers=headers)
    return {"client_assertion_type": TYPE, "client_assertion": text}


async def refusal(suite: Suite, form: dict[str, str], authorization: str | None = None) -> OAuthError:
    try:
        await ask(suite, form, authorization)
    except OAuthError as refused:
        return refused
    raise AssertionError("it was not refused")


async def session_of(suite: Suite, tokens: Tokens) -> Session:
    session_id = (await suite.verifier.verify(tokens.access_token)).session_id
    assert session_id is not None
    return await session_of_id(suite, session_id)


async def session_of_id(suite: Suite, session_id: str) -> Session:
    doc = (await suite.store.read(records.session_key(suite.store, ACME, session_id)))[0]
    session = records.found(doc, Session)
    assert session is not None
    return session.value
