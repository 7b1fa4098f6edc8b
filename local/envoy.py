"""The pieces of an Envoy configuration that do not depend on an API."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

Config = dict[str, Any]

MAX_REQUEST_BYTES = 32 * 2**20
MAX_HEADER_KIB = 60
KEEP_ALIVE_SECONDS = 1
"""Below the functions' own 2 s, so that no request meets a connection which is just being closed."""

_NOBODY = {"address_prefix": "255.255.255.255", "prefix_len": 32}
"""An address range that no client has. An empty list would mean Envoy's default, private networks: clients
there may set deadlines and retries by `x-envoy-` headers."""

_TYPES = "type.googleapis.com/envoy.extensions"
_CONNECTION_MANAGER = "filters.network.http_connection_manager"
_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def listener(
    address: Config, *, routes: list[Config], filters: list[Config], access_log: str | None
) -> Config:
    """HTTP/1.1 in the clear. Nobody outside is trusted: no address counts as internal, no hop is skipped."""
    manager = typed(
        f"{_CONNECTION_MANAGER}.v3.HttpConnectionManager",
        stat_prefix="gateway",
        codec_type="HTTP1",
        use_remote_address=True,
        internal_address_config={"cidr_ranges": [_NOBODY]},
        normalize_path=True,
        merge_slashes=False,
        path_with_escaped_slashes_action="KEEP_UNCHANGED",
        max_request_headers_kb=MAX_HEADER_KIB,
        common_http_protocol_options={"headers_with_underscores_action": "DROP_HEADER"},
        request_headers_timeout="10s",
        request_timeout="60s",
        local_reply_config={
            "body_format": {"json_format": {"code": "%RESPONSE_CODE%", "message": "%LOCAL_REPLY_BODY%"}}
        },
        access_log=[] if access_log is None else [_access_log(access_log)],
        route_config={"virtual_hosts": [{"name": "api", "domains": ["*"], "routes": routes}]},
        http_filters=filters,
    )
    return {
        "name": "gateway",
        "address": address,
        "enable_reuse_port": False,  # or a second gateway would share the port instead of failing
        "filter_chains": [{"filters": [{"name": f"envoy.{_CONNECTION_MANAGER}", "typed_config": manager}]}],
    }


def cluster(name: str, url: str) -> Config:
    """One server, `http://address:port`. Raises ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None or parts.port is None:
        raise ValueError(f"{name}: {url!r} is not of the form http://127.0.0.1:8081")
    endpoint = {"endpoint": {"address": socket_address(parts.hostname, parts.port)}}
    protocol = typed(
        "upstreams.http.v3.HttpProtocolOptions",
        common_http_protocol_options={"idle_timeout": f"{KEEP_ALIVE_SECONDS}s"},
        explicit_http_config={"http_protocol_options": {}},
    )
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "typed_extension_protocol_options": {_PROTOCOL_OPTIONS: protocol},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def socket_address(host: str, port: int) -> Config:
    return {"socket_address": {"address": host, "port_value": port}}


def typed(kind: str, **fields: Any) -> Config:
    """A message of an extension, `kind` without its common prefix."""
    return {"@type": f"{_TYPES}.{kind}", **fields}


def http_filter(name: str, message: str, **fields: Any) -> Config:
    return {
        "name": f"envoy.filters.http.{name}",
        "typed_config": typed(f"filters.http.{name}.v3.{message}", **fields),
    }


def remove_headers(prefixes: Sequence[str]) -> Config:
    """A filter that removes every request header which begins so."""
    mutations = [
        {"remove_on_match": {"key_matcher": {"prefix": prefix, "ignore_case": True}}} for prefix in prefixes
    ]
    return http_filter("header_mutation", "HeaderMutation", mutations={"request_mutations": mutations})


def move_header(source: str, target: str) -> Config:
    """A filter that gives a request header another name. (On a route, removal would come before the copy.)"""
    copy = {
        "header": {"key": target, "value": f"%REQ({source})%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    mutations: list[Config] = [{"append": copy}, {"remove": source}]
    return http_filter("header_mutation", "HeaderMutation", mutations={"request_mutations": mutations})


def rate_limit(requests_per_second: int) -> Config:
    """One bucket for everybody: 429 with `Retry-After` when it is empty."""
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return http_filter(
        "local_ratelimit",
        "LocalRateLimit",
        stat_prefix="rate_limit",
        token_bucket={
            "max_tokens": requests_per_second,
            "tokens_per_fill": requests_per_second,
            "fill_interval": "1s",
        },
        filter_enabled=always,
        filter_enforced=always,
        response_headers_to_add=[{"header": {"key": "retry-after", "value": "1"}}],
    )


def buffer() -> Config:
    """413 for a larger request, and nothing reaches a function before it is whole."""
    return http_filter("buffer", "Buffer", max_request_bytes=MAX_REQUEST_BYTES)


def router() -> Config:
    return http_filter("router", "Router", suppress_envoy_headers=True)


def _access_log(path: str) -> Config:
    """One JSON object a line, without query strings: they may hold what no log should."""
    line = {
        "time": "%START_TIME%",
        "status": "%RESPONSE_CODE%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "duration_ms": "%DURATION%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
    config = typed("access_loggers.file.v3.FileAccessLog", path=path, log_format={"json_format": line})
    return {"name": "envoy.access_loggers.file", "typed_config": config}
