"""The device flow (RFC 8628): a device asks, a person decides, the device gets its tokens once."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from functions.auth.audit_log import Selection
from functions.auth.domain import user_code
from functions.auth.oauth.device_limits import GUESSES, REMEMBERED, GuessLimit, PollPace
from shared.store import Query
from tests.tokens import ISSUER, NOW
from tests.unit.auth.browser import DEVICE_CODE, SECRET, Browser, add_client, claims
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio

CLIENT = f"{ACME}.cli_web"
GRANTS = Query("device_codes_in_test", "device_codes")


class Device(Browser):
    """A browser, and beside it the device that it is to connect."""

    async def ask(self, client_id: str = CLIENT, **form: str) -> httpx.Response:
        data = {"client_id": client_id, **form}
        asked = await self.client.post("/oauth2/device_authorization", data=data, auth=(client_id, SECRET))
        if asked.status_code == 200:
            self.told = asked.json()
        return asked

    async def poll(self, client_id: str = CLIENT, wait: float = 5) -> httpx.Response:
        self.suite.clock.move(wait)
        form = {"grant_type": DEVICE_CODE, "device_code": self.told["device_code"]}
        return await self.client.post("/oauth2/token", data=form, auth=(client_id, SECRET))

    async def error(self, client_id: str = CLIENT, wait: float = 5) -> str:
        polled = await self.poll(client_id, wait)
        assert polled.status_code == 400, polled.text
        return str(polled.json()["error"])

    async def type(self, code: str | None = None) -> httpx.Response:
        """Opens the page, signs in where that is asked for, types the code."""
        await self.get("/device")
        if 'name="password"' in self.answer.text:
            await self.sign_in(organisation="acme")
            assert self.answer.headers["location"] == "/device"
            await self.get("/device")
        return await self.send(user_code=code or self.told["user_code"])

    async def connect(self) -> None:
        await self.type()
        assert "Device connected" in (await self.send(decision="allow")).text


@pytest.fixture
async def device(suite: Suite) -> Device:
    await suite.add_user()
    await add_client(suite)
    return Device(suite)


async def test_a_device_is_connected(device: Device) -> None:
    asked = await device.ask(scope="openid users:read offline_access")
    assert asked.headers["cache-control"] == "no-store"
    told = asked.json()
    assert (told["expires_in"], told["interval"]) == (600, 5)
    assert told["verification_uri"] == f"{ISSUER}/device"
    assert told["verification_uri_complete"] == f"{ISSUER}/device?user_code={told['user_code']}"
    assert await device.error() == "authorization_pending"
    page = await device.type()
    for shown in ("Acme &lt;Reports&gt;", told["user_code"], "owner@acme.test", "See users"):
        assert shown in page.text
    await device.send(decision="allow")
    tokens = (await device.poll()).json()
    assert tokens["scope"] == "openid users:read"
    assert claims(tokens["access_token"])["client_id"] == CLIENT
    assert claims(tokens["id_token"])["amr"] == ["pwd"]
    assert "refresh_token" in tokens


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_a_decision_is_on_record_with_where_it_was_taken(device: Device, decision: str) -> None:
    """G9: who is talked into connecting somebody else's device can see it there."""
    device.client.headers["X-Forwarded-For"] = "203.0.113.66"
    await device.ask()
    await device.type()
    await device.send(decision=decision)
    records = (await device.suite.do.audit_log.page(ACME, Selection(limit=100))).items
    assert [each.actor.ip for each in records if each.action == f"device.{decision}"] == ["203.0.113.66"]


async def test_tokens_are_given_once_and_the_second_try_takes_them_back(device: Device) -> None:
    """In eight instances at once, none of which knows how fast the others are asked."""
    suite = device.suite
    await device.ask()
    await device.connect()
    client = await suite.do.clients.authenticate(
        {"client_id": CLIENT, "client_secret": SECRET}, None, "req_1"
    )
    instances = []
    for _ in range(8):
        await suite.assemble()
        instances.append(suite.do.device_grants)
    racing = (each.redeem(client, device.told, "req_1") for each in instances)
    done = await asyncio.gather(*racing, return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in done) == 1
    assert await device.error() == "invalid_grant"
    assert len(suite.bus.events("session.revoked")) == 1


