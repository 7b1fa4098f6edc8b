"""Authorization codes: for one client, for a minute, once."""

import asyncio

import msgspec
import pytest

from functions.auth import records
from functions.auth.domain.oauth_client import OAuthClient
from functions.auth.domain.session import Session
from shared.ids import new_id
from shared.store import Create, Query
from shared.store.bodies import from_body
from tests.unit.auth.browser import CALLBACK, VERIFIER, Browser, add_client, claims
from tests.unit.auth.suite import ACME, SESSIONS, Suite
from tests.unit.auth.test_authorize import change_user

pytestmark = pytest.mark.anyio

CODES = Query("codes_in_test", "authorization_codes")
CLIENT = f"{ACME}.cli_web"


@pytest.fixture
async def browser(suite: Suite) -> Browser:
    await suite.add_user()
    await add_client(suite)
    return Browser(suite)


async def session_of(suite: Suite, client_id: str = CLIENT) -> Session:
    page = await suite.store.tenant(ACME).query(SESSIONS)
    found = [from_body(doc.body, Session) for doc in page.docs]
    (session,) = (one for one in found if one.client_id == client_id)
    return session


async def test_a_code_becomes_tokens_of_its_own_session(browser: Browser) -> None:
    got = await browser.redeem(await browser.code(CLIENT), CLIENT)
    assert got.status_code == 200
    assert got.headers["cache-control"] == "no-store"
    tokens, session = got.json(), await session_of(browser.suite)
    assert claims(tokens["access_token"])["sid"] == session.id
    said = claims(tokens["id_token"])
    assert (said["aud"], said["nonce"], said["sid"]) == (CLIENT, "n-1", session.id)
    assert session.scopes == ("openid", "users:read")
    again = await browser.suite.do.tokens.answer(
        {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            "client_id": CLIENT,
            "client_secret": "a secret that only the test has",
        },
        None,
        "req_1",
    )
    assert again.scope == "openid users:read"


