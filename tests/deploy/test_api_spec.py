"""The public contract: valid, complete, and the same as the route tables."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from openapi_spec_validator import validate

from functions.auth import routes as auth
from functions.billing import routes as billing
from functions.tenants import routes as tenants
from shared import metrics
from shared.http import PUBLIC, SIGNED_IN, Route

SPEC_FILE = Path(__file__).parents[2] / "api-spec.yaml"
TEXT = SPEC_FILE.read_text(encoding="utf-8")
PLACEHOLDERS = {
    "project_id": "demo-project",
    "region": "us-central1",
    "environment": "production",
    "public_url": "https://api.energent.example.com",
}
TABLES = {"auth": auth, "billing": billing, "tenants": tenants}
EVERYWHERE = {("GET", "/health"): PUBLIC, ("GET", "/metrics"): metrics.SCOPE}
"""Answered by every function's door itself, with the scope; published once, for auth."""


def rendered() -> dict[str, Any]:
    text = TEXT
    for name, value in PLACEHOLDERS.items():
        text = text.replace("${" + name + "}", value)
    spec: dict[str, Any] = yaml.safe_load(text)
    return spec


SPEC = rendered()


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, item in SPEC["paths"].items()
        for method, operation in item.items()
    }


def table(module: ModuleType) -> tuple[Route, ...]:
    wanted = module.table.__code__.co_argcount + module.table.__code__.co_kwonlyargcount
    names = module.table.__code__.co_varnames[:wanted]
    routes: tuple[Route, ...] = module.table(
        **{name: Mock(issuer="https://api.example.test") for name in names}
    )
    return routes


def routes() -> dict[tuple[str, str], tuple[str, Route]]:
    return {
        (route.method, route.path): (function, route)
        for function, module in TABLES.items()
        for route in table(module)
    }


def test_the_contract_is_valid_openapi() -> None:
    validate(SPEC)


def test_the_four_placeholders_are_the_only_ones_and_each_is_used() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == set(PLACEHOLDERS)
    assert "%{" not in TEXT, "a Terraform template would read it as a directive"


def test_every_route_is_in_the_contract_and_every_operation_has_a_route() -> None:
    assert set(routes()) | set(EVERYWHERE) == set(operations())


@pytest.mark.parametrize("key", sorted(operations()), ids=" ".join)
def test_an_operation_goes_to_the_function_that_has_its_route(key: tuple[str, str]) -> None:
    function = routes()[key][0] if key in routes() else "auth"
    assert operations()[key]["x-google-backend"] == function


@pytest.mark.parametrize("key", sorted(operations()), ids=" ".join)
def test_the_contract_and_the_route_ask_for_the_same_scope(key: tuple[str, str]) -> None:
    declared = operations()[key]["security"]
    requires = routes()[key][1].requires if key in routes() else EVERYWHERE[key]
    if requires == PUBLIC:
        assert declared == []
    else:
        assert declared == [{"access_token": [] if requires == SIGNED_IN else [requires]}]


@pytest.mark.parametrize("key", sorted(operations()), ids=" ".join)
def test_an_operation_documents_what_can_be_refused(key: tuple[str, str]) -> None:
    operation = operations()[key]
    responses = set(operation["responses"])
    assert {"400", "414", "429", "431", "503", "504"} <= responses
    if operation["security"]:
        assert {"401", "403"} <= responses
    if "requestBody" in operation:
        assert {"413", "415"} <= responses


def test_every_operation_id_is_there_and_unique() -> None:
    ids = [operation["operationId"] for operation in operations().values()]
    assert len(set(ids)) == len(operations())


def test_tokens_are_taken_from_the_header_only_with_issuer_and_audience_named() -> None:
    """Without jwtLocations the gateway also reads a query parameter, and tokens land in logs."""
    scheme = SPEC["components"]["securitySchemes"]["access_token"]["x-google-auth"]
    assert scheme["issuer"] == PLACEHOLDERS["public_url"]
    assert scheme["audiences"] == [PLACEHOLDERS["public_url"]]
    assert scheme["jwtLocations"] == [{"header": "Authorization", "valuePrefix": "Bearer "}]


def test_the_gateways_keys_are_an_object_in_the_public_bucket_and_never_a_route_of_its_own() -> None:
    scheme = SPEC["components"]["securitySchemes"]["access_token"]["x-google-auth"]
    bucket = f"{PLACEHOLDERS['project_id']}-energent-{PLACEHOLDERS['environment']}-public"
    assert scheme["jwksUri"] == f"https://storage.googleapis.com/{bucket}/jwks.json"


def test_every_backend_is_named_audienced_and_below_the_gateways_limit() -> None:
    for backend in SPEC["x-google-api-management"]["backends"].values():
        assert backend["jwtAudience"] == backend["address"]
        assert backend["pathTranslation"] == "APPEND_PATH_TO_ADDRESS"
        assert 0 < backend["deadline"] <= 600


def test_no_path_is_one_that_the_gateway_or_cloud_run_keeps_for_itself() -> None:
    for path in SPEC["paths"]:
        assert not path.endswith(("/", "z")), path
        assert path != "/"
        assert not path.startswith(("/_ah/", "/eventlog")), path
