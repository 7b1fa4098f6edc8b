"""Introspection (RFC 7662) and revocation (RFC 7009)."""

from typing import Any

import msgspec
import pytest

from functions.auth.oauth.introspection import INACTIVE, Introspected
from functions.auth.oauth.token_revocation import TOKENS
from functions.auth.oauth.tokens import Tokens
from shared.errors import OAuthError, TooManyRequests, Unauthenticated, Unavailable
from shared.identity import TENANT_LIMITS
from tests.tokens import ISSUER, NOW
from tests.unit.auth import applications
from tests.unit.auth.applications import Application, ask, machine, register
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio

CREDENTIALS = {"grant_type": "client_credentials"}
SECONDS = int(NOW.timestamp())


@pytest.fixture
async def client(suite: Suite) -> Application:
    return await register(suite)


@pytest.fixture
async def tokens(suite: Suite, client: Application) -> Tokens:
    """What the client holds for the owner."""
    return await applications.given(suite, client, await suite.add_user())


async def look(suite: Suite, token: str | None, caller: Application, **form: str) -> Introspected:
    assert token is not None
    return await suite.do.introspection.answer({"token": token} | form, caller.basic, "req_1")


async def revoke(suite: Suite, token: str | None, caller: Application, **form: str) -> None:
    assert token is not None
    asked = {"token": token} | form
    if caller.secret:
        await suite.do.token_revocation.revoke(asked, caller.basic, "req_1")
    else:
        await suite.do.token_revocation.revoke(asked | {"client_id": caller.id}, None, "req_1")


async def test_an_access_token_of_a_person_says_who_and_how(
    suite: Suite, client: Application, tokens: Tokens
) -> None:
    said = await look(suite, tokens.access_token, client, token_type_hint="refresh_token")
    session = await applications.session_of(suite, tokens)
    assert said == Introspected(
        active=True,
        scope="email openid usage:read",
        client_id=client.id,
        token_type="Bearer",
        exp=SECONDS + 600,
        iat=SECONDS,
        sub=session.user_id,
        aud=ISSUER,
        iss=ISSUER,
        jti=said.jti,
        tid=ACME,
        sid=session.id,
        auth_time=SECONDS,
        acr="aal2",
        amr=("pwd", "otp", "mfa"),
    )


async def test_a_machines_token_says_nothing_of_people(suite: Suite, client: Application) -> None:
    other = await machine(suite)
    issued = await ask(suite, CREDENTIALS, other.basic)
    said = await look(suite, issued.access_token, client)
    assert (said.active, said.sub, said.client_id) == (True, other.client.id, other.id)
    assert {"sid", "acr", "amr", "auth_time"}.isdisjoint(msgspec.to_builtins(said))


async def test_a_refresh_token_is_active_as_long_as_it_would_be_answered(
    suite: Suite, client: Application, tokens: Tokens
) -> None:
    said = await look(suite, tokens.refresh_token, client)
    session = await applications.session_of(suite, tokens)
    week = 7 * 86_400
    assert (said.active, said.sid, said.exp, said.token_type) == (True, session.id, SECONDS + week, None)
    newest = tokens
    for _ in range(3):
        newest = await applications.refresh(suite, client, newest.refresh_token)
    assert await look(suite, tokens.refresh_token, client) == INACTIVE
    assert (await look(suite, newest.refresh_token, client)).active
    suite.clock.move(week)
    assert await look(suite, newest.refresh_token, client) == INACTIVE
    assert (await applications.session_of_id(suite, session.id)).revoked_at is None


async def test_what_is_over_is_inactive_and_nothing_else(
    suite: Suite, client: Application, tokens: Tokens
) -> None:
    expiring = await ask(suite, CREDENTIALS, (await machine(suite)).basic)
    suite.clock.move(600)
    for token in (expiring.access_token, "x", "rt1_x", "a.b.c", "é", "x" * 5000, tokens.id_token):
        assert await look(suite, token, client) == INACTIVE
    assert msgspec.json.encode(INACTIVE) == b'{"active":false}'


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_another_tenants_token_is_inactive(
    suite: Suite, client: Application, tokens: Tokens, kind: str
) -> None:
    """R18, T2"""
    await suite.add_tenant("tnt_globex", "globex")
    foreign = await machine(suite, tenant_id="tnt_globex")
    assert await look(suite, getattr(tokens, kind), foreign) == INACTIVE
    assert (await look(suite, getattr(tokens, kind), client)).active


