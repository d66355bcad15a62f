"""HAProxy doing the work: signature, issuer, audience, expiry, role, limit per tenant, identity to the backend, log."""

from pathlib import Path

from .peer import Start, Unavailable
from .world import AUDIENCE, LIMIT_PER_SECOND, PATH, ROLE, World, issuer

LOG_LINE = (
    '{"t":%Ts,"ip":"%ci","m":"%HM","u":"%[capture.req.uri,json(utf8s)]","s":%ST,'
    '"tenant":"%[var(txn.tenant),json(utf8s)]","sub":"%[var(txn.sub),json(utf8s)]"}'
)


def haproxy(world: World, folder: Path, port: int) -> Start:
    if world.algorithm == "EdDSA":
        raise Unavailable("jwt_verify knows no EdDSA")
    tls = f" ssl crt {world.bundle} alpn h2,http/1.1" if world.tls else ""
    config = folder / "haproxy.cfg"
    config.write_text(f"""
global
  nbthread 1
  maxconn 4096
  log stdout len 4096 format raw local0
defaults
  mode http
  log global
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  log-format '{LOG_LINE}'
frontend gateway
  bind 127.0.0.1:{port}{tls}
  stick-table type string len 64 size 100k expire 1m store http_req_rate(1s)
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str {world.algorithm} }}
  http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,"{world.public_key}") 1 }}
  http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
  http-request set-var(txn.aud) var(txn.bearer),jwt_payload_query('$.aud')
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless {{ var(txn.iss) -m str {issuer()} }}
  http-request deny deny_status 401 unless {{ var(txn.aud) -m str {AUDIENCE} }}
  http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
  http-request set-var(txn.tenant) var(txn.bearer),jwt_payload_query('$.tenant_id')
  http-request set-var(txn.sub) var(txn.bearer),jwt_payload_query('$.sub')
  http-request set-var(txn.role) var(txn.bearer),jwt_payload_query('$.role')
  http-request deny deny_status 403 unless {{ path_beg {PATH} }} {{ method GET }} {{ var(txn.role) -m str {ROLE} }}
  http-request track-sc0 var(txn.tenant)
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {LIMIT_PER_SECOND} }}
  http-request set-header X-Tenant-Id %[var(txn.tenant)]
  http-request set-header X-User-Id %[var(txn.sub)]
  default_backend backend
backend backend
  http-reuse always
  server one 127.0.0.1:{world.backend_port}
""")
    return Start([world.binaries["haproxy"], "-db", "-f", str(config)], stdout=folder / "access.log")
