"""What was begun before somebody was disabled or deleted, or their tenant suspended, comes to nothing."""

from typing import Literal

import msgspec
import pytest

from functions.auth.domain.refresh_token import RefreshToken
from functions.auth.oauth.introspection import INACTIVE
from shared.audit import Actor
from shared.errors import OAuthError, Unauthenticated, Unavailable
from shared.event_door import Rejected
from shared.identity import TENANT_LIMITS
from tests.authenticator import Authenticator
from tests.unit.auth import applications
from tests.unit.auth.browser import SECRET, Browser, add_client
from tests.unit.auth.people import People
from tests.unit.auth.second_factor import assertion, loaded, person, refused
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, SOURCE, Suite, principal
from tests.unit.auth.test_authorize import change_user
from tests.unit.auth.test_email_change import tokens as links

pytestmark = pytest.mark.anyio

ACTOR = Actor("user", "usr_test", ACME)
CLIENT = f"{ACME}.cli_web"
End = Literal["disable", "delete"]
ENDS = pytest.mark.parametrize("end", ["disable", "delete"])


async def end_user(suite: Suite, user_id: str, end: End) -> None:
    """By another owner, who is there for it."""
    await suite.add_user("eve@acme.test")
    if end == "disable":
        await suite.do.user_changes.disable(principal("owner"), ACTOR, user_id)
    else:
        await suite.do.user_changes.delete(principal("owner"), ACTOR, user_id)


@ENDS
async def test_a_password_that_was_right_before_lets_no_second_factor_in(suite: Suite, end: End) -> None:
    """R8: the answer is that to a wrong code."""
    ada = await person(suite)
    await ada.enrol_totp()
    suite.clock.move(30)
    challenge = await ada.challenge()
    wrong = await refused(ada.finish(challenge, totp=ada.wrong_code()))
    await end_user(suite, ada.user.id, end)
    refusal = await refused(ada.finish(challenge, totp=ada.code()))
    assert (refusal.status, refusal.code, refusal.detail) == (wrong.status, wrong.code, wrong.detail)


@ENDS
async def test_a_link_gives_nobody_another_address(suite: Suite, people: People, end: End) -> None:
    ada = await people.added("ada@acme.test", "owner")
    user_id = (await ada.get("/v1/me"))["subject"]
    asked = {"email": "countess@acme.test", "password": PASSWORD}
    assert (await ada.ask("POST", "/v1/me/email", asked)).status_code == 202
    (link,) = await links(suite)
    await end_user(suite, user_id, end)
    answer = await people.post("/v1/auth/email/verify", {"token": link})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    assert suite.bus.events("user.email_changed") == []


@ENDS
async def test_a_refresh_token_is_told_to_be_inactive(suite: Suite, end: End) -> None:
    """RFC 7662 §2.2."""
    client = await applications.register(suite)
    user = await suite.add_user()
    tokens = await applications.given(suite, client, user)
    form = {"token": tokens.refresh_token or ""}
    assert (await suite.do.introspection.answer(form, client.basic, "req_1")).active
    if end == "disable":  # before any of the sessions says so
        await change_user(suite, user, lambda one: msgspec.structs.replace(one, status="disabled"))
    else:
        await end_user(suite, user.id, end)
    assert await suite.do.introspection.answer(form, client.basic, "req_1") == INACTIVE


async def test_a_refresh_token_of_a_suspended_tenant_is_told_to_be_inactive_by_a_client_known_until_then(
    suite: Suite,
) -> None:
    """T10: a client whose secret was right a moment ago is believed, and its tenant is not."""
    client = await applications.register(suite)
    tokens = await applications.given(suite, client, await suite.add_user())
    form = {"token": tokens.refresh_token or ""}
    assert (await suite.do.introspection.answer(form, client.basic, "req_1")).active
    await suite.change_tenant(status="suspended")
    assert await suite.do.introspection.answer(form, client.basic, "req_1") == INACTIVE


async def test_a_refresh_token_of_a_session_that_is_gone_is_told_to_be_inactive(suite: Suite) -> None:
    """Documents of sessions go some time after they are over."""
    client, user = await applications.register(suite), await suite.add_user()
    gone = suite.refresh_tokens.text(RefreshToken(ACME, user.id, "ses_none", 1))
    assert await suite.do.introspection.answer({"token": gone}, client.basic, "req_1") == INACTIVE


async def test_of_somebody_who_is_gone_nothing_is_told(suite: Suite) -> None:
    """OpenID Connect Core §5.3.3, RFC 6750 §3.1."""
    with pytest.raises(Unauthenticated) as refusal:
        await suite.do.userinfo.of(principal("owner"))
    assert refusal.value.code == "invalid_token"


