"""Second factors through the HTTP door: every answer is what api-spec.yaml says, and no request is a 5xx."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS30Validator

from tests.authenticator import Authenticator
from tests.deploy.test_api_spec import SPEC
from tests.unit.auth.http_door import LOGIN, Door
from tests.unit.auth.second_factor import Person, person
from tests.unit.auth.suite import OWNER, PASSWORD, Suite

pytestmark = pytest.mark.anyio


class Client:
    """Sends, and holds each answer to the contract."""

    def __init__(self, door: Door, ada: Person) -> None:
        self.door = door
        self.ada = ada
        self.bearer: dict[str, str] = {}

    async def send(self, method: str, path: str, body: Any = None, template: str = "") -> httpx.Response:
        answer = await self.door.client.request(method, path, json=body, headers=self.bearer)
        operation = SPEC["paths"][template or path][method.lower()]
        said = operation["responses"][str(answer.status_code)]
        if "$ref" in said:
            said = SPEC["components"]["responses"][said["$ref"].rpartition("/")[2]]
        if answer.content:
            kind = answer.headers["content-type"]
            schema = said["content"][kind]["schema"] | {"components": SPEC["components"]}
            OAS30Validator(schema).validate(answer.json())
        else:
            assert "content" not in said
        return answer

    async def login(self) -> httpx.Response:
        self.bearer = {}
        answer = await self.send("POST", "/v1/auth/login", LOGIN)
        if "access_token" in answer.json():
            self.bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return answer


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    door = Door(suite)
    yield Client(door, await person(suite))
    await door.client.aclose()


async def test_somebody_enrols_signs_in_steps_up_and_removes_over_http(suite: Suite, client: Client) -> None:
    ada = client.ada
    signed_in = await client.login()
    nothing: dict[str, Any] = {"totp": None, "passkeys": [], "recovery_codes": None}
    assert (await client.send("GET", "/v1/me/factors")).json() == nothing
    begun = await client.send("POST", "/v1/me/factors/totp")
    assert begun.headers["cache-control"] == "no-store"
    assert set(begun.json()) == {"secret", "uri"}
    assert (await client.send("POST", "/v1/me/factors/totp/confirm", {"code": "000000"})).status_code == 422
    await ada.enrol_totp(await suite.verifier.verify(signed_in.json()["access_token"]))
    codes = await client.send("POST", "/v1/me/factors/recovery-codes")
    assert codes.headers["cache-control"] == "no-store"
    assert len(codes.json()["codes"]) == codes.json()["left"] == 10
    authenticator = Authenticator()
    options = await client.send("POST", "/v1/me/factors/passkeys/options")
    made = await client.send(
        "POST",
        "/v1/me/factors/passkeys",
        {"name": "Laptop", "credential": authenticator.create(options.json()["public_key"])},
    )
    assert made.status_code == 201
    path, template = f"/v1/me/factors/passkeys/{made.json()['id']}", "/v1/me/factors/passkeys/{passkey_id}"
    assert (await client.send("PATCH", path, {"name": "Phone"}, template)).json()["name"] == "Phone"

    asked = (await client.login()).json()["second_factor"]
    assert asked["methods"] == ["passkey", "totp", "recovery_code"]
    answered = {"challenge": asked["challenge"], "passkey": authenticator.get(asked["passkey"])}
    signed_in = await client.send(
        "POST", "/v1/auth/login/second-factor", answered | {"remember_device": True}
    )
    assert signed_in.headers["cache-control"] == "no-store"
    assert "device_token" in signed_in.json()
    assert (await client.send("POST", "/v1/auth/login/second-factor", answered)).status_code == 401

    options = await client.send("POST", "/v1/auth/passkeys/login/options", {"tenant": "acme"})
    alone = {"tenant": "acme", "credential": authenticator.get(options.json()["public_key"])}
    signed_in = await client.send("POST", "/v1/auth/passkeys/login", alone)
    assert (await client.send("POST", "/v1/auth/passkeys/login", alone)).status_code == 401
    client.bearer = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    options = await client.send("POST", "/v1/auth/step-up/options")
    assert options.json()["methods"] == ["passkey", "totp"]
    proof = {"passkey": authenticator.get(options.json()["passkey"])}
    stepped = await client.send("POST", "/v1/auth/step-up", proof)
    assert "refresh_token" not in stepped.json()
    listed = (await client.send("GET", "/v1/me/factors")).json()
    assert listed["recovery_codes"]["left"] == 10
    assert [each["name"] for each in listed["passkeys"]] == ["Phone"]
    assert (await client.send("DELETE", path, template=template)).status_code == 204
    assert (await client.send("DELETE", path, template=template)).status_code == 404
    assert (await client.send("DELETE", "/v1/me/factors/totp")).status_code == 204
    assert (await client.send("GET", "/v1/me/factors")).json() == nothing


async def test_what_must_be_recent_says_how_to_go_on(suite: Suite, client: Client) -> None:
    """RFC 9470 §3: the challenge names the level and the age; stepping up opens the way."""
    tokens = (await client.login()).json()
    suite.clock.move(599)
    refreshed = await suite.refresh(tokens["refresh_token"])
    client.bearer = {"Authorization": f"Bearer {refreshed.access_token}"}
    suite.clock.move(1)
    refusal = await client.send("POST", "/v1/me/factors/totp")
    assert (refusal.status_code, refusal.json()["code"]) == (403, "step_up_required")
    assert 'error="insufficient_user_authentication"' in refusal.headers["www-authenticate"]
    assert 'max_age="600"' in refusal.headers["www-authenticate"]
    stepped = await client.send("POST", "/v1/auth/step-up", {"password": PASSWORD})
    client.bearer = {"Authorization": f"Bearer {stepped.json()['access_token']}"}
    assert (await client.send("POST", "/v1/me/factors/totp")).status_code == 200


async def test_a_tenant_sets_its_policy_over_http(client: Client) -> None:
    await client.login()
    path = "/v1/security-policy"
    optional = {"second_factor": "optional", "methods": ["totp", "passkey"]}
    assert (await client.send("GET", path)).json() == optional
    wanted = {"second_factor": "required", "methods": ["passkey"]}
    assert (await client.send("PUT", path, wanted)).json() == wanted
    assert (await client.send("GET", path)).json() == wanted
    for wrong in ({}, wanted | {"methods": []}, wanted | {"methods": ["sms"]}, wanted | {"more": 1}):
        assert (await client.send("PUT", path, wrong)).status_code == 422


async def test_factors_of_somebody_else_are_reset_over_http(suite: Suite, client: Client) -> None:
    bob = await person(suite, "bob@acme.test", "member")
    await bob.enrol_totp()
    await client.login()
    template = "/v1/users/{user_id}/factors"
    for user_id, status in ((bob.user.id, 204), ("usr_nobody", 404), (client.ada.user.id, 409)):
        answer = await client.send("DELETE", f"/v1/users/{user_id}/factors", template=template)
        assert answer.status_code == status


PASSKEY = {"id": "AAAA", "response": {"clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA"}}
MADE = {"id": "AAAA", "response": {"clientDataJSON": "e30", "attestationObject": "AA"}}
BODIES = [
    ("/v1/auth/login/second-factor", {"challenge": "sf1_x", "totp": "123456"}, 401),
    ("/v1/auth/login/second-factor", {"challenge": "sf1_x", "recovery_code": "\x00"}, 400),
    ("/v1/auth/login/second-factor", {"challenge": "sf1_x", "passkey": PASSKEY}, 401),
    ("/v1/auth/login/second-factor", {"challenge": "sf1_x"}, 422),
    ("/v1/auth/login/second-factor", {"challenge": "sf1_x", "totp": "123456", "passkey": PASSKEY}, 422),
    ("/v1/auth/login/second-factor", {"challenge": "sf1_x", "totp": "12345"}, 422),
    ("/v1/auth/login/second-factor", {"challenge": "sf1_x", "totp": "１２３４５６"}, 422),
    ("/v1/auth/login/second-factor", {"challenge": "x" * 513, "totp": "123456"}, 422),
    ("/v1/auth/passkeys/login/options", {"tenant": "no such/tenant"}, 200),
    ("/v1/auth/passkeys/login/options", {"tenant": ""}, 422),
    ("/v1/auth/passkeys/login", {"tenant": "acme", "credential": PASSKEY}, 401),
    ("/v1/auth/passkeys/login", {"tenant": "\ud7ff", "credential": PASSKEY}, 401),
    ("/v1/auth/passkeys/login", {"tenant": "acme", "credential": {"id": 1}}, 422),
    ("/v1/auth/passkeys/login", {"tenant": "acme", "credential": PASSKEY | {"id": "A" * 2000}}, 422),
    ("/v1/auth/step-up", {}, 422),
    ("/v1/auth/step-up", {"password": PASSWORD, "totp": "123456"}, 422),
    ("/v1/auth/step-up", {"password": "wrong horse battery staple"}, 403),
    ("/v1/auth/step-up", {"totp": "123456"}, 403),
    ("/v1/auth/step-up", {"passkey": PASSKEY}, 403),
    ("/v1/me/factors/totp/confirm", {"code": "123456"}, 409),
    ("/v1/me/factors/totp/confirm", {"code": 123456}, 422),
    ("/v1/me/factors/passkeys", {"name": "Laptop", "credential": MADE}, 422),
    ("/v1/me/factors/passkeys", {"name": "\n", "credential": MADE}, 422),
    ("/v1/me/factors/recovery-codes", None, 409),
]


async def test_bad_input_is_refused_as_the_contract_says(client: Client) -> None:
    await client.login()
    for path, body, status in BODIES:
        answer = await client.send("POST", path, body)
        assert answer.status_code == status, (path, body, answer.text)
    for method in ("PATCH", "DELETE"):
        body = {"name": "Phone"} if method == "PATCH" else None
        template = "/v1/me/factors/passkeys/{passkey_id}"
        answer = await client.send(method, "/v1/me/factors/passkeys/psk_x", body, template)
        assert answer.status_code == 404


async def test_a_machine_has_no_factors(suite: Suite, client: Client) -> None:
    """T1"""
    machine = await suite.add_machine("users:write", "security:read", "security:write")
    client.bearer = {"Authorization": f"Bearer {await suite.machine_token(*machine)}"}
    assert (await client.send("GET", "/v1/security-policy")).status_code == 200
    wanted = {"second_factor": "required", "methods": ["passkey"]}
    assert (await client.send("PUT", "/v1/security-policy", wanted)).json()["code"] == "step_up_required"
    assert (await client.send("GET", "/v1/me/factors")).json()["code"] == "no_session"
    path = f"/v1/users/{client.ada.user.id}/factors"
    refusal = await client.send("DELETE", path, template="/v1/users/{user_id}/factors")
    assert refusal.json()["code"] == "step_up_required"
    assert OWNER not in refusal.text
