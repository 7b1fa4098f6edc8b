"""The contract as the gateway gets it, its configs, and the questions that are asked in the end."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import validate

from deploy import api_spec, pipeline
from deploy.api_spec import SpecError
from deploy.rehearsal import Call, RehearsalError
from tests.deploy.rehearsals import (
    BUILT_IN,
    GIVEN,
    HTTP_SERVICES,
    PROJECT,
    Rehearsed,
    account,
    commands,
    deployed,
    full,
    replacing,
    settings,
    steps,
)


@pytest.fixture(scope="module")
def spec(rehearsed: Rehearsed) -> dict[str, Any]:
    text = (rehearsed.workspace / "build" / "api.yaml").read_text()
    assert "${" not in text
    rendered: dict[str, Any] = yaml.safe_load(text)
    return rendered


def test_the_rendered_contract_is_valid(spec: dict[str, Any]) -> None:
    validate(spec)
    assert spec["servers"] == [{"url": "https://api.energent.example.com"}]


def test_every_backend_of_the_contract_is_a_deployed_service_that_takes_longer(
    rehearsed: Rehearsed, spec: dict[str, Any]
) -> None:
    backends = spec["x-google-api-management"]["backends"].values()
    names = {backend["address"].rpartition("/")[2]: backend for backend in backends}
    assert set(names) == {full(service) for service in HTTP_SERVICES}
    for service in HTTP_SERVICES:
        backend = names[full(service)]
        address = f"https://us-central1-{PROJECT}.cloudfunctions.net/{full(service)}"
        assert backend["address"] == backend["jwtAudience"] == address
        seconds = deployed(rehearsed.first, service)["--timeout"].removesuffix("s")
        assert backend["deadline"] <= int(seconds)


def test_the_gateways_keys_lie_in_the_bucket_that_auth_is_told(
    rehearsed: Rehearsed, spec: dict[str, Any]
) -> None:
    bucket = settings(rehearsed.first, "auth")["PUBLIC_BUCKET"]
    scheme = spec["components"]["securitySchemes"]["access_token"]["x-google-auth"]
    assert scheme["jwksUri"] == f"https://storage.googleapis.com/{bucket}/jwks.json"
    assert scheme["issuer"] == settings(rehearsed.first, "auth")["PUBLIC_URL"]


@pytest.mark.parametrize(
    "url", ["http://api.example.com", "https://api.example.com/", "https://api.example.com/v1", "api", ""]
)
def test_a_public_url_that_no_function_would_take_is_refused(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "api.yaml"
    names = ["--project=p", "--region=r", "--environment=e", f"--public-url={url}", f"--out={out}"]
    assert api_spec.main(names) == 1
    assert "the public URL must be https://" in capsys.readouterr().err
    assert not out.exists()


def test_a_placeholder_that_nobody_fills_is_named() -> None:
    with pytest.raises(SpecError, match="colour"):
        api_spec.rendered("a: ${project_id} ${colour}", {"project_id": "p"})


def configs(calls: Iterable[Call], verb: str) -> list[str]:
    return [one["name"] for one in commands(calls, "api-gateway", "api-configs", verb)]


def test_a_config_is_named_by_commit_and_content_and_made_once(rehearsed: Rehearsed) -> None:
    (config,) = configs(rehearsed.first, "create")
    assert re.fullmatch(r"energent-config-production-0a1b2c3-[0-9a-f]{8}", config)
    assert len(config) <= 63
    assert configs(rehearsed.again, "create") == []
    (created,) = commands(rehearsed.first, "api-gateway", "gateways", "create")
    (updated,) = commands(rehearsed.again, "api-gateway", "gateways", "update")
    assert created["--api-config"] == updated["--api-config"] == config
    (made,) = commands(rehearsed.first, "api-gateway", "api-configs", "create")
    assert made["--backend-auth-service-account"] == account("gateway")


def test_another_contract_of_the_same_commit_is_another_config(rehearsed: Rehearsed, tmp_path: Path) -> None:
    changed = steps("stage", "gateway", PUBLIC_URL="https://other.example.com")
    (config,) = configs(rehearsed.copied(tmp_path).pipeline(changed), "create")
    assert config not in configs(rehearsed.first, "create")


def test_without_a_commit_a_config_is_named_by_its_content(rehearsed: Rehearsed, tmp_path: Path) -> None:
    """`gcloud builds submit` of a folder knows no commit: SHORT_SHA is empty."""
    local = [step for step in pipeline.load(GIVEN, {**BUILT_IN, "SHORT_SHA": ""}) if step.id == "gateway"]
    (config,) = configs(rehearsed.copied(tmp_path).pipeline(local), "create")
    assert re.fullmatch(r"energent-config-production-local-[0-9a-f]{8}", config)


def test_a_config_that_failed_is_made_again(rehearsed: Rehearsed, tmp_path: Path) -> None:
    failed = replacing("_describe", 'if [[ $3 == *state* ]]; then echo FAILED; else usual "$@"; fi')
    calls = rehearsed.copied(tmp_path, failed).pipeline(steps("gateway"))
    assert configs(calls, "delete") == configs(calls, "create") == configs(rehearsed.first, "create")


@pytest.mark.parametrize(("waits", "is_made"), [(3, True), (61, False)])
def test_a_config_is_made_once_no_other_is_in_the_making(
    rehearsed: Rehearsed, tmp_path: Path, waits: int, is_made: bool
) -> None:
    """Two at a time can break each other."""
    waited = f"$(wc -c <{tmp_path}/waits)"
    making = f"[[ $* == *CREATING* && {waited} -lt {waits} ]]"
    busy = replacing("gcloud", f'if {making}; then echo other; else usual "$@"; fi')
    busy += f"\nsleep() {{ printf . >>{tmp_path}/waits; }}"
    (tmp_path / "waits").touch()
    rehearsal = rehearsed.copied(tmp_path, busy)
    changed = steps("stage", "gateway", PUBLIC_URL="https://other.example.com")
    if is_made:
        assert len(configs(rehearsal.pipeline(changed), "create")) == 1
    else:
        with pytest.raises(RehearsalError, match="other has been in creation for ten minutes"):
            rehearsal.pipeline(changed)


def test_the_newest_ten_configs_stay_and_the_one_in_use(rehearsed: Rehearsed, tmp_path: Path) -> None:
    """An API holds a hundred."""
    rehearsal = rehearsed.copied(tmp_path)
    shelf = tmp_path / "project" / "made" / "api-gateway-api-configs"
    (in_use,) = shelf.iterdir()
    for age in range(14):
        path = shelf / f"old-{age:02}"
        path.touch()
        os.utime(path, (2_000_000_000 - age, 2_000_000_000 - age))
    calls = rehearsal.pipeline(steps("gateway"))
    assert configs(calls, "delete") == ["old-10", "old-11", "old-12", "old-13"]
    assert in_use.exists()


@pytest.mark.parametrize(
    ("answers", "complaint"),
    [
        ("*auth-production-*.run.app/health) printf 200 ;;", "auth, past the gateway: .* answered 200"),
        ("*billing-production-*.run.app/) printf 204 ;;", "billing, from outside: .* answered 204"),
        ("*/v1/tenants) printf 200 ;;", "the gateway, without a token: .* answered 200"),
        ("*.gateway.dev/health) printf 503 ;;", "/health did not answer 200 within ten minutes"),
        ("*jwks.json) printf 403 ;;", "jwks.json did not answer 200"),
        ("*tenants-production-*/health) printf 000; return 6 ;;", "tenants, past the gateway: .* 000"),
    ],
)
def test_the_smoke_step_fails_where_somebody_gets_in_or_nobody_gets_through(
    rehearsed: Rehearsed, tmp_path: Path, answers: str, complaint: str
) -> None:
    """Without an identity a function's own address answers 401 or 403."""
    code = replacing("curl", f'case ${{*: -1}} in {answers} *) usual "$@" ;; esac')
    with pytest.raises(RehearsalError, match=f"smoke ended with 1:(.|\n)*{complaint}"):
        rehearsed.copied(tmp_path, code).pipeline(steps("smoke"))
