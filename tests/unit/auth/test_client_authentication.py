"""A client proves who it is in one of four ways, and learns nothing where it does not."""

from typing import Any

import jwt
import pytest

from functions.auth.oauth.client_assertion import TYPE
from functions.auth.oauth.client_authentication import AuthenticatedClient
from functions.auth.oauth.oauth_client_changes import ClientChange
from shared.audit import Actor
from shared.errors import OAuthError
from shared.store import Create
from tests.tokens import ISSUER
from tests.unit.auth import applications
from tests.unit.auth.applications import Application, add_key, ask, assertion, basic, machine, refusal
from tests.unit.auth.suite import ACME, Suite, principal

pytestmark = pytest.mark.anyio

ACTOR = Actor("user", "usr_test", ACME)
GRANT = {"grant_type": "client_credentials"}


async def authenticated(suite: Suite, form: dict[str, str], header: str | None = None) -> AuthenticatedClient:
    return await suite.do.clients.authenticate(form, header, "req_1")


@pytest.fixture
async def client(suite: Suite) -> Application:
    """It has a secret and a key of each kind."""
    made = await machine(suite, "usage:read")
    for algorithm in ("ES256", "RS256", "EdDSA"):
        await add_key(suite, made, algorithm)
    return made


async def test_each_way_is_the_same_client(suite: Suite, client: Application) -> None:
    post = {"client_id": client.id, "client_secret": client.secret}
    found = [
        await authenticated(suite, {}, client.basic),
        await authenticated(suite, post),
        await authenticated(suite, post, "Bearer of-the-gateway-itself"),
        await authenticated(suite, assertion(suite, client.id)),
        await authenticated(suite, assertion(suite, client.id, jti="jti_2") | {"client_id": client.id}),
    ]
    methods = ["client_secret_basic", "client_secret_post", "client_secret_post"] + ["private_key_jwt"] * 2
    assert [each.method for each in found] == methods
    assert {(each.client_id, each.tenant_id, each.kind) for each in found} == {(client.id, ACME, "client")}
    assert all(each.owner is not None and each.client is not None for each in found)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
async def test_a_key_signs_with_the_algorithm_of_its_kind(
    suite: Suite, client: Application, algorithm: str
) -> None:
    tokens = await ask(suite, GRANT | assertion(suite, client.id, algorithm))
    who = await suite.verifier.verify(tokens.access_token)
    assert (who.client_id, who.subject, who.session_id) == (client.id, client.client.id, None)
    assert (tokens.scope, tokens.refresh_token, tokens.id_token) == ("usage:read", None, None)


async def test_a_service_account_proves_itself_by_a_key_too(suite: Suite) -> None:
    account, secret = await suite.add_machine("usage:read")
    await suite.do.service_account_changes.add_key(
        principal("owner"), ACTOR, account.partition(".")[2], applications.jwk("EdDSA"), None
    )
    tokens = await ask(suite, GRANT | assertion(suite, account, "EdDSA"))
    assert (await suite.verifier.verify(tokens.access_token)).client_id == account
    found = await authenticated(suite, {}, basic(account, secret))
    assert (found.kind, found.client) == ("service_account", None)


async def test_an_assertion_is_used_once(suite: Suite, client: Application) -> None:
    """RFC 7523 §3: the same `jti` of another client is another one."""
    form = GRANT | assertion(suite, client.id)
    await ask(suite, form)
    assert (await refusal(suite, form)).code == "invalid_client"
    other = await machine(suite)
    await add_key(suite, other, "ES256")
    assert (await ask(suite, GRANT | assertion(suite, other.id))).access_token
    writes = [write for commit in suite.store.commits for write in commit if isinstance(write, Create)]
    kept = [write.body for write in writes if "/assertions/" in write.key.path]
    assert kept == [{"expires_at": "2026-03-04T12:01:10.000000Z"}] * 2


