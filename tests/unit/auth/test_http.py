"""Auth through its HTTP door."""

import httpx
import pytest

from functions.auth.domain.people import User
from tests.unit.auth.http_door import LOGIN, Door
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"


async def test_a_person_signs_in_looks_refreshes_and_signs_out(door: Door, owner: User) -> None:
    signed_in = await door.client.post("/v1/auth/login", json=LOGIN)
    assert signed_in.headers["cache-control"] == "no-store"
    tokens = signed_in.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    me = (await door.client.get("/v1/me", headers=bearer)).json()
    assert me == {
        "tenant_id": ACME,
        "subject": owner.id,
        "client_id": "energent-app",
        "session_id": me["session_id"],
        "roles": ["owner"],
        "scopes": sorted(tokens["scope"].split()),
        "tier": "standard",
        "expires_at": "2026-03-04T12:10:00Z",
    }
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    refreshed = await door.client.post("/oauth2/token", data=form)
    assert refreshed.status_code == 200
    assert refreshed.headers["cache-control"] == "no-store"
    assert (await door.client.post("/v1/auth/logout", headers=bearer)).status_code == 204
    form["refresh_token"] = refreshed.json()["refresh_token"]
    dead = await door.client.post("/oauth2/token", data=form)
    assert (dead.status_code, dead.json()["error"]) == (400, "invalid_grant")


async def test_me_asks_the_store_nothing_once_the_tenant_is_known(
    suite: Suite, door: Door, owner: User
) -> None:
    bearer = await door.bearer()
    await door.client.get("/v1/me", headers=bearer)
    suite.store.reads.clear()
    assert (await door.client.get("/v1/me", headers=bearer)).status_code == 200
    assert suite.store.reads == []


async def test_wrong_credentials_are_the_same_bytes_whatever_is_wrong(door: Door, owner: User) -> None:
    """L1"""
    answers = set()
    for wrong in ({"tenant": "nobody"}, {"email": "eve@acme.test"}, {"password": "wrong horse battery"}):
        headers = {"X-Request-Id": "req_the_same"}
        answer = await door.client.post("/v1/auth/login", json=LOGIN | wrong, headers=headers)
        answers.add((answer.status_code, answer.content, tuple(sorted(answer.headers.items()))))
    assert len(answers) == 1
    assert {status for status, _, _ in answers} == {401}


@pytest.mark.parametrize("value", [["a@acme.test"], {"a": 1}, 7, None, True, 1.5])
@pytest.mark.parametrize("field", ["tenant", "email", "password"])
async def test_a_field_of_another_type_is_named(door: Door, field: str, value: object) -> None:
    """L19"""
    answer = await door.client.post("/v1/auth/login", json=LOGIN | {field: value})
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [f"/{field}"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/auth/login", LOGIN),
        ("/v1/auth/invitations/accept", {"token": "t", "password": PASSWORD, "name": "Bob"}),
        ("/v1/invitations", {"email": "bob@acme.test", "role": "member"}),
        ("/v1/service-accounts", {"name": "x", "scopes": ["usage:read"]}),
    ],
)
@pytest.mark.parametrize("extra", [{"tenant_id": "tnt_globex"}, {"roles": ["owner"]}, {"id": "usr_1"}])
async def test_a_field_too_many_is_refused(
    door: Door, owner: User, path: str, body: dict[str, object], extra: dict[str, object]
) -> None:
    """L19, T2: neither role nor tenant can be said where they are not asked for."""
    answer = await door.client.post(path, json=body | extra, headers=await door.bearer())
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "unknown_field"


async def test_the_tenant_is_the_tokens_whatever_query_body_and_headers_say(
    suite: Suite, door: Door, owner: User
) -> None:
    """T2, T4"""
    await suite.add_tenant("tnt_globex", "globex")
    foreign = await suite.add_user("eve@globex.test", tenant_id="tnt_globex")
    bearer = await door.bearer()
    spoofed = bearer | {
        "X-Tenant-Id": "tnt_globex",
        "X-Apigateway-Api-Userinfo": "eyJ0aWQiOiJ0bnRfZ2xvYmV4In0",
    }
    listed = await door.client.get("/v1/users", headers=spoofed)
    assert [user["id"] for user in listed.json()["items"]] == [owner.id]
    assert (await door.client.get("/v1/users?tenant_id=tnt_globex", headers=bearer)).status_code == 422
    answers = set()
    for user_id in (foreign.id, "usr_none"):
        answer = await door.client.get(
            f"/v1/users/{user_id}", headers=bearer | {"X-Request-Id": "req_the_same"}
        )
        answers.add((answer.status_code, answer.content))
    assert len(answers) == 1
    own = await door.client.get(f"/v1/users/{owner.id}", headers=bearer)
    assert set(own.json()) == {"id", "email", "name", "role", "status", "created_at"}


@pytest.mark.parametrize("user_id", ["..", "%2e%2e", "a%2Fb", "__x__", "x" * 1501, "a%00b", "%FF", "tnt.sa"])
async def test_an_id_that_can_be_none_is_not_found(door: Door, owner: User, user_id: str) -> None:
    """T5"""
    answer = await door.client.get(f"/v1/users/{user_id}", headers=await door.bearer())
    assert answer.status_code == 404


