"""Verifies that a request has come through Cloister, and says who asks. The rules: tests/vectors/README.md.

Needs `cryptography` (PyPI). Use it as WSGI or ASGI middleware, or call `Verifier.verify` yourself.
"""
import base64, hashlib, hmac, json, re, threading, time, urllib.request

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256

COVERED = r'\("@method" "@authority" "@path" "@query" "x-cloister-assertion"( "content-digest")?\)'
INPUT = re.compile(r'cloister=(' + COVERED + r';created=(\d{1,12});expires=(\d{1,12});nonce="([0-9a-f]{32})"'
                   r';keyid="([A-Za-z0-9_.:/-]{1,64})";tag="cloister-v1")')


class Refused(Exception):
    """The request is not what it says it is. Answer 401 and log why; do not tell the client."""


def need(so, why):
    if not so:
        raise Refused(why)


def unbase64url(text):
    octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(base64.urlsafe_b64encode(octets).rstrip(b"=").decode() == text, "not canonical base64url")
    return octets


class Keys:
    """The published keys of the gateway, kept for as long as it says."""

    def __init__(self, url, again_after=10):
        self.url, self.again_after, self.keys, self.until, self.asked = url, again_after, {}, 0, -1e9
        self.lock = threading.Lock()

    def find(self, kid):
        with self.lock:
            old = time.monotonic() >= self.until
            # A name that is not known may be that of a new key; made-up ones must not make us ask all the time.
            if (old or kid not in self.keys) and time.monotonic() - self.asked >= self.again_after:
                self.asked = time.monotonic()
                try:
                    with urllib.request.urlopen(self.url, timeout=5) as answer:
                        keys = json.loads(answer.read(1 << 20))["keys"]
                        age = re.search(r"max-age=(\d+)", answer.headers.get("Cache-Control", ""))
                    self.keys = {key["kid"]: key for key in keys}
                    self.until = time.monotonic() + (int(age[1]) if age else 60)
                except (OSError, ValueError, KeyError, TypeError):
                    pass  # those that are known serve on
            return self.keys.get(kid)


def check_signature(key, algorithm, message, signature):
    need(key is not None and key.get("alg") == algorithm, "the key is not known")
    number = lambda name: int.from_bytes(unbase64url(key[name]), "big")
    try:
        if algorithm == "ES256":
            need(len(signature) == 64, "not r and s")
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            public = ec.EllipticCurvePublicNumbers(number("x"), number("y"), ec.SECP256R1()).public_key()
            public.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
        elif algorithm == "RS256":
            public = rsa.RSAPublicNumbers(number("e"), number("n")).public_key()
            public.verify(signature, message, padding.PKCS1v15(), SHA256())
        else:
            ed25519.Ed25519PublicKey.from_public_bytes(unbase64url(key["x"])).verify(signature, message)
    except InvalidSignature:
        raise Refused("the signature does not verify") from None