async def test_an_assertion_of_an_hour_is_good_for_five_minutes(suite: Suite, client: Application) -> None:
    in_time, late = (assertion(suite, client.id, exp=1_772_629_200, iat=1_772_625_600) for _ in range(2))
    suite.clock.move(299)
    assert (await ask(suite, GRANT | in_time)).access_token
    assert (await refusal(suite, GRANT | in_time)).code == "invalid_client"
    suite.clock.move(1)
    assert (await refusal(suite, GRANT | late)).code == "invalid_client"


async def test_the_only_key_needs_no_name(suite: Suite) -> None:
    only = await machine(suite)
    await add_key(suite, only, "EdDSA")
    assert (await ask(suite, GRANT | assertion(suite, only.id, "EdDSA", {"kid": None}))).access_token


FORGED: dict[str, dict[str, Any]] = {
    "of another issuer": {"iss": "https://evil.test"},
    "of another subject": {"sub": f"{ACME}.cli_other"},
    "for somebody else": {"aud": "https://evil.test"},
    "for us and somebody else": {"aud": [ISSUER, "https://evil.test"]},
    "for nobody": {"aud": []},
    "for a part of our name": {"aud": ISSUER[:-1]},
    "over": {"exp": 1_772_625_600},
    "of five minutes ago": {"iat": 1_772_625_300},
    "of a later time": {"iat": 1_772_625_700},
    "of the last second there is": {"iat": 253_402_300_799},
    "not yet": {"nbf": 1_772_625_700},
    "with a fraction": {"exp": 1_772_625_660.5},
    "with a time as text": {"exp": "1772625660"},
    "beyond all times": {"exp": 10**18},
    "with an empty jti": {"jti": ""},
    "without jti": {"without": "jti"},
    "without exp": {"without": "exp"},
    "without iat": {"without": "iat"},
    "without aud": {"without": "aud"},
    "of an unknown key": {"header": {"kid": "other"}},
    "of a key that is another's": {"header": {"kid": "rs256"}},
    "of no certain key": {"header": {"kid": None}},
    "with critical members": {"header": {"crit": ["exp"]}},
    "an access token by its type": {"header": {"typ": "at+jwt"}},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_an_assertion_that_is_not_right_is_a_wrong_client(
    suite: Suite, client: Application, forged: dict[str, Any]
) -> None:
    """Which check failed is not told, and nothing is written but that a client was refused."""
    suite.store.commits.clear()
    refused = await refusal(suite, GRANT | assertion(suite, client.id, **forged))
    assert (refused.status, refused.code) == (401, "invalid_client")
    assert refused.detail == "The client could not be authenticated. Check its id, and its secret or key."
    written = [write for commit in suite.store.commits for write in commit]
    assert [write for write in written if not isinstance(write, Create)] == []
    assert {write.body["action"] for write in written if isinstance(write, Create)} <= {"client.refuse"}


@pytest.mark.parametrize("audience", [ISSUER, f"{ISSUER}/oauth2/token", [ISSUER, f"{ISSUER}/oauth2/token"]])
async def test_an_assertion_is_for_the_issuer_or_its_token_endpoint(
    suite: Suite, client: Application, audience: Any
) -> None:
    assert (await ask(suite, GRANT | assertion(suite, client.id, aud=audience))).access_token


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_an_assertion_without_a_private_key_is_refused(
    suite: Suite, client: Application, algorithm: str
) -> None:
    """J1, J3 for clients: unsigned, or signed with what everybody knows."""
    body = assertion(suite, client.id)["client_assertion"].split(".")[1]
    other = jwt.encode(
        {}, "x" * 32 if algorithm == "HS256" else "", algorithm=algorithm, headers={"kid": "es256"}
    )
    text = f"{other.split('.')[0]}.{body}.{other.split('.')[2]}"
    form = {"client_assertion_type": TYPE, "client_assertion": text}
    assert (await refusal(suite, GRANT | form)).code == "invalid_client"


@pytest.mark.parametrize("text", ["x", "a.b.c", "e30.e30.e30", "é.e.e", "a" * 5000, "..", "e30.W10.x"])
async def test_junk_in_place_of_an_assertion_reads_nothing(suite: Suite, text: str) -> None:
    suite.store.reads.clear()
    form = {"client_assertion_type": TYPE, "client_assertion": text}
    assert (await refusal(suite, GRANT | form)).code == "invalid_client"
    assert suite.store.reads == []


async def test_one_way_at_a_time(suite: Suite, client: Application) -> None:
    """RFC 6749 §2.3"""
    secret = {"client_secret": client.secret}
    for form, header in [
        (secret, client.basic),
        (assertion(suite, client.id), client.basic),
        (assertion(suite, client.id) | secret, None),
        ({"client_id": f"{ACME}.cli_other"}, client.basic),
        (assertion(suite, client.id) | {"client_id": f"{ACME}.cli_other"}, None),
        ({"client_assertion": "a.b.c"}, None),
        (assertion(suite, client.id) | {"client_assertion_type": "other"}, None),
    ]:
        assert (await refusal(suite, GRANT | form, header)).code == "invalid_request"


async def test_unknown_foreign_disabled_and_wrong_are_one_answer(suite: Suite, client: Application) -> None:
    """L1, T6 for clients"""
    await suite.add_tenant("tnt_globex", "globex")
    foreign = await machine(suite, tenant_id="tnt_globex")
    disabled = await machine(suite)
    await suite.do.oauth_client_changes.update(
        principal("owner"), ACTOR, disabled.client.id, ClientChange(status="disabled")
    )
    public = await applications.register(suite, kind="public")
    tried = [
        basic(client.id, "guess"),
        basic(client.id, foreign.secret),
        basic(client.id, ""),
        basic(f"{ACME}.cli_unknown", client.secret),
        basic(f"tnt_globex.{client.client.id}", client.secret),
        basic(f"{ACME}.{foreign.client.id}", foreign.secret),
        basic(client.id.replace("cli_", "sa_"), client.secret),
        basic(public.id, "guess"),
        disabled.basic,
    ]
    answers = {(refused.status, refused.code, refused.detail)
               for header in tried for refused in [await refusal(suite, GRANT, header)]}  # fmt: skip
    assert answers == {
        (401, "invalid_client", "The client could not be authenticated. Check its id, and its secret or key.")
    }


async def test_a_public_client_has_a_name_only_and_a_confidential_one_needs_more(
    suite: Suite, client: Application
) -> None:
    public = await applications.register(suite, kind="public")
    assert (await authenticated(suite, {"client_id": public.id})).method == "none"
    assert (await refusal(suite, GRANT | {"client_id": public.id})).code == "unauthorized_client"
    with pytest.raises(OAuthError) as refused:
        await authenticated(suite, {"client_id": client.id})
    assert refused.value.code == "invalid_client"
    assert (await authenticated(suite, {})).kind == "app"


async def test_a_client_whose_tenant_is_suspended_is_told_so_once_it_proved_itself(
    suite: Suite, client: Application
) -> None:
    """T10"""
    await suite.set_status("suspended")
    assert (await refusal(suite, GRANT, client.basic)).code == "unauthorized_client"
    assert (await refusal(suite, GRANT, basic(client.id, "guess"))).code == "invalid_client"


async def test_a_secret_that_was_removed_works_no_more_and_the_other_does(
    suite: Suite, client: Application
) -> None:
    changes = suite.do.oauth_client_changes
    added = await changes.add_secret(principal("owner"), ACTOR, client.client.id, None)
    first = client.client.secrets[0].id
    assert (await ask(suite, GRANT, client.basic)).access_token
    await changes.remove(principal("owner"), ACTOR, client.client.id, "secrets", first)
    assert (await refusal(suite, GRANT, client.basic)).code == "invalid_client"
    assert (await ask(suite, GRANT, basic(client.id, added.text))).access_token
