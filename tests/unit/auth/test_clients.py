"""OAuth clients are registered, changed and deleted, within their tenant and its creator's scopes."""

from typing import Any

import msgspec
import pytest

from functions.auth.audit_log import Selection
from functions.auth.domain.oauth_client import OAuthClient, redirects_to, scopes_for
from functions.auth.oauth.oauth_client_changes import ClientChange
from functions.auth.oauth.oauth_clients import Wanted
from shared.audit import Actor
from shared.errors import BadRequest, Conflict, Error, Forbidden, Invalid, NotFound, OAuthError
from tests.tokens import NOW
from tests.unit.auth import applications
from tests.unit.auth.applications import register
from tests.unit.auth.suite import ACME, Suite, principal

pytestmark = pytest.mark.anyio

ACTOR = Actor("user", "usr_test", ACME)
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


async def refused(suite: Suite, **wanted: Any) -> tuple[str, str]:
    with pytest.raises(Invalid) as refusal:
        await register(suite, **wanted)
    (field,) = refusal.value.fields
    return field.path, field.code


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.acme.test",
        "https://app.acme.test:8443/callback?x=1",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:4711/callback",
        "http://[::1]/callback",
        "http://localhost:3000/callback",
    ],
)
async def test_a_redirect_uri_is_https_or_of_this_machine(suite: Suite, uri: str) -> None:
    made = await register(suite, redirect_uris=(uri,))
    assert made.client.redirect_uris == (uri,)


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.acme.test/callback",
        "https://app.acme.test/callback#x",
        "https://app.acme.test/*",
        "https://*.acme.test/callback",
        "https://user@app.acme.test/callback",
        "https:///callback",
        "https://app.acme.test:99999/",
        "https://app.acme.test/a b",
        "https://app.acme.test\\@evil.test/",
        "https://äpp.acme.test/",
        "http://127.0.0.1.evil.test/",
        "http://127.0.0.1@evil.test/",
        "http://localhost.evil.test/",
        "http://127.1/",
        "javascript:alert(1)",
        "data:text/html,x",
        "acme:/callback",
        "com.acme.app:/callback",
        "/callback",
        "",
        "https://app.acme.test/" + "x" * 1000,
    ],
)
async def test_any_other_redirect_uri_is_refused(suite: Suite, uri: str) -> None:
    for field in ("redirect_uris", "post_logout_redirect_uris"):
        wanted = {field: (applications.CALLBACK, uri)}
        assert await refused(suite, **wanted) == (f"/{field}/1", "invalid_uri")


async def test_a_public_client_may_have_a_scheme_of_its_own_and_no_secret(suite: Suite) -> None:
    """RFC 8252 §7.1"""
    made = await register(suite, kind="public", redirect_uris=("com.acme.app:/callback",))
    assert (made.secret, made.client.secrets) == ("", ())
    with pytest.raises(Conflict) as refusal:
        await suite.do.oauth_client_changes.add_secret(principal("owner"), ACTOR, made.client.id, None)
    assert refusal.value.code == "public_client"


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ({"redirect_uris": tuple(f"https://app.acme.test/{n}" for n in range(21))}, "/redirect_uris"),
        (
            {"post_logout_redirect_uris": tuple(f"https://app.acme.test/{n}" for n in range(21))},
            "/post_logout_redirect_uris",
        ),
        ({"redirect_uris": ()}, "/redirect_uris"),
        ({"grant_types": ("client_credentials",)}, "/redirect_uris"),
        ({"grant_types": ("refresh_token",), "redirect_uris": ()}, "/grant_types"),
        ({"grant_types": (), "redirect_uris": ()}, "/grant_types"),
        ({"grant_types": ("client_credentials", "refresh_token"), "redirect_uris": ()}, "/grant_types"),
        (
            {"grant_types": ("client_credentials", DEVICE), "kind": "public", "redirect_uris": ()},
            "/grant_types",
        ),
        ({"scopes": ("openid", "nonsense")}, "/scopes/1"),
        ({"resources": ("https://api.acme.test", "http://api.acme.test")}, "/resources/1"),
        ({"resources": tuple(f"https://api{n}.acme.test" for n in range(11))}, "/resources"),
        ({"name": "a\nb"}, "/name"),
    ],
)
async def test_what_does_not_fit_together_is_refused(suite: Suite, wanted: dict[str, Any], path: str) -> None:
    suite.store.commits.clear()
    assert (await refused(suite, **wanted))[0] == path
    assert suite.store.commits == []


