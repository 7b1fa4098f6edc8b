"""Envoy as `local.gateway` configures it, before an upstream that says what reached it."""

import base64
import http.client
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from jwt.algorithms import ECAlgorithm

from local.gateway import Gateway, command, envoy_config
from local.ports import Reservation

ISSUER = "https://api.example.com"
KEY = generate_private_key(SECP256R1())

SPEC: dict[str, Any] = {
    "x-google-api-management": {
        "backends": {
            "auth": {"pathTranslation": "APPEND_PATH_TO_ADDRESS", "deadline": 5.0},
            "slow": {"pathTranslation": "APPEND_PATH_TO_ADDRESS", "deadline": 0.3},
        }
    },
    "x-google-backend": "auth",
    "paths": {
        "/public": {"get": {}, "post": {}},
        "/slow": {"x-google-backend": "slow", "get": {}},
        "/v1/me": {"get": {"security": [{"token": []}]}},
        "/v1/things/{thing_id}": {
            "get": {"security": [{"token": []}]},
            "delete": {"security": [{"token": []}]},
        },
        "/v1/things/{thing_id}/parts": {"get": {}},
    },
    "components": {
        "securitySchemes": {
            "token": {
                "x-google-auth": {
                    "issuer": ISSUER,
                    "jwksUri": f"{ISSUER}/.well-known/jwks.json",
                    "audiences": [ISSUER],
                    "jwtLocations": [{"header": "Authorization", "valuePrefix": "Bearer "}],
                }
            }
        }
    },
}


class Upstream(ThreadingHTTPServer):
    """Answers with what it was asked; serves the keys when `serves_keys` is set."""

    daemon_threads = True
    serves_keys = True
    requests = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quiet: the gateway hangs up on what takes too long."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length", 0))
        received = len(self.rfile.read(length))
        if self.path == "/.well-known/jwks.json":
            self._answer(200 if self.server.serves_keys else 503, {"keys": [_public(KEY)]})
            return
        self.server.requests += 1
        if self.path == "/slow":
            time.sleep(1)
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        self._answer(200, {"path": self.path, "headers": headers, "received": received})

    do_POST = do_DELETE = do_GET

    def _answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _public(key: EllipticCurvePrivateKey) -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k1", "alg": "ES256", "use": "sig"}


def _token(key: EllipticCurvePrivateKey = KEY, **claims: Any) -> str:
    now = int(time.time())
    standard = {"iss": ISSUER, "aud": ISSUER, "sub": "usr_1", "iat": now, "exp": now + 600, "tid": "tnt_ä"}
    return jwt.encode({**standard, **claims}, key, "ES256", headers={"kid": "k1", "typ": "at+jwt"})


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


