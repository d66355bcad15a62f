"""Cloister doing the work, in the two ways of telling a backend who asks. All that it reads is written here."""

import os
from pathlib import Path

from .peer import Start
from .world import AUDIENCE, LIMIT_PER_SECOND, PATH, ROLE, World, free_port, issuer


def reuse(world: World, folder: Path, port: int) -> Start:
    """The assertion says who and is used again for half of its life; an HMAC says this request (RFC 9421)."""
    key = folder / "backend.key"
    key.touch(mode=0o600)
    key.write_text(os.urandom(32).hex())
    return start(world, folder, port, f'{{ audience: orders, binding: reuse, key: "${{file:{key}}}" }}')


def per_request(world: World, folder: Path, port: int) -> Start:
    """A new ES256 assertion for each request, with its method and path inside."""
    return start(world, folder, port, "{ audience: orders, binding: per_request }")


def start(world: World, folder: Path, port: int, assertion: str) -> Start:
    tls = f", tls: {{ certificates: [{{ certificate: {world.certificate}, key: {world.key}, default: true }}] }}" if world.tls else ""
    issuers = "\n".join(
        f'  i{number}: {{ issuer: "{issuer(number)}", audiences: [{AUDIENCE}], algorithms: [{world.algorithm}],'
        f" jwks: {{ file: {world.jwks} }}, tenant_claim: tenant_id, roles_claim: roles }}"
        for number in range(world.issuers)
    )
    names = ", ".join(f"i{number}" for number in range(world.issuers))
    config = folder / "cloister.yaml"
    config.write_text(f"""
version: 1
listeners: [ {{ bind: "127.0.0.1:{port}"{tls} }} ]
workers: 1
guard: {{ connections: 20000, connections_per_ip: 20000 }} # all of the load comes from one address
admin: {{ bind: "127.0.0.1:{free_port()}" }}
state: {{ directory: {folder}/state }}
issuers:
{issuers}
upstreams:
  orders:
    addresses: ["127.0.0.1:{world.backend_port}"]
    assertion: {assertion}
assertion: {{ issuer: "https://gateway.example" }}
audit: {{ directory: {folder}/audit }}
telemetry: {{ log: {{ format: json, level: warn }} }}
""")
    policies = folder / "policies"
    policies.mkdir(exist_ok=True)
    tenants = "\n".join(f"  tenant-{number}: {{ status: active }}" for number in range(world.tenants))
    (policies / "policies.yaml").write_text(f"""
tenants:
{tenants}
roles:
  {ROLE}: {{ allow: ["order:read"] }}
  editor: {{ allow: ["order:write"] }}
limits:
  per_tenant: {{ rate: {LIMIT_PER_SECOND}/s, burst: {LIMIT_PER_SECOND}, key: [tenant] }}
routes:
  - id: orders
    match: {{ host: "*", path: "{PATH}/**" }}
    upstream: orders
    auth: {{ issuers: [{names}], tenant_from: [token] }}
    allow: {{ GET: "order:read" }}
    limits: [per_tenant]
    audit: standard
""")
    return Start([world.binaries["cloister"], "run", "--config", str(config), "--policies", str(policies)])