async def test_only_who_proved_to_be_a_client_may_ask(suite: Suite, tokens: Tokens) -> None:
    """R18"""
    public = await register(suite, kind="public")
    for form, header in [
        ({}, None),
        ({"client_id": public.id}, None),
        ({"client_id": "energent-app"}, None),
        ({}, applications.basic(public.id, "guess")),
        ({}, "Bearer x"),
    ]:
        with pytest.raises(OAuthError) as refusal:
            await suite.do.introspection.answer({"token": tokens.access_token} | form, header, "req_1")
        assert (refusal.value.status, refusal.value.code) == (401, "invalid_client")
    account, secret = await suite.add_machine("usage:read")
    caller = Application((await machine(suite)).client, account, secret)
    assert (await look(suite, tokens.access_token, caller)).active
    with pytest.raises(OAuthError) as refusal:
        await suite.do.introspection.answer({}, caller.basic, "req_1")
    assert refusal.value.code == "invalid_request"


async def test_a_suspension_is_seen_within_the_bound(
    suite: Suite, client: Application, tokens: Tokens
) -> None:
    """T10"""
    assert (await look(suite, tokens.access_token, client)).active
    await suite.set_status("suspended")
    suite.clock.move(TENANT_LIMITS.ttl.total_seconds())
    with pytest.raises(OAuthError) as refusal:
        await look(suite, tokens.access_token, client)
    assert refusal.value.code == "unauthorized_client"


async def test_a_known_token_is_looked_at_without_a_read(
    suite: Suite, client: Application, tokens: Tokens
) -> None:
    await look(suite, tokens.access_token, client)
    suite.store.reads.clear()
    assert (await look(suite, tokens.access_token, client)).active
    assert suite.store.reads == []


async def test_an_outage_is_no_verdict(suite: Suite, client: Application, tokens: Tokens) -> None:
    suite.store.down = True
    with pytest.raises(Unavailable):
        await look(suite, tokens.access_token, client)


async def test_a_token_for_another_api_says_so(suite: Suite) -> None:
    """RFC 8707: our own door does not take it."""
    reports = "https://reports.acme.test"
    client = await machine(suite, resources=(reports,))
    issued = await ask(suite, CREDENTIALS | {"resource": reports}, client.basic)
    assert (await look(suite, issued.access_token, client)).aud == reports
    with pytest.raises(Unauthenticated, match="invalid_token"):
        await suite.verifier.verify(issued.access_token)


async def test_a_sign_in_for_another_api_stays_with_it(suite: Suite) -> None:
    """RFC 8707 §2.2: whether its refresh names it or not; nobody else can be named."""
    reports, other = "https://reports.acme.test", "https://other.acme.test"
    client, user = await register(suite, resources=(reports, other)), await suite.add_user()
    newest = await applications.given(suite, client, user, resource=reports)
    for form in ({}, {"resource": reports}):
        assert (await look(suite, newest.access_token, client)).aud == reports
        newest = await applications.refresh(suite, client, newest.refresh_token, **form)
    for resource in (other, ISSUER, "https://evil.test"):
        with pytest.raises(OAuthError) as refusal:
            await applications.refresh(suite, client, newest.refresh_token, resource=resource)
        assert refusal.value.code == "invalid_target"
    anywhere = await applications.given(suite, client, user)
    moved = await applications.refresh(suite, client, anywhere.refresh_token, resource=other)
    assert (await look(suite, moved.access_token, client)).aud == other
    back = await applications.refresh(suite, client, moved.refresh_token)
    assert (await look(suite, back.access_token, client)).aud == ISSUER


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_revoking_a_token_of_a_session_ends_the_session(
    suite: Suite, client: Application, tokens: Tokens, kind: str
) -> None:
    """Twice is once."""
    session = await applications.session_of(suite, tokens)
    for _ in range(2):
        await revoke(suite, getattr(tokens, kind), client)
    over = await applications.session_of_id(suite, session.id)
    assert over.revoked_because == "revoked_by_client"
    assert len(suite.bus.events("session.revoked")) == 1
    suite.clock.move(TENANT_LIMITS.ttl.total_seconds())
    assert await look(suite, tokens.access_token, client) == INACTIVE
    assert await look(suite, tokens.refresh_token, client) == INACTIVE
    with pytest.raises(OAuthError):
        await applications.refresh(suite, client, tokens.refresh_token)


