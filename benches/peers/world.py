"""What all proxies see alike: an issuer or many, their tokens, one backend, one load."""

import base64
import datetime
import json
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

AUDIENCE = "saas-api"
HOST = "localhost"  # as clients of TLS name it, so it must resolve
PATH = "/api/orders"
LARGE = f"{PATH}/all"  # 4 MiB: more than any buffer on the way
TENANTS = 100
ROLE = "viewer"
# Above what any of them reaches, so that the limit is kept but never hit.
LIMIT_PER_SECOND = 1_000_000

PROXY_CPU, LOAD_CPU = "0", "1"


@dataclass
class World:
    folder: Path
    algorithm: str
    front: str
    backend_port: int
    binaries: dict[str, str]
    issuers: int = 1
    good: str = ""
    tenant: str = ""
    intruders: dict[str, str] = field(default_factory=dict)

    @property
    def tenants(self) -> int:
        return max(TENANTS, self.issuers)

    @property
    def jwks(self) -> Path:
        return self.folder / "jwks.json"

    @property
    def public_key(self) -> Path:
        return self.folder / "issuer.pem"

    @property
    def load(self) -> Path:
        return self.folder / "load.lua"

    @property
    def tls(self) -> bool:
        return self.front != "http"

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.pem"

    @property
    def key(self) -> Path:
        return self.folder / "tls.key"

    @property
    def bundle(self) -> Path:
        """Both in one file."""
        return self.folder / "tls.both"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def issuer(number: int = 0) -> str:
    """All of them sign with the same key: whose it is decides what it may assert."""
    return f"https://idp{number or ''}.example"


def make_world(
    folder: Path, algorithm: str, front: str, tokens: int, binaries: dict[str, str], issuers: int, backend_port: int
) -> World:
    folder.mkdir()
    world = World(folder, algorithm, front, backend_port, binaries, issuers)
    make_certificate(world)
    key = make_key(algorithm)
    world.jwks.write_text(json.dumps({"keys": [public_jwk(key, algorithm)]}))
    world.public_key.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    now = int(time.time())

    def token(number: int, signer=key, **changes) -> str:
        claims = {
            "iss": issuer(number % issuers),
            "aud": AUDIENCE,
            "sub": f"user-{number}",
            "tenant_id": f"tenant-{number % world.tenants}",
            "roles": [ROLE, "editor"],
            "role": ROLE,  # for proxies that compare a single text
            "iat": now,
            "nbf": now - 5,
            "exp": now + 7200,
            "jti": f"{number:032x}",
        }
        return jwt.encode(claims | changes, signer, algorithm=algorithm, headers={"kid": "k1", "typ": "at+jwt"})

    load = [token(number) for number in range(tokens)]
    world.good, world.tenant = load[0], "tenant-0"
    world.intruders = {
        "no token": "",
        "a forged token": token(1, signer=make_key(algorithm)),
        "an expired token": token(2, exp=now - 3600),
        "a token for somebody else": token(3, aud="other-api"),
        "a token of another issuer": token(4, iss="https://other.example"),
        "a role without the permission": token(5, roles=["nobody"], role="nobody"),
    }
    (folder / "tokens.txt").write_text("\n".join(load) + "\n")
    world.load.write_text(load_script(folder / "tokens.txt"))
    return world


def make_certificate(world: World) -> None:
    """ECDSA P-256, signed by itself: nobody here asks who signed it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for path, content in ((world.certificate, chain), (world.key, secret), (world.bundle, chain + secret)):
        path.touch(mode=0o600)
        path.write_bytes(content)


def make_key(algorithm: str):
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def public_jwk(key, algorithm: str) -> dict:
    public = key.public_key()
    if algorithm == "RS256":
        numbers = public.public_numbers()
        jwk = {"kty": "RSA", "n": unsigned(numbers.n, 256), "e": unsigned(numbers.e, 3)}
    elif algorithm == "ES256":
        numbers = public.public_numbers()
        jwk = {"kty": "EC", "crv": "P-256", "x": unsigned(numbers.x, 32), "y": unsigned(numbers.y, 32)}
    else:
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw)}
    return jwk | {"kid": "k1", "alg": algorithm, "use": "sig"}


def unsigned(number: int, size: int) -> str:
    return base64url(number.to_bytes(size, "big"))


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def load_script(tokens: Path) -> str:
    """Every request another token, in turn, each with a tenant header that lies."""
    return f"""
local requests, turn = {{}}, 0
function init()
  for token in io.lines("{tokens}") do
    requests[#requests + 1] = wrk.format("GET", "{PATH}/" .. #requests, {{
      ["Host"] = "{HOST}", ["Authorization"] = "Bearer " .. token,
      ["X-Tenant-Id"] = "spoofed", ["Accept"] = "application/json" }})
  end
end
function request() turn = turn % #requests + 1; return requests[turn] end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.status + e.connect + e.read + e.write + e.timeout))
end
"""


def start_backend(folder: Path, port: int, program: str) -> subprocess.Popen:
    """An nginx that answers at once with 1 KiB, at one path with much, and says which tenant it was told of."""
    folder.mkdir()
    body = json.dumps({"orders": ["x" * 60] * 15})
    (folder / "large").write_bytes(b"x" * (4 << 20))
    config = folder / "nginx.conf"
    config.write_text(f"""
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 1h;
  large_client_header_buffers 4 16k;
  server {{
    listen 127.0.0.1:{port};
    default_type application/json;
    add_header X-Seen-Tenant $http_x_tenant_id;
    location / {{ return 200 '{body}'; }}
    location = {LARGE} {{ alias {folder}/large; }}
  }}
}}
""")
    argv = ["taskset", "-c", LOAD_CPU, program, "-c", str(config), "-p", str(folder)]
    return subprocess.Popen(argv, stderr=(folder / "stderr").open("wb"))
