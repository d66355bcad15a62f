// What Node's clients see of a gateway: fetch over HTTP/1.1 and TLS, and web sockets by `ws`. Prints one JSON object.
//
//     NODE_EXTRA_CA_CERTS=ca.pem node node.mjs PLAIN_URL TLS_URL TOKEN FOLDER
//
// FOLDER is where `ws` is installed.
import { createRequire } from "node:module";

const [plain, tls, token, folder] = process.argv.slice(2);
const WebSocket = createRequire(`${folder}/`)("ws");
const headers = { authorization: `Bearer ${token}` };

async function fetched(url) {
    const read = await fetch(`${url}/orders/1`, { headers });
    const nobody = await fetch(`${url}/orders/1`);
    const body = new ReadableStream({
        start(controller) {
            for (let count = 0; count < 200; count += 1) controller.enqueue(new Uint8Array(1000));
            controller.close();
        },
    });
    const sent = await fetch(`${url}/upload`, { method: "POST", headers, body, duplex: "half" });
    const stream = await fetch(`${url}/orders/stream`, { headers });
    return {
        status: read.status,
        body: await read.text(),
        nobody: [nobody.status, (await nobody.json()).code],
        upload: [sent.status, await sent.text()],
        events: (await stream.text()).split("\n").filter((line) => line !== ""),
    };
}

function socket(url, options) {
    return new Promise((resolve, reject) => {
        const heard = [];
        const ws = new WebSocket(`${url.replace("http", "ws")}/socket`, options);
        ws.on("error", reject);
        ws.on("unexpected-response", (request, response) => {
            request.destroy(); // or the connection stays open, and this process with it
            resolve(response.statusCode);
        });
        ws.on("open", () => ws.send("one"));
        ws.on("message", (data) => {
            heard.push(data.length > 100 ? data.length : data.toString());
            if (heard.length === 1) ws.send(Buffer.alloc(300_000, "x"));
            else ws.close(1000);
        });
        ws.on("close", (code) => resolve([...heard, code]));
    });
}

// One after the other, so that the gateway has connections left over from the requests before.
async function sockets(url) {
    const all = [];
    for (let count = 0; count < 8; count += 1) {
        await (await fetch(`${url}/orders/1`, { headers })).text();
        all.push((await socket(url, { headers })).join(" "));
    }
    return [...new Set(all)];
}

const seen = {};
for (const [name, url] of [["plain", plain], ["tls", tls]]) {
    seen[name] = {
        ...(await fetched(url)),
        sockets: await sockets(url),
        refused: await socket(url, {}),
    };
}
console.log(JSON.stringify(seen));
