"""What was begun before somebody was disabled or deleted, or their tenant suspended, comes to nothing."""

from typing import Literal

import msgspec
import pytest

from functions.auth.oauth.introspection import INACTIVE
from shared.audit import Actor
from tests.unit.auth import applications
from tests.unit.auth.browser import SECRET, Browser, add_client
from tests.unit.auth.people import People
from tests.unit.auth.second_factor import person, refused
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite, principal
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