async def test_nobody_decides_by_opening_a_link(device: Device) -> None:
    await device.ask()
    uri = device.told["verification_uri_complete"].removeprefix(ISSUER)
    await device.get(uri)
    await device.sign_in(organisation="acme")
    assert (
        device.answer.headers["location"] == f"/device?user_code={device.told['user_code'].replace('-', '')}"
    )
    for _ in range(2):
        page = await device.get(uri)
        assert device.form()["user_code"] == device.told["user_code"]
        assert "Allow" not in page.text
    assert await device.error() == "authorization_pending"


async def test_a_person_says_no(device: Device) -> None:
    await device.ask()
    await device.type()
    assert "Not connected" in (await device.send(decision="deny")).text
    assert await device.error() == "access_denied"
    assert (await device.type()).status_code == 404, "it is decided"


async def test_a_decision_is_one_of_two_and_made_once(device: Device) -> None:
    await device.ask()
    page = await device.type()
    assert (await device.send(decision="maybe")).status_code == 303
    device.answer = page
    await device.send(decision="allow")
    device.answer = page
    assert (await device.send(decision="deny")).status_code == 404
    assert (await device.poll()).status_code == 200


async def test_nobody_decides_in_time(device: Device) -> None:
    await device.ask()
    page = await device.type()
    device.suite.clock.move(600)
    assert await device.error(wait=0) == "expired_token"
    device.answer = page
    assert (await device.send(decision="allow")).status_code == 404
    assert (await device.type()).status_code == 404


async def test_who_polls_too_fast_is_slowed_down(device: Device) -> None:
    """RFC 8628 §3.5: five seconds more for all that follow, and nothing is read or written meanwhile."""
    await device.ask()
    assert await device.error(wait=0) == "authorization_pending"
    assert await device.error(wait=4) == "slow_down"
    assert await device.error(wait=9) == "slow_down"
    assert await device.error(wait=14) == "slow_down"
    assert await device.error(wait=20) == "authorization_pending"


async def test_another_tenants_code_and_no_code_look_the_same(device: Device) -> None:
    """T1: whoever guesses a code of another tenant learns nothing by it."""
    suite = device.suite
    await suite.add_tenant("tnt_other", "other")
    foreign = await add_client(suite, tenant_id="tnt_other")
    await device.ask(foreign)
    theirs = await device.type()
    code, form = device.told["user_code"], device.form()
    nobodys = await device.type("BBBB-BBBB")
    assert theirs.status_code == nobodys.status_code == 404
    same = theirs.text.replace(form["page"], "").replace(code, "")
    assert same == nobodys.text.replace(device.form()["page"], "").replace("BBBB-BBBB", "")
    assert await device.error(foreign) == "authorization_pending"


async def test_guessing_ends_after_ten_wrong_codes(device: Device) -> None:
    await device.ask()
    for _ in range(GUESSES):
        assert (await device.type("BBBB-BBBB")).status_code == 404
    assert (await device.type()).status_code == 429
    device.suite.clock.move(599)
    await device.ask()
    assert (await device.type()).status_code == 429
    device.suite.clock.move(1)
    assert (await device.type()).status_code == 200


async def test_a_code_is_read_as_people_type_it(device: Device) -> None:
    await device.ask()
    code = device.told["user_code"].replace("-", "")
    for typed in (
        code.lower(),
        f" {code[:4]} {code[4:]} ",
        f"{code[:2]}-{code[2:6]}_{code[6:]}",
        "–".join(code),
    ):
        assert (await device.type(typed)).status_code == 200, typed
    for junk in (code[:7], code + "B", "AEIO-UAEI", "", "ẞ" * 8, "B" * 65, "\x00" * 8):
        assert user_code.typed(junk) is None, junk


