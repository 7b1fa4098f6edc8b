"""ID tokens tell a client who signed in, and open nothing; no kind of token stands in for another (J21)."""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest

from functions.auth.oauth.client_assertion import TYPE
from functions.auth.oauth.introspection import INACTIVE
from functions.auth.oauth.tokens import Tokens
from shared.errors import Error
from tests.tokens import ISSUER, NOW
from tests.unit.auth import applications
from tests.unit.auth.applications import Application, register
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio

SECONDS = int(NOW.timestamp())


@pytest.fixture
async def client(suite: Suite) -> Application:
    return await register(suite)


@pytest.fixture
async def tokens(suite: Suite, client: Application) -> Tokens:
    return await applications.given(suite, client, await suite.add_user(), nonce="n-0S6_WzA2Mj")


def read(suite: Suite, token: str | None, audience: str) -> dict[str, Any]:
    """As a client reads it: by the published keys."""
    keys = jwt.PyJWKSet.from_json(suite.jwks.decode())
    assert token is not None
    options: Any = {"verify_exp": False, "verify_iat": False}
    return jwt.decode(token, keys.keys[0], ["ES256"], options, audience=audience, issuer=ISSUER)


async def test_it_says_who_signed_in_when_and_how(suite: Suite, client: Application, tokens: Tokens) -> None:
    """OpenID Connect Core §2, §3.1.3.6"""
    assert jwt.get_unverified_header(tokens.id_token or "")["typ"] == "JWT"
    session = await applications.session_of(suite, tokens)
    digest = hashlib.sha256(tokens.access_token.encode()).digest()[:16]
    assert read(suite, tokens.id_token, client.id) == {
        "iss": ISSUER,
        "sub": session.user_id,
        "aud": client.id,
        "exp": SECONDS + 600,
        "iat": SECONDS,
        "auth_time": SECONDS,
        "acr": "aal2",
        "amr": ["pwd", "otp", "mfa"],
        "sid": session.id,
        "tid": ACME,
        "at_hash": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "nonce": "n-0S6_WzA2Mj",
    }


async def test_a_refresh_gives_one_without_the_nonce_and_with_the_same_sign_in(
    suite: Suite, client: Application, tokens: Tokens
) -> None:
    """OpenID Connect Core §12.2"""
    suite.clock.move(300)
    first = read(suite, tokens.id_token, client.id)
    again = read(suite, (await applications.refresh(suite, client, tokens.refresh_token)).id_token, client.id)
    assert {name for name in again if again[name] != first[name]} == {"iat", "exp", "at_hash"}
    assert "nonce" not in again
    assert again["auth_time"] == SECONDS


async def test_without_the_scope_there_is_none(suite: Suite, client: Application, tokens: Tokens) -> None:
    narrow = await applications.refresh(suite, client, tokens.refresh_token, scope="usage:read")
    assert narrow.id_token is None
    assert (await suite.login()).id_token is None


async def test_an_access_token_says_how_a_person_signed_in(suite: Suite, tokens: Tokens) -> None:
    """RFC 9068 §2.2.1"""
    who = await suite.verifier.verify(tokens.access_token)
    assert (who.authenticated_at, who.amr, who.audience) == (NOW, ("pwd", "otp", "mfa"), ISSUER)
    account, secret = await suite.add_machine("usage:read")
    form = {"grant_type": "client_credentials"}
    machine = await applications.ask(suite, form, applications.basic(account, secret))
    of_machine = await suite.verifier.verify(machine.access_token)
    assert (of_machine.authenticated_at, of_machine.amr) == (None, ())


Door = Callable[[Suite, str], Awaitable[Any]]


async def _verify(suite: Suite, token: str) -> Any:
    return await suite.verifier.verify(token)


async def _refresh(suite: Suite, token: str) -> Any:
    return await suite.refresh(token)


async def _accept(suite: Suite, token: str) -> Any:
    return await suite.invitations.accept(token, "correct horse battery staple 2", "Bob", "req_1")


async def _assert(suite: Suite, token: str) -> Any:
    form = {"client_assertion_type": TYPE, "client_assertion": token}
    return await applications.ask(suite, {"grant_type": "client_credentials"} | form)


DOORS: dict[str, Door] = {"access": _verify, "refresh": _refresh, "invitation": _accept, "assertion": _assert}


@pytest.mark.parametrize("opened", DOORS)
@pytest.mark.parametrize("kind", ["access", "refresh", "id", "invitation", "assertion"])
async def test_each_door_takes_its_own_kind_of_token_only(suite: Suite, kind: str, opened: str) -> None:
    """J21: the whole matrix."""
    user = await suite.add_user()
    application = await register(suite)
    machine = await applications.machine(suite)
    await applications.add_key(suite, machine, "ES256")
    signed_in = await suite.login()
    held = {
        "access": signed_in.access_token,
        "refresh": signed_in.refresh_token,
        "id": (await applications.given(suite, application, user)).id_token,
        "invitation": await suite.invite("bob@acme.test"),
        "assertion": applications.assertion(suite, machine.id)["client_assertion"],
    }
    token = held[kind]
    assert token is not None
    if kind == opened:
        assert await DOORS[opened](suite, token)
        return
    with pytest.raises(Error) as refusal:
        await DOORS[opened](suite, token)
    assert refusal.value.status in (400, 401, 422)


async def test_an_id_token_is_no_token_to_introspection(
    suite: Suite, client: Application, tokens: Tokens
) -> None:
    form = {"token": tokens.id_token or ""}
    assert await suite.do.introspection.answer(form, client.basic, "req_1") == INACTIVE
