// What a client library that knows DPoP sees of a gateway: `oauth4webapi`, which makes the keys, the proofs and the thumbprints,
// and reads the challenges. Prints the thumbprint of its key, waits for the token on standard input, then prints one JSON object.
//
//     NODE_EXTRA_CA_CERTS=ca.pem node dpop.mjs PLAIN_URL TLS_URL FOLDER
//
// FOLDER is where `oauth4webapi` is installed.
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [plain, tls, folder] = process.argv.slice(2);
const oauth = await import(pathToFileURL(createRequire(`${folder}/`).resolve("oauth4webapi")));
const keys = await oauth.generateKeyPair("ES256", { extractable: true });
const proofs = () => oauth.DPoP({}, keys);
console.log(await proofs().calculateThumbprint());
const [token] = await once(createInterface({ input: process.stdin }), "line");

// Asks once; where a new nonce is wanted, the library has taken it over, and asks again.
async function ask(url, path, method, dpop, again = true) {
    const options = { [oauth.allowInsecureRequests]: true, DPoP: dpop };
    try {
        const response = await oauth.protectedResourceRequest(token, method, new URL(`${url}${path}`), undefined, undefined, options);
        await response.text();
        return [response.status];
    } catch (error) {
        if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
        const told = error.cause.map(({ scheme, parameters }) => `${scheme} ${parameters.error}`).join(", ");
        if (again && oauth.isDPoPNonceError(error)) return [told, ...(await ask(url, path, method, dpop, false))];
        return [told];
    }
}

const seen = {};
for (const [name, url] of [["plain", plain], ["tls", tls]]) {
    const dpop = proofs();
    seen[name] = {
        read: await ask(url, "/orders/1?a=b#c", "GET", dpop),
        escaped: await ask(url, "/orders/%7Euser%2d1", "GET", dpop),
        write: await ask(url, "/orders/1", "POST", dpop),
        nonce: await ask(url, "/fresh/1", "GET", dpop),
        next: await ask(url, "/fresh/1", "GET", dpop), // with the nonce of the answer before
        bearer: await ask(url, "/orders/1", "GET", undefined),
        stranger: await ask(url, "/orders/1", "GET", oauth.DPoP({}, await oauth.generateKeyPair("ES256"))),
    };
}
console.log(JSON.stringify(seen));
process.exit(0);