def test_codes_are_of_20_letters_and_each_comes_up() -> None:
    codes = [user_code.new() for _ in range(400)]
    assert len(set(codes)) == 400
    assert set("".join(codes)) == set(user_code.ALPHABET)
    assert {len(code) for code in codes} == {8}


async def test_a_client_without_the_grant_or_a_secret_gets_no_code(device: Device) -> None:
    short = await add_client(device.suite, "cli_short", grant_types=("authorization_code",))
    assert (await device.ask(short)).json()["error"] == "unauthorized_client"
    assert (await device.ask(f"{ACME}.cli_none")).status_code == 401
    app = await device.client.post("/oauth2/device_authorization", data={"scope": "openid"})
    assert app.json()["error"] == "unauthorized_client"
    assert (await device.ask(scope="no:such")).json()["error"] == "invalid_scope"
    assert (await device.ask(resource="https://evil.example")).json()["error"] == "invalid_target"


async def test_another_client_cannot_take_the_tokens(device: Device) -> None:
    other = await add_client(device.suite, "cli_other")
    await device.ask()
    await device.connect()
    assert await device.error(other) == "invalid_grant"
    code, device.told = dict(device.told), {"device_code": device.told["device_code"][:-1] + "x"}
    assert await device.error() == "invalid_grant"
    device.told = code
    assert (await device.poll()).status_code == 200


async def test_signing_out_of_the_browser_does_not_disconnect_the_device(device: Device) -> None:
    await device.ask()
    await device.connect()
    await device.get("/oauth2/logout")
    await device.send()
    assert (await device.poll()).status_code == 200


async def test_a_suspension_before_the_device_asks_again_counts(device: Device) -> None:
    """T10."""
    await device.ask()
    await device.connect()
    await device.suite.set_status("suspended")
    await device.suite.set_status("active")
    assert await device.error() == "invalid_grant"


async def test_who_is_signed_in_now_decides_not_who_was(device: Device) -> None:
    await device.suite.add_user("bob@acme.test", "member")
    await device.ask()
    page = await device.type()
    await device.get("/oauth2/logout")
    await device.send()
    await device.get("/device")
    await device.sign_in("bob@acme.test", organisation="acme")
    device.answer = page
    assert (await device.send(decision="allow")).headers["location"].startswith("/device?user_code=")
    assert await device.error() == "authorization_pending"


async def test_a_person_without_the_rights_gives_none(device: Device) -> None:
    await device.suite.add_user("bob@acme.test", "member")
    await device.ask(scope="users:read")
    await device.get("/device")
    await device.sign_in("bob@acme.test", organisation="acme")
    page = await device.type()
    assert page.status_code == 403
    assert "none of the rights" in page.text


async def test_nothing_that_is_stored_is_a_code(device: Device) -> None:
    """R14."""
    await device.ask()
    files = b"".join(path.read_bytes() for path in device.suite.folder.glob("store.db*"))
    assert b"device_codes" in files
    for text in (
        device.told["device_code"],
        device.told["user_code"],
        device.told["user_code"].replace("-", ""),
    ):
        assert text.encode() not in files


def test_what_an_instance_remembers_is_bounded() -> None:
    pace, limit = PollPace(), GuessLimit()
    for number in range(REMEMBERED + 10):
        assert not pace.is_too_early(f"dev_{number}", NOW)
        limit.add(f"usr_{number}", NOW)
    assert not pace.is_too_early("dev_0", NOW), "forgotten"
    assert pace.is_too_early(f"dev_{REMEMBERED + 9}", NOW + timedelta(seconds=1))
    for _ in range(GUESSES - 1):
        limit.add("usr_0", NOW)
        limit.add("usr_11", NOW)
    assert not limit.is_reached("usr_0", NOW), "its first guess is forgotten"
    assert limit.is_reached("usr_11", NOW)
