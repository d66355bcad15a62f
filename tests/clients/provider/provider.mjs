// A real OpenID provider over TLS: discovery, client credentials with a resource indicator (RFC 8707), so that access tokens
// are JWTs (RFC 9068) or opaque, introspection (RFC 7662) and revocation (RFC 7009). Prints its port, and ends with its input.
//
//     node provider.mjs CERTIFICATE KEY FOLDER
//
// FOLDER is where `oidc-provider` is installed. POST /rotate makes a new key the one that signs; the old ones stay published.
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [certificate, key, folder] = process.argv.slice(2);
const entry = createRequire(`${folder}/`).resolve("oidc-provider");
const { default: Provider } = await import(pathToFileURL(entry));

const keys = [];
function rotate() {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    keys.unshift({ ...privateKey.export({ format: "jwk" }), kid: `key-${keys.length + 1}`, alg: "ES256", use: "sig" });
}

const client = (client_id) => ({
    client_id,
    client_secret: `${client_id}-secret`,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: "ES256",
});

// One that signs in place of showing a secret (RFC 7523), with a key that is left in the folder CLIENT_KEYS for it.
const signing = (client_id, alg, kind, options) => {
    const { client_secret, ...rest } = client(client_id);
    const { privateKey, publicKey } = generateKeyPairSync(kind, options);
    const pem = privateKey.export({ type: "pkcs8", format: "pem" });
    if (process.env.CLIENT_KEYS) writeFileSync(`${process.env.CLIENT_KEYS}/${alg}.pem`, pem, { mode: 0o600 });
    const jwks = { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "gateway-1", use: "sig" }] };
    return { ...rest, token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: alg, jwks };
};

let issuer;
function provider() {
    const provider = new Provider(issuer, {
        jwks: { keys },
        clients: [
            ...["acme", "globex", "gateway"].map(client),
            signing("ES256-gateway", "ES256", "ec", { namedCurve: "P-256" }),
            signing("RS256-gateway", "RS256", "rsa", { modulusLength: 2048 }),
            signing("EdDSA-gateway", "EdDSA", "ed25519", {}),
        ],
        scopes: ["orders"],
        features: {
            devInteractions: { enabled: false },
            clientCredentials: { enabled: true },
            introspection: { enabled: true, allowedPolicy: (ctx, asking) => asking.clientId.endsWith("gateway") },
            revocation: { enabled: true },
            resourceIndicators: {
                enabled: true,
                getResourceServerInfo: (ctx, resource) => ({
                    scope: "orders",
                    audience: "saas-api",
                    accessTokenTTL: 600,
                    accessTokenFormat: resource.endsWith("/opaque") ? "opaque" : "jwt",
                    jwt: { sign: { alg: "ES256" } },
                }),
            },
        },
        extraTokenClaims: (ctx, token) => ({ sub: token.clientId, tenant_id: token.clientId, roles: ["viewer"] }),
        ttl: { ClientCredentials: 600 },
    });
    provider.proxy = true;
    return provider.callback();
}

let answer;
const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
    if (request.method === "POST" && request.url === "/rotate") {
        rotate();
        answer = provider();
        response.writeHead(204).end();
    } else {
        answer(request, response);
    }
});
server.listen(0, "127.0.0.1", () => {
    issuer = `https://localhost:${server.address().port}`;
    rotate();
    answer = provider();
    console.log(server.address().port);
});
process.stdin.on("end", () => process.exit(0)).resume();