class Verifier:
    """`keys` find the keys of assertions. With `binding="reuse"`: `secrets` ({keyid: bytes}) for HMAC, or `signature_keys`
    and `signature_algorithm` (ES256, EdDSA)."""

    def __init__(self, issuer, audience, keys, algorithm="ES256", binding="per_request", secrets=None,
                 signature_keys=None, signature_algorithm=None, digest=False):
        assert binding == "per_request" or bool(secrets) != bool(signature_keys)
        self.issuer, self.audience, self.keys, self.algorithm = issuer, audience, keys, algorithm
        self.binding, self.secrets, self.digest = binding, secrets, digest
        self.signature_keys, self.signature_algorithm = signature_keys, signature_algorithm
        self.nonces, self.before, self.swap_at, self.lock = set(), set(), 0, threading.Lock()

    def verify(self, method, authority, target, headers, body=b"", now=None):
        """`target` is path and query as they came, not decoded; `headers` are pairs. Gives the claims."""
        now = int(time.time()) if now is None else now
        fields = {}
        for name, value in headers:
            fields.setdefault(name.lower(), []).append(value)

        def one(name):
            need(len(fields.get(name, [])) == 1, name + " must stand there once")
            return fields[name][0]

        try:
            token = one("x-cloister-assertion")
            claims = self.assertion(token, method, target.split("?")[0], now)
            roles = ",".join(claims["roles"])
            told = {"x-tenant-id": claims["tenant"], "x-user-id": claims["sub"], "x-roles": roles or None}
            for name, value in {**told, **claims.get("fields", {})}.items():
                need(fields.get(name, []) == ([] if value is None else [value]), name + " is not what was signed")
            if self.binding == "reuse" or self.digest:
                self.request(one, token, method, authority, target, body, now)
            return claims
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused("malformed") from error

    def assertion(self, token, method, path, now):
        need(len(token) <= 16384 and re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token, re.A), "not three parts")
        head, payload, signature = token.split(".")
        header = json.loads(unbase64url(head))
        need(header["alg"] == self.algorithm and header["typ"] == "cloister+jwt" and "crit" not in header, "header")
        key = self.keys.find(header["kid"]) if isinstance(header["kid"], str) else None
        check_signature(key, self.algorithm, f"{head}.{payload}".encode(), unbase64url(signature))
        claims = json.loads(unbase64url(payload))
        need(claims["iss"] == self.issuer and claims["aud"] == self.audience, "not from there, or not for us")
        need(all(isinstance(claims[name], str) for name in ("sub", "idp", "tenant", "jti")), "who")
        need(isinstance(claims["roles"], list) and all(isinstance(role, str) for role in claims["roles"]), "roles")
        issued, expires = claims["iat"], claims["exp"]
        need(type(issued) is int and type(expires) is int and 0 < expires - issued <= 60, "too long a life")
        need(issued <= now + 5 and now < expires + 5, "not now")
        bound = (method, path) if self.binding == "per_request" else (None, None)
        need((claims.get("htm"), claims.get("htu")) == bound, "another request")
        return claims

    def request(self, one, token, method, authority, target, body, now):
        put = INPUT.fullmatch(one("signature-input"))
        mac = re.fullmatch(r"cloister=:([A-Za-z0-9+/]+={0,2}):", one("signature"))
        need(put and mac, "not the signature that was agreed on")
        parameters, digest, created, expires, nonce, keyid = put.groups()
        created, expires, octets = int(created), int(expires), base64.b64decode(mac[1], validate=True)
        need(base64.b64encode(octets).decode() == mac[1], "not canonical base64")
        need(abs(created - now) <= 30 and now < expires <= created + 60, "not now")
        need(digest or not self.digest, "the body is not covered")
        path, mark, query = target.partition("?")
        lines = [("@method", method), ("@authority", authority.lower()), ("@path", path), ("@query", "?" + query),
                 ("x-cloister-assertion", token)]
        if digest:
            sum = base64.b64encode(hashlib.sha256(body).digest()).decode()
            need(one("content-digest") == f"sha-256=:{sum}:", "another body")
            lines.append(("content-digest", one("content-digest")))
        base = "".join(f'"{name}": {value}\n' for name, value in lines) + f'"@signature-params": {parameters}'
        if self.secrets:
            need(keyid in self.secrets, "the key is not known")
            want = hmac.digest(self.secrets[keyid], base.encode(), "sha256")
            need(hmac.compare_digest(want, octets), "the signature does not verify")
        else:
            need(self.signature_keys, "nothing to verify the signature with")
            check_signature(self.signature_keys.find(keyid), self.signature_algorithm, base.encode(), octets)
        with self.lock:
            if now >= self.swap_at:  # a nonce is remembered for 90 s at least, which no signature outlives
                self.before, self.nonces, self.swap_at = self.nonces, set(), now + 90
            need(nonce not in self.nonces and nonce not in self.before, "seen before")
            self.nonces.add(nonce)


def _server(environ):
    """What WSGI leaves of a request. The path must be as it was on the wire, which gunicorn and mod_wsgi tell."""
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    need(target.startswith("/"), "this server does not tell the path as it was")
    fields = [(name[5:].replace("_", "-"), value) for name, value in environ.items() if name.startswith("HTTP_")]
    return environ["REQUEST_METHOD"], environ.get("HTTP_HOST", ""), target, fields


def wsgi(application, verifier):
    """WSGI middleware: puts the claims into `environ["cloister"]`."""
    def verified(environ, start_response):
        try:
            body = b""
            if verifier.digest:
                import io
                body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                environ["wsgi.input"] = io.BytesIO(body)
            environ["cloister"] = verifier.verify(*_server(environ), body)
        except Refused:
            start_response("401 Unauthorized", [("Content-Length", "0")])
            return [b""]
        return application(environ, start_response)
    return verified


def asgi(application, verifier):
    """ASGI middleware: puts the claims into `scope["cloister"]`. Bodies are not looked at, so no `digest`."""
    async def verified(scope, receive, send):
        if scope["type"] in ("http", "websocket"):
            fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
            target = (scope.get("raw_path") or b"").split(b"?")[0].decode("latin-1")
            if scope["query_string"]:
                target += "?" + scope["query_string"].decode("latin-1")
            try:
                host = dict(fields).get("host", "")
                scope["cloister"] = verifier.verify(scope.get("method", "GET"), host, target, fields)
            except Refused:
                if scope["type"] == "websocket":
                    return await send({"type": "websocket.close", "code": 1008})
                await send({"type": "http.response.start", "status": 401, "headers": []})
                return await send({"type": "http.response.body"})
        return await application(scope, receive, send)
    return verified