async def test_a_machine_gives_back_one_token_and_keeps_the_other(suite: Suite) -> None:
    client = await machine(suite)
    first, second = [await ask(suite, CREDENTIALS, client.basic) for _ in range(2)]
    await revoke(suite, first.access_token, client, token_type_hint="access_token")
    suite.clock.move(TENANT_LIMITS.ttl.total_seconds())
    assert await look(suite, first.access_token, client) == INACTIVE
    assert (await look(suite, second.access_token, client)).active
    assert (await suite.audit()).count("access_token.revoke") == 1


async def test_a_machine_that_gives_back_without_end_is_told_to_wait(suite: Suite) -> None:
    """Its tokens are records that everybody reads, of which a tenant has five thousand."""
    client = await machine(suite)
    given = [await ask(suite, CREDENTIALS, client.basic) for _ in range(TOKENS.burst + 1)]
    for tokens in given[:-1]:
        await revoke(suite, tokens.access_token, client)
    with pytest.raises(TooManyRequests) as refusal:
        await revoke(suite, given[-1].access_token, client)
    assert (refusal.value.code, refusal.value.headers) == ("too_many_revocations", {"Retry-After": "1"})
    suite.clock.move(TOKENS.seconds)
    await revoke(suite, given[-1].access_token, client)
    other = await machine(suite)
    await revoke(suite, (await ask(suite, CREDENTIALS, other.basic)).access_token, other)
    assert (await suite.audit()).count("access_token.revoke") == TOKENS.burst + 2


async def test_nobody_gives_back_what_is_a_confidential_clients(suite: Suite, tokens: Tokens) -> None:
    """RFC 7009 §2.1: who names no client is the app, and may send junk, but has only its own to give."""
    await suite.do.token_revocation.revoke({"token": "junk"}, None, "req_1")
    for token in (tokens.access_token, tokens.refresh_token):
        with pytest.raises(OAuthError, match="invalid_grant"):
            await suite.do.token_revocation.revoke({"token": token or ""}, None, "req_1")
    assert suite.bus.events("session.revoked") == []


async def test_another_clients_token_is_refused_and_stays_valid(suite: Suite, tokens: Tokens) -> None:
    """R17"""
    others = [await register(suite), await register(suite, kind="public")]
    for other in others:
        for token in (tokens.access_token, tokens.refresh_token):
            with pytest.raises(OAuthError) as refusal:
                await revoke(suite, token, other)
            assert (refusal.value.status, refusal.value.code) == (400, "invalid_grant")
    suite.clock.move(TENANT_LIMITS.ttl.total_seconds())
    for token in (tokens.access_token, tokens.refresh_token):
        assert (await look(suite, token, others[0])).active


async def test_a_public_client_and_the_app_give_back_their_own(suite: Suite) -> None:
    user = await suite.add_user()
    public = await register(suite, kind="public")
    await revoke(suite, (await applications.given(suite, public, user)).refresh_token, public)
    signed_in = await suite.login()
    await suite.do.token_revocation.revoke({"token": signed_in.refresh_token or ""}, None, "req_1")
    assert len(suite.bus.events("session.revoked")) == 2


async def test_what_is_no_token_any_more_is_fine(suite: Suite, client: Application, tokens: Tokens) -> None:
    """R17"""
    unknown = "rt1_" + "A" * 100
    for token in ("x", unknown, "a.b.c", tokens.id_token):
        await revoke(suite, token, client)
    suite.clock.move(600)
    await revoke(suite, tokens.access_token, client)
    assert suite.bus.events("session.revoked") == []


@pytest.mark.parametrize(
    ("form", "code"), [({}, "invalid_request"), ({"token": "x", "client_secret": "y"}, "invalid_client")]
)
async def test_a_revocation_that_lacks_something_says_what(suite: Suite, form: Any, code: str) -> None:
    with pytest.raises(OAuthError) as refusal:
        await suite.do.token_revocation.revoke(form, None, "req_1")
    assert refusal.value.code == code
