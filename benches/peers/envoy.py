"""Envoy doing the work: jwt_authn with its token cache, rbac, local_ratelimit per tenant, JSON access log."""

import json
from pathlib import Path

from .peer import Start
from .world import AUDIENCE, LIMIT_PER_SECOND, PATH, ROLE, World, issuer

TYPE = "type.googleapis.com/envoy.extensions."


def envoy(world: World, folder: Path, port: int) -> Start:
    config = folder / "envoy.json"
    config.write_text(json.dumps(static(world, folder, port)))
    binary = world.binaries["envoy"]
    return Start([binary, "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id", "-l", "error"])


def static(world: World, folder: Path, port: int) -> dict:
    manager = {
        "stat_prefix": "gateway",
        "generate_request_id": False,
        "access_log": [access_log(folder / "access.log")],
        "http_filters": [
            typed("jwt_authn", "filters.http.jwt_authn.v3.JwtAuthentication", authentication(world)),
            typed("rbac", "filters.http.rbac.v3.RBAC", authorisation()),
            typed("ratelimit", "filters.http.local_ratelimit.v3.LocalRateLimit", limit()),
            typed("router", "filters.http.router.v3.Router", {}),
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "backend"}}],
                }
            ]
        },
    }
    manager_type = "filters.network.http_connection_manager.v3.HttpConnectionManager"
    listener = {
        "name": "gateway",
        "address": address(port),
        "filter_chains": [{"filters": [typed("http", manager_type, manager)]} | transport(world)],
    }
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {
            "thresholds": [{"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096}]
        },
        "load_assignment": {
            "cluster_name": "backend",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(world.backend_port)}}]}],
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def transport(world: World) -> dict:
    if not world.tls:
        return {}
    files = {"certificate_chain": {"filename": str(world.certificate)}, "private_key": {"filename": str(world.key)}}
    context = {"common_tls_context": {"tls_certificates": [files], "alpn_protocols": ["h2", "http/1.1"]}}
    tls = typed("tls", "transport_sockets.tls.v3.DownstreamTlsContext", context)
    return {"transport_socket": tls}


def typed(name: str, kind: str, config: dict) -> dict:
    return {"name": name, "typed_config": {"@type": TYPE + kind, **config}}


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def access_log(path: Path) -> dict:
    line = {
        "t": "%START_TIME%",
        "ip": "%DOWNSTREAM_REMOTE_ADDRESS%",
        "m": "%REQ(:METHOD)%",
        "u": "%REQ(:PATH)%",
        "s": "%RESPONSE_CODE%",
        "tenant": "%REQ(X-TENANT-ID)%",
        "sub": "%REQ(X-USER-ID)%",
    }
    return typed(
        "file", "access_loggers.file.v3.FileAccessLog", {"path": str(path), "log_format": {"json_format": line}}
    )


def authentication(world: World) -> dict:
    provider = {
        "issuer": issuer(),
        "audiences": [AUDIENCE],
        "local_jwks": {"filename": str(world.jwks)},
        "claim_to_headers": [
            {"header_name": "x-tenant-id", "claim_name": "tenant_id"},
            {"header_name": "x-user-id", "claim_name": "sub"},
        ],
        "payload_in_metadata": "jwt",
        "jwt_cache_config": {"jwt_cache_size": 5000},
    }
    return {
        "providers": {"issuer": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
    }


def authorisation() -> dict:
    role = {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "jwt"}, {"key": "roles"}],
        "value": {"list_match": {"one_of": {"string_match": {"exact": ROLE}}}},
    }
    request = [
        {"url_path": {"path": {"prefix": PATH}}},
        {"header": {"name": ":method", "string_match": {"exact": "GET"}}},
    ]
    policy = {"permissions": [{"and_rules": {"rules": request}}], "principals": [{"metadata": role}]}
    return {"rules": {"action": "ALLOW", "policies": {"orders": policy}}}


def limit() -> dict:
    def bucket(tokens: int) -> dict:
        return {"max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": "1s"}

    always = {"default_value": {"numerator": 100}}
    return {
        "stat_prefix": "limit",
        "token_bucket": bucket(10 * LIMIT_PER_SECOND),
        "filter_enabled": always,
        "filter_enforced": always,
        "max_dynamic_descriptors": 1000,
        "descriptors": [{"entries": [{"key": "tenant"}], "token_bucket": bucket(LIMIT_PER_SECOND)}],
        "rate_limits": [{"actions": [{"request_headers": {"header_name": "x-tenant-id", "descriptor_key": "tenant"}}]}],
    }