@ENDS
async def test_a_code_is_good_for_nobody_who_is_out(suite: Suite, end: End) -> None:
    user = await suite.add_user()
    await add_client(suite)
    browser = Browser(suite)
    code = await browser.code(CLIENT)
    await end_user(suite, user.id, end)
    refusal = await browser.redeem(code, CLIENT)
    assert (refusal.status_code, refusal.json()["error"]) == (400, "invalid_grant")


async def test_a_sign_in_that_ends_while_its_code_is_redeemed_gives_nothing(suite: Suite) -> None:
    """R8: it is in the commit that begins the client's session."""
    await suite.add_user()
    await add_client(suite)
    browser = Browser(suite)
    code = await browser.code(CLIENT)
    signed_in = await suite.only_session()

    async def end() -> None:
        await suite.do.session_end.end(ACME, signed_in.id, "stolen_device", ACTOR)

    suite.store.before_commit = end
    refusal = await browser.redeem(code, CLIENT)
    assert (refusal.status_code, refusal.json()["error"]) == (400, "invalid_grant")
    assert (await suite.only_session()).revoked_because == "stolen_device"


async def test_nobody_connects_a_device_to_a_client_that_is_gone(suite: Suite) -> None:
    await suite.add_user()
    await add_client(suite)
    browser = Browser(suite)
    form = {"client_id": CLIENT, "client_secret": SECRET}
    asked = await browser.client.post("/oauth2/device_authorization", data=form)
    await browser.get("/device")
    await browser.sign_in(OWNER, organisation="acme")
    await browser.get("/device")
    await suite.do.oauth_client_changes.delete(principal("owner"), ACTOR, "cli_web")
    assert (await browser.send(user_code=asked.json()["user_code"])).status_code == 404


@ENDS
async def test_access_ends_with_the_commit_whatever_comes_after_it(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, end: End
) -> None:
    """R8: the process dies before a single session says that it is over."""
    ada = await person(suite)
    token = (await ada.tokens()).access_token

    async def dies(*_: object) -> None:
        raise Unavailable("store_unavailable", "The store did not answer. Try again.")

    monkeypatch.setattr(suite.do.session_end, "end_all", dies)
    with pytest.raises(Unavailable):
        await end_user(suite, ada.user.id, end)
    assert (await suite.only_session()).revoked_at is None
    suite.clock.move(TENANT_LIMITS.ttl.total_seconds())
    with pytest.raises(Unauthenticated):
        await suite.verifier.verify(token)


async def test_a_refresh_that_a_new_password_overtakes_gives_nothing(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R8: also before anything but the user's own document says so."""
    ada = await person(suite)
    stolen, own = await ada.tokens(), await ada.principal()

    async def nothing(*_: object) -> None:
        pass

    async def change() -> None:
        await suite.do.password_changes.change(
            own, ada.actor, PASSWORD, "staple battery horse incorrect", SOURCE, keep_other_sessions=False
        )

    monkeypatch.setattr(suite.do.session_end, "end_all", nothing)
    suite.store.before_commit = change
    with pytest.raises(OAuthError) as refusal:
        await suite.refresh(stolen.refresh_token)
    assert refusal.value.code == "invalid_grant"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("user.disabled", {"user_id": "no/id"}),
        ("role.updated", {"role": "no/role"}),
        ("service_account.updated", {"service_account_id": "no/id", "access": "ended"}),
    ],
)
async def test_an_event_about_what_can_be_nobody_is_set_aside(
    suite: Suite, name: str, data: dict[str, str]
) -> None:
    """It would fail each time it is delivered."""
    with pytest.raises(Rejected):
        await suite.deliver(name, data)


async def test_a_passkey_of_whoever_is_deleted_between_two_reads_is_nobodys(suite: Suite) -> None:
    """The second of them is of what the first one named."""
    ada, authenticator = await person(suite), Authenticator()
    await ada.enrol_passkey(authenticator)
    given = assertion(authenticator.get(loaded(await suite.do.passkey_sign_in.options("acme"))))

    async def delete() -> None:
        if any("/crd_" in path for path in suite.store.reads[-1]):
            await end_user(suite, ada.user.id, "delete")
        else:
            suite.store.after_read = delete

    suite.store.after_read = delete
    refusal = await refused(suite.do.passkey_sign_in.login("acme", given, SOURCE))
    assert (refusal.status, refusal.code) == (401, "invalid_credentials")
    assert "user.delete" in await suite.audit()


async def test_a_wrong_password_of_whoever_is_deleted_meanwhile_is_just_wrong(suite: Suite) -> None:
    ada = await person(suite)

    async def delete() -> None:
        await end_user(suite, ada.user.id, "delete")

    suite.store.before_commit = delete
    refusal = await refused(suite.sign_in.login("acme", OWNER, "wrong horse battery staple", SOURCE))
    assert (refusal.status, refusal.code) == (401, "invalid_credentials")
    assert "sign_in.refuse" not in await suite.audit()