async def test_a_client_gets_no_scope_beyond_its_creators(suite: Suite) -> None:
    wanted = Wanted("x", "confidential", ("client_credentials",), ("users:write",))
    for caller in (principal("member"), principal("operator")):
        with pytest.raises(Forbidden) as refusal:
            await suite.do.oauth_clients.create(caller, ACTOR, wanted)
        assert refusal.value.code == "scope_not_grantable"
    platform = msgspec.structs.replace(wanted, scopes=("platform:tenants:read",))
    with pytest.raises(Forbidden):
        await suite.do.oauth_clients.create(principal("operator"), ACTOR, platform)


async def test_who_may_less_than_a_client_gives_it_no_new_secret_and_no_wider_scope(suite: Suite) -> None:
    made, changes = await register(suite, scopes=("openid", "users:write")), suite.do.oauth_client_changes
    member = msgspec.structs.replace(principal("member"), scopes=frozenset({"clients:write"}))
    attempts = [
        changes.add_secret(member, ACTOR, made.client.id, None),
        changes.add_key(member, ACTOR, made.client.id, applications.jwk("ES256"), None),
        changes.update(member, ACTOR, made.client.id, ClientChange(scopes=("users:write",))),
        changes.update(member, ACTOR, made.client.id, ClientChange(redirect_uris=("https://b.test/",))),
        changes.update(
            member, ACTOR, made.client.id, ClientChange(post_logout_redirect_uris=("https://b.test/",))
        ),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden) as refusal:
            await attempt
        assert refusal.value.code == "scope_not_grantable"


async def test_addresses_for_after_a_sign_out_are_registered_and_changed(suite: Suite) -> None:
    uris = ("https://app.acme.test/out", "http://127.0.0.1:3000/out")
    made = await register(suite, post_logout_redirect_uris=uris)
    assert (await suite.do.oauth_clients.get(ACME, made.client.id)).post_logout_redirect_uris == uris
    for wanted in (uris[:1], ()):
        change = ClientChange(post_logout_redirect_uris=wanted)
        after = await suite.do.oauth_client_changes.update(principal("owner"), ACTOR, made.client.id, change)
        assert (after.post_logout_redirect_uris, after.redirect_uris) == (wanted, made.client.redirect_uris)


async def test_a_change_is_recorded_with_its_event_and_no_change_is_not(suite: Suite) -> None:
    made, changes = await register(suite), suite.do.oauth_client_changes
    suite.bus.messages.clear()
    change = ClientChange(name=" board ", redirect_uris=("https://new.acme.test/",), scopes=("openid",))
    after = await changes.update(principal("owner"), ACTOR, made.client.id, change)
    assert (after.name, after.redirect_uris, after.scopes) == (
        "board",
        ("https://new.acme.test/",),
        ("openid",),
    )
    (event,) = suite.bus.events("client.updated")
    assert msgspec.json.decode(event.data)["changed"] == "name redirect_uris scopes"
    await changes.update(principal("owner"), ACTOR, made.client.id, change)
    assert len(suite.bus.events()) == 1
    assert (await suite.audit()).count("client.update") == 1


async def test_what_a_client_became_is_on_record_when_it_is_something_else_again(suite: Suite) -> None:
    """G9: an address that codes were sent to for an hour, and a secret that worked for as long."""
    made, changes, owner = await register(suite), suite.do.oauth_client_changes, principal("owner")
    for uris in (("https://elsewhere.example/",), made.client.redirect_uris):
        await changes.update(owner, ACTOR, made.client.id, ClientChange(redirect_uris=uris))
    added = await changes.add_secret(owner, ACTOR, made.client.id, None)
    await changes.remove(owner, ACTOR, made.client.id, "secrets", added.secret.id)
    page = await suite.do.audit_log.page(ACME, Selection(action="client.update"))
    details = [record.detail for record in page.items]
    assert [each["redirect_uris"] for each in details if "redirect_uris" in each].count(
        "https://elsewhere.example/"
    ) == 1
    before = made.client.secrets[0].id
    secrets = [each["secrets"] for each in details if "secrets" in each]
    assert sorted(secrets) == sorted([before, f"{before} {added.secret.id}"])
    assert added.text not in str(details)
    assert added.secret.sha256 not in str(details)
    with pytest.raises(Invalid):
        await changes.update(principal("owner"), ACTOR, made.client.id, ClientChange(redirect_uris=()))


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        (ClientChange(status="disabled"), False),
        (ClientChange(scopes=("openid",)), False),
        (ClientChange(name="board", scopes=("users:read", "usage:read")), True),
    ],
)
async def test_disabled_or_with_fewer_scopes_it_loses_what_it_got_for_itself(
    suite: Suite, change: ClientChange, goes_on: bool
) -> None:
    made = await applications.machine(suite)
    token = (await applications.ask(suite, {"grant_type": "client_credentials"}, made.basic)).access_token
    await suite.do.oauth_client_changes.update(principal("owner"), ACTOR, made.client.id, change)
    suite.clock.move(30)
    if goes_on:
        assert (await suite.verifier.verify(token)).subject == made.client.id
        return
    with pytest.raises(Error) as refusal:
        await suite.verifier.verify(token)
    assert refusal.value.code == "invalid_token"