async def test_of_64_who_redeem_at_once_one_gets_tokens(browser: Browser) -> None:
    code = await browser.code(CLIENT)
    answers = await asyncio.gather(*(browser.redeem(code, CLIENT) for _ in range(64)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 63
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    assert (await session_of(browser.suite)).revoked_because == "authorization_code_reused"


async def test_the_second_use_ends_what_the_first_one_began(browser: Browser) -> None:
    """RFC 6749 §4.1.2: access tokens too, and later than the code itself would have worked."""
    suite = browser.suite
    code = await browser.code(CLIENT)
    tokens = (await browser.redeem(code, CLIENT)).json()
    suite.clock.move(120)
    assert (await browser.redeem(code, CLIENT)).json()["error"] == "invalid_grant"
    assert (await session_of(suite)).revoked_because == "authorization_code_reused"
    suite.clock.move(30)
    me = await browser.client.get("/v1/me", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert me.status_code == 401
    assert [event.subject for event in suite.bus.events("session.revoked")] == [ACME]


async def test_a_stranger_who_shows_a_used_code_ends_nothing(browser: Browser) -> None:
    other = await add_client(browser.suite, "cli_other")
    code = await browser.code(CLIENT)
    await browser.redeem(code, CLIENT)
    assert (await browser.redeem(code, other)).json()["error"] == "invalid_grant"
    assert (await session_of(browser.suite)).revoked_at is None


async def test_a_code_works_for_a_minute(browser: Browser) -> None:
    for seconds, status in ((59.9, 200), (60, 400)):
        code = await browser.code(CLIENT)
        browser.suite.clock.move(seconds)
        assert (await browser.redeem(code, CLIENT)).status_code == status


WRONG: list[dict[str, str]] = [
    {"code_verifier": "w" * 43},
    {"code_verifier": "v" * 42},
    {"code_verifier": VERIFIER + "\n"},
    {"redirect_uri": f"{CALLBACK}/"},
    {"redirect_uri": "https://app.example"},
]


async def test_what_does_not_belong_to_the_request_gets_nothing_and_spoils_nothing(browser: Browser) -> None:
    code = await browser.code(CLIENT)
    for changes in WRONG:
        refused = await browser.redeem(code, CLIENT, **changes)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant"), changes
    for name in ("code", "redirect_uri", "code_verifier"):
        missing = await browser.redeem(code, CLIENT, **{name: ""})
        assert missing.json()["error"] == "invalid_request", name
    assert (await browser.redeem(code, CLIENT)).status_code == 200


async def test_another_client_cannot_use_it(browser: Browser) -> None:
    """R10, T1: of the same tenant or of another's."""
    suite = browser.suite
    await suite.add_tenant("tnt_other", "other")
    code = await browser.code(CLIENT)
    for stranger in (await add_client(suite, "cli_other"), await add_client(suite, tenant_id="tnt_other")):
        assert (await browser.redeem(code, stranger)).json()["error"] == "invalid_grant"
    assert (await browser.redeem(code, CLIENT)).status_code == 200


async def test_junk_is_refused_without_looking_for_it(browser: Browser) -> None:
    """R13: two reads are the client's."""
    good = await browser.code(CLIENT)
    changed = good[:-1] + ("A" if good[-1] != "A" else "B")
    for junk in (changed, "ac1_", "x", "\x00", "ac1_" + "A" * 600):
        browser.suite.store.reads.clear()
        assert (await browser.redeem(junk, CLIENT)).json()["error"] == "invalid_grant"
        assert not any("authorization_codes" in path for keys in browser.suite.store.reads for path in keys)


async def test_nothing_that_is_stored_is_a_code(browser: Browser) -> None:
    """R14."""
    code = await browser.code(CLIENT)
    await browser.redeem(code, CLIENT)
    files = b"".join(path.read_bytes() for path in browser.suite.folder.glob("store.db*"))
    assert b"authorization_codes" in files
    assert code.encode() not in files


async def test_what_a_client_did_not_register_it_does_not_get(browser: Browser) -> None:
    client = await add_client(browser.suite, "cli_short", grant_types=("authorization_code",))
    tokens = (await browser.redeem(await browser.code(client, scope="users:read"), client)).json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "scope"}


async def test_a_role_that_changed_meanwhile_counts(browser: Browser) -> None:
    """R8: nobody gets for ten minutes what they have lost already."""
    suite = browser.suite
    member = await suite.add_user("bob@acme.test", "admin")
    await browser.authorize(CLIENT, scope="openid tenant:read users:read")
    await browser.sign_in("bob@acme.test")

    await change_user(suite, member, lambda user: msgspec.structs.replace(user, role="member"))
    tokens = (await browser.redeem(browser.answered()["code"], CLIENT)).json()
    assert tokens["scope"] == "openid tenant:read"


async def test_tokens_may_be_for_another_api(browser: Browser) -> None:
    """RFC 8707: as the authorization request said, and no other."""
    code = await browser.code(CLIENT, resource="https://files.example")
    other = await browser.redeem(code, CLIENT, resource="https://api.example.test")
    assert other.json()["error"] == "invalid_target"
    tokens = (await browser.redeem(code, CLIENT)).json()
    assert claims(tokens["access_token"])["aud"] == "https://files.example"


async def test_a_public_client_proves_itself_by_pkce_alone(browser: Browser) -> None:
    client = await add_client(browser.suite, "cli_public", kind="public")
    form = {
        "grant_type": "authorization_code",
        "code": await browser.code(client),
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        "client_id": client,
    }
    assert (await browser.client.post("/oauth2/token", data=form)).status_code == 200


async def test_a_client_that_was_narrowed_meanwhile_gets_what_it_still_has(browser: Browser) -> None:
    suite = browser.suite
    code = await browser.code(CLIENT)
    doc = (await suite.store.inner.read(records.client_key(suite.store, ACME, "cli_web")))[0]
    found = records.found(doc, OAuthClient)
    assert found is not None
    marker = Create(suite.store.tenant(ACME).key("audit", new_id("aud")), {})
    narrowed = msgspec.structs.replace(found.value, scopes=("openid",))
    await suite.store.inner.commit(marker, found.replace(narrowed))
    assert (await browser.redeem(code, CLIENT)).json()["scope"] == "openid"
