"""The gateway's configuration, made from a spec."""

import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local import gateway, openapi
from local.gateway import Gateway, envoy_config
from local.openapi import SpecError

REPOSITORY = Path(__file__).parents[3]
BACKENDS = {
    "auth": "http://127.0.0.1:8081",
    "billing": "http://127.0.0.1:8082",
    "tenants": "http://127.0.0.1:8083",
}
GATEWAY = Gateway(backends=BACKENDS, jwks_url="http://127.0.0.1:8081/.well-known/jwks.json", port=8080)
AUTH = {
    "issuer": "https://api.example.com",
    "jwksUri": "https://api.example.com/keys",
    "audiences": ["https://api.example.com"],
    "jwtLocations": [{"header": "Authorization", "valuePrefix": "Bearer "}],
}
SPEC: dict[str, Any] = {
    "x-google-api-management": {
        "backends": {
            "auth": {"pathTranslation": "APPEND_PATH_TO_ADDRESS"},
            "billing": {"pathTranslation": "APPEND_PATH_TO_ADDRESS", "deadline": 30.0},
        }
    },
    "security": [{"token": []}],
    "paths": {
        "/v1/things/{thing_id}": {"x-google-backend": "billing", "get": {}},
        "/v1/things/special": {"x-google-backend": "billing", "get": {}},
        "/health": {"get": {"x-google-backend": "auth", "security": []}},
    },
    "components": {"securitySchemes": {"token": {"type": "oauth2", "x-google-auth": AUTH}}},
}


def _spec(change: str, value: Any) -> dict[str, Any]:
    """SPEC with one thing changed, `change` as a dotted path; `…` removes it."""
    spec = copy.deepcopy(SPEC)
    *way, last = change.split(">")
    place = spec
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return spec