async def test_scopes_guard_the_routes(suite: Suite, door: Door, owner: User) -> None:
    await suite.add_user("bob@acme.test", "member")
    bearer = await door.bearer(email="bob@acme.test")
    for method, path in [
        ("GET", "/v1/users"),
        ("GET", "/v1/users/usr_1"),
        ("GET", "/v1/invitations"),
        ("POST", "/v1/invitations"),
        ("GET", "/v1/service-accounts"),
        ("POST", "/v1/service-accounts"),
    ]:
        answer = await door.client.request(method, path, headers=bearer)
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
        assert (await door.client.request(method, path)).status_code == 401


async def test_people_are_invited_and_listed_with_a_cursor(suite: Suite, door: Door, owner: User) -> None:
    bearer = await door.bearer()
    for name in ("bob", "carol"):
        suite.clock.move(1)
        made = await door.client.post(
            "/v1/invitations", json={"email": f"{name}@acme.test", "role": "member"}, headers=bearer
        )
        assert made.status_code == 201
    assert set(made.json()) == {"id", "email", "role", "status", "created_at", "expires_at"}
    first = (await door.client.get("/v1/invitations?limit=2", headers=bearer)).json()
    assert [item["email"] for item in first["items"]] == [OWNER, "bob@acme.test"]
    query = {"limit": "2", "cursor": first["next_cursor"]}
    rest = (await door.client.get("/v1/invitations", params=query, headers=bearer)).json()
    assert ([item["status"] for item in rest["items"]], rest["next_cursor"]) == (["pending"], None)
    again = await door.client.get("/v1/users", params=query, headers=bearer)
    assert (again.status_code, again.json()["code"]) == (400, "invalid_cursor")
    again = await door.client.post("/v1/invitations", json={"email": OWNER, "role": "admin"}, headers=bearer)
    assert (again.status_code, again.json()["code"]) == (409, "user_exists")


async def test_a_machine_is_made_signs_in_and_is_listed_without_its_secret(door: Door, owner: User) -> None:
    bearer = await door.bearer()
    asked = {"name": "nightly export", "scopes": ["usage:read"]}
    made = await door.client.post("/v1/service-accounts", json=asked, headers=bearer)
    account = made.json()
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    credentials = (account["client_id"], account.pop("client_secret"))
    form = {"grant_type": "client_credentials", "scope": ""}
    answer = await door.client.post("/oauth2/token", data=form, auth=credentials)
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "scope"}
    behind = {"X-Forwarded-Authorization": httpx.BasicAuth(*credentials)._auth_header}
    gateway = behind | {"Authorization": "Bearer identity-of-the-gateway"}
    assert (await door.client.post("/oauth2/token", data=form, headers=gateway)).status_code == 200
    listed = (await door.client.get("/v1/service-accounts", headers=bearer)).json()
    (shown,) = listed["items"]
    assert (listed["next_cursor"], shown | account) == (None, shown)
    assert credentials[1] not in str(listed)
    token = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await door.client.post("/v1/auth/logout", headers=token)).json()["code"] == "no_session"


@pytest.mark.parametrize(
    ("content", "content_type", "status", "error"),
    [
        (b"", FORM, 400, "invalid_request"),
        (b"grant_type=&refresh_token=x", FORM, 400, "invalid_request"),
        (b"grant_type=refresh_token&refresh_token=", FORM, 400, "invalid_request"),
        (b"grant_type=implicit", FORM, 400, "unsupported_grant_type"),
        (b"grant_type=a&grant_type=b", FORM, 400, "invalid_request"),
        (b"grant_type=%FF", FORM, 400, "invalid_request"),
        (b"grant_type=refresh_token&refresh_token=%00", FORM, 400, "invalid_grant"),
        (b"grant_type=client_credentials&client_id=a.b&client_secret=c", FORM, 401, "invalid_client"),
        (b"{}", "application/json", 415, "invalid_request"),
        (b"x" * 70_000, FORM, 413, "invalid_request"),
    ],
)
async def test_the_token_endpoint_answers_in_the_words_of_oauth(
    door: Door, content: bytes, content_type: str, status: int, error: str
) -> None:
    """RFC 6749 §5.2"""
    answer = await door.client.post("/oauth2/token", content=content, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_keys_and_metadata_are_public_for_five_minutes(suite: Suite, door: Door) -> None:
    keys = await door.client.get("/.well-known/jwks.json")
    metadata = await door.client.get("/.well-known/openid-configuration")
    assert {answer.headers["cache-control"] for answer in (keys, metadata)} == {"public, max-age=300"}
    assert keys.content == suite.jwks
    issuer = metadata.json()["issuer"]
    assert metadata.json()["token_endpoint"] == f"{issuer}/oauth2/token"
    assert metadata.json()["jwks_uri"] == f"{issuer}/.well-known/jwks.json"
    assert metadata.json()["response_types_supported"] == ["code"]
