"""Envoy in the place of API Gateway, configured from api-spec.yaml.

API Gateway is built on Envoy, so routes, token checks, header moves and error bodies are made alike.
Stand-ins, not copies: the rate limit, plain HTTP on loopback, no Google identity towards the functions.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from local import envoy, openapi
from local.envoy import Config
from local.openapi import Operation, SpecError, TokenScheme

JWKS_PATH = "/.well-known/jwks.json"
USERINFO_HEADER = "x-apigateway-api-userinfo"
CALLER_HEADER = "x-forwarded-authorization"
FORGEABLE_PREFIXES = ("x-apigateway-api-", "x-endpoint-api-", CALLER_HEADER)
"""Only the gateway may set these: a client's copies are removed before anything else.

(API Gateway leaves some of them alone on public operations, so a function trusts none without a token.)
"""

CLOCK_SKEW_SECONDS = 60
VERIFIED_TOKENS_CACHED = 1000

_JWKS_CLUSTER = "jwks"
_JWT_AUTHN = "jwt_authn"
_NOT_FOUND = "The current request is not defined by this API."
_WRONG_METHOD = (
    'The current request is matched to the defined url template "{path}" but its http method is not allowed'
)


class Gateway(msgspec.Struct, frozen=True):
    """What the spec does not say. `backends`: backend name to base URL; `access_log`: a file."""

    backends: dict[str, str]
    jwks_url: str
    port: int
    host: str = "127.0.0.1"
    jwks_cache_seconds: float = 300
    requests_per_second: int = 5000
    access_log: str | None = None


def envoy_config(spec: Mapping[str, Any], gateway: Gateway) -> Config:
    """A whole static Envoy configuration, without an admin port. Raises `SpecError`."""
    operations = openapi.operations(spec)
    schemes = openapi.token_schemes(spec)
    _check(operations, schemes, gateway)
    urls = {name: gateway.backends[name] for name in sorted({each.backend for each in operations})}
    listener = envoy.listener(
        envoy.socket_address(gateway.host, gateway.port),
        routes=_routes(operations, gateway),
        filters=_filters(operations, schemes, gateway),
        access_log=gateway.access_log,
    )
    clusters = [envoy.cluster(name, url) for name, url in {**urls, _JWKS_CLUSTER: gateway.jwks_url}.items()]
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def command(config_file: Path) -> list[str]:
    """Runs Envoy on a configuration, with one worker thread and an access log that is written at once."""
    envoy_script = Path(sys.executable).parent / "envoy"
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    return [str(envoy_script), "-c", str(config_file), *options, "--file-flush-interval-msec", "200"]


def placeholders(public_url: str) -> dict[str, str]:
    """What api-spec.yaml is filled in with on one machine, where the cloud's names are not used."""
    return {"project_id": "local", "region": "local", "environment": "local", "public_url": public_url}


def _check(operations: Sequence[Operation], schemes: Sequence[TokenScheme], gateway: Gateway) -> None:
    known = {scheme.name for scheme in schemes}
    for operation in operations:
        where = f"{operation.method} {operation.path}"
        if operation.backend not in gateway.backends:
            raise SpecError(f"{where}: no address was given for backend {operation.backend!r}")
        if unknown := set(operation.schemes) - known:
            raise SpecError(f"{where}: security scheme {min(unknown)!r} has no x-google-auth")


def _routes(operations: Sequence[Operation], gateway: Gateway) -> list[Config]:
    """Operations, then 405 for their paths with other methods, then 404."""
    methods: dict[str, list[str]] = {}
    for operation in operations:
        methods.setdefault(operation.path, []).append(operation.method)
    return [
        *(_forward(operation, gateway.backends[operation.backend]) for operation in operations),
        *(_method_not_allowed(path, allowed) for path, allowed in methods.items()),
        _refusal({"prefix": "/"}, 404, _NOT_FOUND),
    ]


def _forward(operation: Operation, backend: str) -> Config:
    method = {"name": ":method", "string_match": {"exact": operation.method}}
    return {
        "match": {**_path_match(operation.path), "headers": [method]},
        "route": {
            "cluster": operation.backend,
            "timeout": f"{operation.deadline_seconds}s",
            "host_rewrite_literal": urlsplit(backend).netloc,
        },
        "typed_per_filter_config": _token_check(operation.schemes),
    }