async def test_deleting_ends_what_it_got_for_itself(suite: Suite) -> None:
    made, changes = await applications.machine(suite), suite.do.oauth_client_changes
    tokens = await applications.ask(suite, {"grant_type": "client_credentials"}, made.basic)
    await changes.delete(principal("owner"), ACTOR, made.client.id)
    suite.clock.move(30)
    with pytest.raises(Error) as refusal:
        await suite.verifier.verify(tokens.access_token)
    assert refusal.value.code == "invalid_token"
    with pytest.raises(NotFound):
        await changes.delete(principal("owner"), ACTOR, made.client.id)


@pytest.mark.parametrize("own_id", ["cli_unknown", "../x", "a b", "x" * 65])
async def test_a_foreign_client_is_as_unknown_as_nobodys(suite: Suite, own_id: str) -> None:
    """T4, T6, T7"""
    await suite.add_tenant("tnt_globex", "globex")
    foreign = (await register(suite, tenant_id="tnt_globex")).client.id
    clients, changes, owner = suite.do.oauth_clients, suite.do.oauth_client_changes, principal("owner")
    answers = set()
    for wanted in (own_id, foreign):
        for attempt in (
            clients.get(ACME, wanted),
            changes.update(owner, ACTOR, wanted, ClientChange(name="x")),
            changes.add_secret(owner, ACTOR, wanted, None),
            changes.add_key(owner, ACTOR, wanted, applications.jwk("ES256"), None),
            changes.remove(owner, ACTOR, wanted, "keys", "k"),
            changes.delete(owner, ACTOR, wanted),
        ):
            with pytest.raises(NotFound) as refusal:
                await attempt
            answers.add((refusal.value.code, refusal.value.detail))
    assert len(answers) == 1
    assert (await clients.find(f"{ACME}.{foreign}"), await clients.find(own_id)) == (None, None)


async def test_clients_are_listed_for_their_own_tenant_only(suite: Suite) -> None:
    """T3"""
    await suite.add_tenant("tnt_globex", "globex")
    mine = {(await register(suite)).client.id for _ in range(3)}
    await register(suite, tenant_id="tnt_globex")
    first = await suite.do.oauth_clients.page(ACME, 2, None)
    rest = await suite.do.oauth_clients.page(ACME, 2, first.next_cursor)
    assert {client.id for client in first.items + rest.items} == mine
    with pytest.raises(BadRequest):
        await suite.do.oauth_clients.page("tnt_globex", 2, first.next_cursor)


def client(*redirect_uris: str, scopes: tuple[str, ...] = ()) -> OAuthClient:
    return OAuthClient(
        "cli_1", ACME, "x", "public", redirect_uris, ("authorization_code",), scopes, (), (), (), "usr_1", NOW
    )


@pytest.mark.parametrize(
    ("registered", "asked", "known"),
    [
        ("https://a.test/cb", "https://a.test/cb", True),
        ("https://a.test/cb", "https://a.test/cb/", False),
        ("https://a.test/cb", "https://a.test/cb?x=1", False),
        ("https://a.test/cb", "https://A.test/cb", False),
        ("https://a.test/cb", "https://a.test:443/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51234/cb", True),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1/cb", True),
        ("http://[::1]/cb", "http://[::1]:9/cb", True),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51234/other", False),
        ("http://127.0.0.1/cb", "http://localhost:51234/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51234@evil.test/cb", False),
        ("http://127.0.0.1/cb", "https://127.0.0.1:51234/cb", False),
        ("com.acme.app:/cb", "com.acme.app:/cb", True),
    ],
)
def test_a_redirect_uri_matches_as_it_is_but_for_a_loopback_port(
    registered: str, asked: str, known: bool
) -> None:
    """RFC 9700 §2.1, RFC 8252 §7.3"""
    assert redirects_to(client("https://other.test/", registered), asked) is known


def test_a_person_grants_what_was_asked_for_is_registered_and_their_own() -> None:
    registered = client(scopes=("openid", "users:write", "usage:read"))
    assert scopes_for(registered, {"usage:read"}, None) == ("openid", "usage:read")
    assert scopes_for(registered, {"usage:read"}, "usage:read users:write") == ("usage:read",)
    for asked in ("users:write", "users:read", "openid users:read", ""):
        with pytest.raises(OAuthError) as refusal:
            scopes_for(registered, {"usage:read"}, asked)
        assert refusal.value.code == "invalid_scope"
