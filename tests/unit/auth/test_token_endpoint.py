"""Machines sign in with a secret; the token endpoint speaks RFC 6749."""

import base64

import pytest

from functions.auth.domain.machines import ServiceAccount
from shared.audit import Actor
from shared.errors import BadRequest, Error, Forbidden, Invalid, OAuthError
from tests.unit.auth.browser import add_client
from tests.unit.auth.suite import ACME, Suite, principal

pytestmark = pytest.mark.anyio

MACHINE_GRANT = {"grant_type": "client_credentials"}


def basic(client: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()


async def refusal(suite: Suite, form: dict[str, str], authorization: str | None = None) -> Error:
    with pytest.raises(OAuthError) as refused:
        await suite.endpoint.answer(form, authorization, "req_1")
    return refused.value


async def test_a_machine_signs_in_by_basic_or_in_the_form(suite: Suite) -> None:
    client, secret = await suite.add_machine("usage:read", "tenant:read")
    in_form = MACHINE_GRANT | {"client_id": client, "client_secret": secret}
    for form, header in [
        (MACHINE_GRANT, basic(client, secret)),
        (MACHINE_GRANT, basic(client.replace(".", "%2E"), secret)),
        (MACHINE_GRANT, basic(client, secret).replace("Basic", "bAsIc")),
        (MACHINE_GRANT | {"client_id": client}, basic(client, secret)),
        (in_form, None),
        (in_form, "Bearer of-the-gateway-itself"),
    ]:
        tokens = await suite.endpoint.answer(form, header, "req_1")
        who = await suite.verifier.verify(tokens.access_token)
        assert (who.tenant_id, who.client_id, who.session_id, who.roles) == (ACME, client, None, ())
        assert client == f"{ACME}.{who.subject}"
        assert who.scopes == {"usage:read", "tenant:read"}
        assert (tokens.refresh_token, tokens.scope) == (None, "tenant:read usage:read")


async def test_a_machines_sign_in_is_one_read_of_two_documents_and_no_write(suite: Suite) -> None:
    client, secret = await suite.add_machine("usage:read")
    suite.store.reads.clear()
    suite.store.commits.clear()
    await suite.endpoint.answer(MACHINE_GRANT, basic(client, secret), "req_1")
    assert [len(keys) for keys in suite.store.reads] == [2]
    assert suite.store.commits == []


async def test_an_unknown_id_a_foreign_one_and_a_wrong_secret_are_one_answer(suite: Suite) -> None:
    """L1 for machines, T6"""
    await suite.add_tenant("tnt_globex", "globex")
    client, secret = await suite.add_machine("usage:read")
    account = client.partition(".")[2]
    _, other_secret = await suite.add_machine("usage:read")
    tried = [
        (client, "guess"),
        (client, other_secret),
        (client, secret + "A"),
        (client, ""),
        (f"{ACME}.sa_unknown", secret),
        (f"tnt_globex.{account}", secret),
        (f"tnt_nobody.{account}", secret),
        ("energent-app", secret),
        ("", ""),
        ("a/b.c/d", secret),
        (client, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
    ]
    answers = {
        (refused.status, refused.code, refused.detail, tuple(refused.headers))
        for client, secret in tried
        for refused in [await refusal(suite, MACHINE_GRANT, basic(client, secret))]
    }
    assert answers == {
        (
            401,
            "invalid_client",
            "The client could not be authenticated. Check its id, and its secret or key.",
            (),
        )
    }


@pytest.mark.parametrize(
    "header", ["Basic", "Basic ", "Basic !!!", "Basic YQ", "Basic " + base64.b64encode(b"\xff:\xff").decode()]
)
async def test_a_header_that_is_no_basic_authentication_is_a_wrong_client(suite: Suite, header: str) -> None:
    assert (await refusal(suite, MACHINE_GRANT, header)).code == "invalid_client"


async def test_malformed_ids_never_reach_the_store(suite: Suite) -> None:
    """T5"""
    suite.store.reads.clear()
    for client in ("../..", "a.b.c", "x" * 2000, "tnt_acme", "tnt_acme.", "tnt\0.sa", "__x__/a.b"):
        await refusal(suite, MACHINE_GRANT | {"client_id": client, "client_secret": "s"})
    assert suite.store.reads == []


async def test_two_ways_to_authenticate_at_once_are_refused(suite: Suite) -> None:
    """RFC 6749 §2.3"""
    client, secret = await suite.add_machine("usage:read")
    form = MACHINE_GRANT | {"client_secret": secret}
    assert (await refusal(suite, form, basic(client, secret))).code == "invalid_request"
    other = MACHINE_GRANT | {"client_id": "tnt_acme.sa_other"}
    assert (await refusal(suite, other, basic(client, secret))).code == "invalid_request"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "Refresh_Token"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "tnt_acme.sa_1"}, "invalid_client"),
    ],
)
async def test_a_request_that_lacks_something_says_what(
    suite: Suite, form: dict[str, str], code: str
) -> None:
    assert (await refusal(suite, form)).code == code