def _routes(spec: dict[str, Any]) -> list[dict[str, Any]]:
    listener = envoy_config(spec, GATEWAY)["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    routes: list[dict[str, Any]] = manager["route_config"]["virtual_hosts"][0]["routes"]
    return routes


def test_a_literal_path_is_tried_before_a_template_that_would_swallow_it() -> None:
    paths = [operation.path for operation in openapi.operations(SPEC)]
    assert paths.index("/v1/things/special") < paths.index("/v1/things/{thing_id}")


@pytest.mark.parametrize(
    ("path", "matches", "does_not"),
    [
        ("/v1/a/{id}", ["/v1/a/x", "/v1/a/x%2Fy", "/v1/a/x/"], ["/v1/a/", "/v1/a/x/y", "/v1/a//"]),
        ("/v1/a/{id}/b", ["/v1/a/x/b"], ["/v1/a//b", "/v1/a/x/b/", "/v1/a/x/y/b"]),
        ("/v1/a.b/{id}", ["/v1/a.b/x"], ["/v1/aXb/x"]),
    ],
)
def test_a_variable_is_one_non_empty_segment(path: str, matches: list[str], does_not: list[str]) -> None:
    regex = openapi.path_regex(path)
    assert regex is not None
    assert [text for text in matches if not re.fullmatch(regex, text)] == []
    assert [text for text in does_not if re.fullmatch(regex, text)] == []


def test_a_path_without_variables_is_matched_exactly() -> None:
    assert openapi.path_regex("/.well-known/jwks.json") is None


def test_every_route_says_whether_it_asks_for_a_token() -> None:
    checks = {
        (
            route["match"].get("path") or route["match"].get("safe_regex", {}).get("regex") or "*",
            "route" in route,
        ): (route["typed_per_filter_config"]["envoy.filters.http.jwt_authn"])
        for route in _routes(SPEC)
    }
    asking = {path for (path, _), check in checks.items() if check.get("requirement_name") == "token"}
    disabled = {path for (path, forwards), check in checks.items() if forwards and check.get("disabled")}
    assert asking == {"/v1/things/special", "/v1/things/[^/]+/?"}
    assert disabled == {"/health"}
    assert all(check.get("disabled") for (_, forwards), check in checks.items() if not forwards)


def test_a_deadline_is_the_backends_or_api_gateways_own() -> None:
    forwarding = [route["route"] for route in _routes(SPEC) if "route" in route]
    assert {(route["cluster"], route["timeout"]) for route in forwarding} == {
        ("auth", "15.0s"),
        ("billing", "30.0s"),
    }


def test_one_of_several_schemes_is_enough() -> None:
    spec = _spec("components>securitySchemes>other", {"x-google-auth": AUTH})
    spec["security"] = [{"token": []}, {"other": []}]
    assert {operation.schemes for operation in openapi.operations(spec)} == {("token", "other"), ()}
    assert "requires_any" in json.dumps(envoy_config(spec, GATEWAY))


@pytest.mark.parametrize(
    ("change", "value", "message"),
    [
        ("paths>/health>get>x-google-backend", ..., "GET /health: no x-google-backend"),
        ("paths>/health>get>x-google-backend", "nobody", "GET /health: backend 'nobody'"),
        ("x-google-api-management>backends>auth>pathTranslation", "CONSTANT_ADDRESS", "backend 'auth'"),
        ("security", [{"token": [], "key": []}], "exactly one scheme"),
        ("security", [{}], "exactly one scheme"),
        ("security", [{"basic": []}], "security scheme 'basic' has no x-google-auth"),
        ("components>securitySchemes>token>x-google-auth>audiences", ..., "has no audiences"),
        ("components>securitySchemes>token>x-google-auth>jwtLocations", ..., "has no jwtLocations"),
        ("components>securitySchemes>token>x-google-auth>jwtLocations", [{"query": "t"}], "one header"),
        ("paths>/v1/{a}-{b}", {"x-google-backend": "auth", "get": {}}, "/v1/{a}-{b}: a variable is"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(change: str, value: Any, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        envoy_config(_spec(change, value), GATEWAY)
    assert message in str(refused.value)


def test_a_backend_without_an_address_is_refused_by_name() -> None:
    lacking = Gateway(backends={"auth": BACKENDS["auth"]}, jwks_url=GATEWAY.jwks_url, port=8080)
    with pytest.raises(SpecError, match="GET /v1/things/special: no address was given for backend 'billing'"):
        envoy_config(SPEC, lacking)


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "http://127.0.0.1", "127.0.0.1:1"])
def test_an_address_without_a_port_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        envoy_config(SPEC, Gateway(backends={**BACKENDS, "auth": url}, jwks_url=GATEWAY.jwks_url, port=8080))


def test_an_unknown_placeholder_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("servers: [{url: '${public_url}'}]\nx: ${zone}\n$ref: kept")
    with pytest.raises(SpecError, match=r"unknown placeholder \$\{zone\}"):
        openapi.load(file, {"public_url": "http://x"})
    assert openapi.load(file, {"public_url": "http://x", "zone": "z"})["$ref"] == "kept"


@pytest.mark.parametrize("text", ["- a list", "{", ""])
def test_a_file_that_is_no_spec_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(text)
    with pytest.raises(SpecError, match=re.escape(str(file))):
        openapi.load(file, {})


def test_envoy_accepts_what_is_made_of_the_real_spec(tmp_path: Path) -> None:
    spec = openapi.load(REPOSITORY / "api-spec.yaml", gateway.placeholders("http://127.0.0.1:8080"))
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps(envoy_config(spec, GATEWAY)))
    command = [*gateway.command(file), "--mode", "validate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert done.returncode == 0, done.stderr


def test_the_command_line_prints_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    addresses = [f"--{name}={url}" for name, url in BACKENDS.items()]
    assert gateway.main([f"--spec={REPOSITORY / 'api-spec.yaml'}", *addresses]) == 0
    assert "static_resources" in json.loads(capsys.readouterr().out)
    assert gateway.main(["--spec=/nowhere.yaml", *addresses]) == 1
    assert "gateway: /nowhere.yaml" in capsys.readouterr().err