def _method_not_allowed(path: str, allowed: Sequence[str]) -> Config:
    allow = {"header": {"key": "allow", "value": ", ".join(sorted(allowed))}}
    refusal = _refusal(_path_match(path), 405, _WRONG_METHOD.format(path=path))
    return {**refusal, "response_headers_to_add": [allow]}


def _refusal(match: Config, status: int, message: str) -> Config:
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": message}},
        "typed_per_filter_config": _token_check(()),
    }


def _path_match(path: str) -> Config:
    regex = openapi.path_regex(path)
    return {"path": path} if regex is None else {"safe_regex": {"regex": regex}}


def _token_check(schemes: Sequence[str]) -> Config:
    """Said for each route: where nothing is said, the filter asks for no token at all."""
    check: Config = {"requirement_name": _requirement_name(schemes)} if schemes else {"disabled": True}
    config = envoy.typed(f"filters.http.{_JWT_AUTHN}.v3.PerRouteConfig", **check)
    return {f"envoy.filters.http.{_JWT_AUTHN}": config}


def _requirement_name(schemes: Sequence[str]) -> str:
    return " or ".join(schemes)


def _filters(
    operations: Sequence[Operation], schemes: Sequence[TokenScheme], gateway: Gateway
) -> list[Config]:
    """The order is the point: forged headers go first, the caller's token moves after its check."""
    token_filter = envoy.http_filter(
        _JWT_AUTHN,
        "JwtAuthentication",
        providers={scheme.name: _provider(scheme, gateway) for scheme in schemes},
        requirement_map=_requirements(operations),
    )
    return [
        envoy.remove_headers(FORGEABLE_PREFIXES),
        envoy.rate_limit(gateway.requests_per_second),
        token_filter,
        envoy.buffer(),
        envoy.move_header("authorization", CALLER_HEADER),
        envoy.router(),
    ]


def _requirements(operations: Sequence[Operation]) -> Config:
    requirements: Config = {}
    for schemes in sorted({operation.schemes for operation in operations if operation.schemes}):
        alternatives = [{"provider_name": name} for name in schemes]
        requirements[_requirement_name(schemes)] = (
            {"requires_any": {"requirements": alternatives}} if len(schemes) > 1 else alternatives[0]
        )
    return requirements


def _provider(scheme: TokenScheme, gateway: Gateway) -> Config:
    """A failed fetch of the keys is tried again every half second, so auth may start after the gateway."""
    return {
        "issuer": scheme.issuer,
        "audiences": list(scheme.audiences),
        "from_headers": [{"name": scheme.header, "value_prefix": scheme.value_prefix}],
        "forward": True,
        "forward_payload_header": USERINFO_HEADER,
        "clock_skew_seconds": CLOCK_SKEW_SECONDS,
        "jwt_cache_config": {"jwt_cache_size": VERIFIED_TOKENS_CACHED},
        "remote_jwks": {
            "http_uri": {"uri": gateway.jwks_url, "cluster": _JWKS_CLUSTER, "timeout": "5s"},
            "cache_duration": f"{gateway.jwks_cache_seconds}s",
            "async_fetch": {"failed_refetch_duration": "0.5s"},
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local.gateway", description="Prints the Envoy configuration for api-spec.yaml."
    )
    parser.add_argument("--spec", type=Path, default=Path("api-spec.yaml"), help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8080, help="the gateway's own; default: %(default)s")
    parser.add_argument("--public-url", help="issuer and audience of tokens; default: the gateway itself")
    parser.add_argument("--auth", required=True, metavar="URL", help="base URL of the auth function")
    parser.add_argument("--billing", required=True, metavar="URL", help="base URL of the billing function")
    parser.add_argument("--tenants", required=True, metavar="URL", help="base URL of the tenants function")
    options = parser.parse_args(arguments)
    public_url = options.public_url or f"http://127.0.0.1:{options.port}"
    gateway = Gateway(
        backends={"auth": options.auth, "billing": options.billing, "tenants": options.tenants},
        jwks_url=options.auth + JWKS_PATH,
        port=options.port,
    )
    try:
        config = envoy_config(openapi.load(options.spec, placeholders(public_url)), gateway)
    except (SpecError, ValueError) as refusal:
        print(f"gateway: {refusal}", file=sys.stderr)
        return 1
    print(json.dumps(config, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