async def test_a_suspended_tenants_machine_is_refused_at_once_and_works_again_after_resume(
    suite: Suite,
) -> None:
    """T10, T11"""
    client, secret = await suite.add_machine("usage:read")
    await suite.set_status("suspended")
    right = await refusal(suite, MACHINE_GRANT, basic(client, secret))
    assert (right.status, right.code) == (400, "unauthorized_client")
    assert (await refusal(suite, MACHINE_GRANT, basic(client, "guess"))).code == "invalid_client"
    suite.clock.move(60)
    await suite.set_status("active")
    assert (await suite.endpoint.answer(MACHINE_GRANT, basic(client, secret), "req_1")).access_token


async def test_a_machine_may_ask_for_less_than_it_has_and_not_for_more(suite: Suite) -> None:
    """R11 for machines"""
    client, secret = await suite.add_machine("usage:read", "tenant:read")
    asked = MACHINE_GRANT | {"scope": "usage:read"}
    narrow = await suite.endpoint.answer(asked, basic(client, secret), "req_1")
    assert narrow.scope == "usage:read"
    assert (await suite.verifier.verify(narrow.access_token)).scopes == {"usage:read"}
    for scope in ("users:write", "usage:read users:write", "usage:read  tenant:read", "*"):
        wide = await refusal(suite, MACHINE_GRANT | {"scope": scope}, basic(client, secret))
        assert (wide.status, wide.code) == (400, "invalid_scope")


async def test_a_new_account_gets_no_more_than_its_creator_has(suite: Suite) -> None:
    """T2: the tenant is the caller's, whatever else is said."""
    actor = Actor("user", "usr_test", ACME)
    with pytest.raises(Forbidden) as refused:
        await suite.service_accounts.create(principal("member"), actor, "x", ["users:read"])
    assert refused.value.code == "scope_not_grantable"
    with pytest.raises(Forbidden):
        await suite.service_accounts.create(principal("operator"), actor, "x", ["platform:tenants:read"])
    await suite.add_tenant("platform", "platform")
    made = await suite.service_accounts.create(
        principal("operator", "platform"), actor, " x ", ["platform:tenants:read"]
    )
    assert (made.account.name, made.account.roles) == ("x", ())


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\nb", "a\0b", "\u202ex", "\ud800"])
async def test_an_account_has_a_name_that_can_be_shown(suite: Suite, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        await suite.service_accounts.create(principal("owner"), Actor("user", "u"), name, ["usage:read"])
    assert refused.value.fields[0].path == "/name"


async def test_the_secret_is_shown_once_and_only_its_hash_is_kept(suite: Suite) -> None:
    client, secret = await suite.add_machine("usage:read")
    assert len(secret) == len("sk_") + 43
    (account,) = (await suite.service_accounts.page(ACME, 20, None)).items
    assert isinstance(account, ServiceAccount)
    assert secret not in str(account)
    assert client.endswith(account.id)
    assert len(account.secrets[0].sha256) == 64
    assert (await suite.audit()).count("service_account.create") == 1


async def test_accounts_are_listed_for_their_own_tenant_only(suite: Suite) -> None:
    """T3"""
    await suite.add_tenant("tnt_globex", "globex")
    mine = [(await suite.add_machine("usage:read"))[0] for _ in range(3)]
    theirs = [(await suite.add_machine("usage:read", tenant_id="tnt_globex"))[0] for _ in range(2)]
    first = await suite.service_accounts.page(ACME, 2, None)
    rest = await suite.service_accounts.page(ACME, 2, first.next_cursor)
    listed = {f"{ACME}.{account.id}" for account in first.items + rest.items}
    assert (listed, rest.next_cursor) == (set(mine), None)
    assert not listed & set(theirs)
    for cursor in (first.next_cursor, "junk", "\0"):
        with pytest.raises(BadRequest) as refused:
            await suite.service_accounts.page("tnt_globex", 2, cursor)
        assert refused.value.code == "invalid_cursor"


async def test_who_registered_no_other_api_asks_for_tokens_of_this_one_only(suite: Suite) -> None:
    """RFC 8707 §2: a service account and the first-party app."""
    client, secret = await suite.add_machine("usage:read")
    await suite.add_user()
    token = (await suite.login()).refresh_token or ""
    for form, header in (
        (MACHINE_GRANT, basic(client, secret)),
        ({"grant_type": "refresh_token", "refresh_token": token}, None),
    ):
        refused = await refusal(suite, form | {"resource": "https://files.example"}, header)
        assert (refused.status, refused.code) == (400, "invalid_target")
        here = await suite.endpoint.answer(form | {"resource": suite.issuer}, header, "req_1")
        assert (await suite.verifier.verify(here.access_token)).audience == suite.issuer


async def test_who_shows_no_secret_gets_no_token_of_its_own_whatever_is_stored_of_it(suite: Suite) -> None:
    """RFC 6749 §4.4: for confidential clients only."""
    client = await add_client(suite, kind="public", grant_types=("client_credentials",))
    refused = await refusal(suite, MACHINE_GRANT | {"client_id": client})
    assert (refused.status, refused.code) == (401, "invalid_client")