Start = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def start(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a gateway before the upstream and gives a client for it."""
    opened: list[tuple[subprocess.Popen[bytes], Reservation, httpx.Client]] = []

    def started(**options: Any) -> httpx.Client:
        reservation = Reservation.take()
        base = f"http://127.0.0.1:{upstream.server_address[1]}"
        gateway = Gateway(
            backends={"auth": base, "slow": base},
            jwks_url=f"{base}/.well-known/jwks.json",
            port=reservation.port,
            **options,
        )
        config = tmp_path_factory.mktemp("envoy") / "envoy.json"
        config.write_text(json.dumps(envoy_config(SPEC, gateway)))
        process = subprocess.Popen(command(config), stderr=subprocess.DEVNULL)  # noqa: S603 - our own configuration
        client = httpx.Client(base_url=f"http://127.0.0.1:{reservation.port}")
        opened.append((process, reservation, client))
        _wait_until_up(client, process)
        return client

    yield started
    for process, reservation, client in opened:
        client.close()
        process.terminate()
        process.wait(10)
        reservation.release()


def _wait_until_up(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, "Envoy ended"
        try:
            client.get("/nothing")
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("Envoy does not answer")


@pytest.fixture(scope="module")
def gateway(start: Start) -> httpx.Client:
    client = start()
    _eventually_200(client)
    return client


def _eventually_200(client: httpx.Client) -> None:
    deadline = time.monotonic() + 10
    while client.get("/v1/me", headers=_bearer()).status_code != 200:
        assert time.monotonic() < deadline, "the keys never arrived"
        time.sleep(0.05)


def _bearer(**claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {_token(**claims)}"}


def _received(response: httpx.Response) -> list[tuple[str, str]]:
    assert response.status_code == 200, response.text
    return [(name, value) for name, value in response.json()["headers"]]


def test_a_verified_token_reaches_the_function_under_its_other_name_with_its_claims(
    gateway: httpx.Client,
) -> None:
    token = _token()
    received = dict(_received(gateway.get("/v1/me", headers={"authorization": f"Bearer {token}"})))
    assert received["x-forwarded-authorization"] == f"Bearer {token}"
    assert "authorization" not in received
    userinfo = received["x-apigateway-api-userinfo"]
    assert "=" not in userinfo
    claims = json.loads(base64.urlsafe_b64decode(userinfo + "=" * (-len(userinfo) % 4)))
    assert claims["tid"] == "tnt_ä"


def test_credentials_on_a_public_operation_are_moved_unchecked(gateway: httpx.Client) -> None:
    received = dict(_received(gateway.post("/public", headers={"authorization": "Basic eDp5"})))
    assert received["x-forwarded-authorization"] == "Basic eDp5"
    assert "authorization" not in received
    assert "x-apigateway-api-userinfo" not in received


FORGED = (
    "X-Apigateway-Api-Userinfo",
    "X-Endpoint-API-UserInfo",
    "X-Forwarded-Authorization",
    "X-Apigateway-Api-Consumer-Number",
    "X_Apigateway_Api_Userinfo",
    "X_Forwarded_Authorization",
)


@pytest.mark.parametrize("name", FORGED)
def test_a_clients_copy_of_an_identity_header_never_arrives(gateway: httpx.Client, name: str) -> None:
    """T15."""
    doubled = [(name, "forged"), (name, "again")]
    for path, extra in (("/public", {}), ("/v1/me", _bearer())):
        received = _received(gateway.get(path, headers=[*doubled, *extra.items()]))
        assert not [value for _, value in received if value in ("forged", "again", "forged,again")]
    assert gateway.get("/v1/me", headers=doubled).status_code == 401


def test_no_forwarded_authorization_is_made_up(gateway: httpx.Client) -> None:
    """T15."""
    assert "x-forwarded-authorization" not in dict(_received(gateway.get("/public")))


def _refusal(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body["code"] == response.status_code
    return body["code"], body["message"]


def test_a_token_that_cannot_be_trusted_is_refused_as_api_gateway_does(gateway: httpx.Client) -> None:
    stranger = generate_private_key(SECP256R1())
    now = int(time.time())
    missing = gateway.get("/v1/me")
    assert _refusal(missing) == (401, "Jwt is missing")
    assert missing.headers["www-authenticate"].startswith("Bearer realm=")
    cases = [
        (_bearer(key=stranger), (401, "Jwt verification fails")),
        (_bearer(exp=now - 120, iat=now - 720), (401, "Jwt is expired")),
        (_bearer(iss="https://evil.example.com"), (401, "Jwt issuer is not configured")),
        (_bearer(aud="https://other.example.com"), (403, "Audiences in Jwt are not allowed")),
        ({"authorization": f"bearer {_token()}"}, (401, "Jwt is missing")),
    ]
    for headers, expected in cases:
        assert _refusal(gateway.get("/v1/me", headers=headers)) == expected
    twice = [("authorization", f"Bearer {_token()}"), ("authorization", f"Bearer {_token()}")]
    assert gateway.get("/v1/me", headers=twice).status_code == 401
    assert gateway.get("/v1/me", params={"access_token": _token()}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("GET", "/"),
        ("GET", "/public/"),
        ("GET", "/Public"),
        ("GET", "//public"),
        ("GET", "/v1/things/"),
        ("GET", "/v1/things//parts"),
        ("GET", "/v1/things/a/b"),
        ("GET", "/v1/things/a/parts/"),
    ],
)
def test_what_the_spec_does_not_name_is_404(gateway: httpx.Client, method: str, path: str) -> None:
    """H3. `POST /` is the event door, which is never open to the outside."""
    refused = (404, "The current request is not defined by this API.")
    assert _refusal(gateway.request(method, path, headers=_bearer())) == refused


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "PATCH"])
def test_another_method_is_405_and_names_the_right_ones_without_asking_for_a_token(
    gateway: httpx.Client, method: str
) -> None:
    response = gateway.request(method, "/v1/things/t1")
    assert response.headers["allow"] == "DELETE, GET"
    assert _refusal(response)[0] == 405


@pytest.mark.parametrize(
    ("asked", "arrives"),
    [
        ("/v1/things/a%2Fb", "/v1/things/a%2Fb"),
        ("/v1/things/a/", "/v1/things/a/"),
        ("/v1/x/../me?limit=1&cursor=%2F", "/v1/me?limit=1&cursor=%2F"),
        ("/v1/things/x:y", "/v1/things/x:y"),
    ],
)
def test_a_path_is_matched_and_forwarded_as_it_came(gateway: httpx.Client, asked: str, arrives: str) -> None:
    connection = http.client.HTTPConnection(gateway.base_url.host, gateway.base_url.port)
    connection.request("GET", asked, headers=_bearer())
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status == 200, body
    assert json.loads(body)["path"] == arrives


def test_a_deadline_is_a_504_in_json(gateway: httpx.Client) -> None:
    assert _refusal(gateway.get("/slow")) == (504, "upstream request timeout")


def test_a_client_cannot_steer_the_proxy(gateway: httpx.Client, upstream: Upstream) -> None:
    """H2."""
    before = upstream.requests
    steering = {
        "x-envoy-upstream-rq-per-try-timeout-ms": "100",
        "x-envoy-retry-on": "5xx",
        "x-envoy-max-retries": "3",
    }
    assert gateway.get("/slow", headers=steering).status_code == 504
    assert upstream.requests == before + 1
    assert gateway.get("/slow", headers={"x-envoy-upstream-rq-timeout-ms": "5000"}).status_code == 504
    override = {"x-http-method-override": "POST"}
    assert gateway.get("/slow", headers=override).status_code == 504  # a POST would be 405


def test_the_last_forwarded_address_is_the_gateways_own_finding(gateway: httpx.Client) -> None:
    received = dict(_received(gateway.get("/public", headers={"x-forwarded-for": "203.0.113.9"})))
    claimed, _, seen = received["x-forwarded-for"].rpartition(",")
    assert claimed == "203.0.113.9"
    assert seen.strip() != claimed


def test_large_headers_and_bodies_are_refused_before_the_function(gateway: httpx.Client) -> None:
    assert gateway.get("/public", headers={"x-large": "x" * 61_440}).status_code == 431
    assert gateway.get("/public", headers={"x-large": "x" * 50_000}).status_code == 200
    assert _refusal(gateway.post("/public", content=b"x" * (32 * 2**20 + 1)))[0] == 413
    assert gateway.post("/public", content=b"x" * 2_000_000).json()["received"] == 2_000_000


def test_the_rate_limit_is_429_with_retry_after(start: Start) -> None:
    """H22."""
    limited = start(requests_per_second=3)
    answers = [limited.get("/public") for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert _refusal(refused[0])[0] == 429


def test_keys_that_arrive_after_the_gateway_started_are_found(start: Start, upstream: Upstream) -> None:
    upstream.serves_keys = False
    try:
        early = start()
        assert _refusal(early.get("/v1/me", headers=_bearer())) == (401, "Jwks remote fetch is failed")
        assert early.get("/public").status_code == 200
    finally:
        upstream.serves_keys = True
    _eventually_200(early)


def test_the_access_log_holds_no_query_string(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    start(access_log=str(log)).get("/public?token=hidden")
    deadline = time.monotonic() + 15
    while "/public" not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["path"] for line in lines if line["status"] == 200] == ["/public"]
    assert "hidden" not in log.read_text()
