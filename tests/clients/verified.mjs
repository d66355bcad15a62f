// A backend behind the verifier for Node: verified.mjs AUDIENCE BINDING [digest]. Prints its port. `/__keys?URL` tells it where the keys
// are, since the gateway starts after it; everything else is answered with the claims and the fields that came.
import http from 'node:http';
import { Keys, Verifier, middleware } from '../../config/verifiers/node/cloister.mjs';

const [audience, binding, digest] = process.argv.slice(2);
const secrets = binding === 'reuse' ? { [audience]: Buffer.from(process.env.BACKEND_KEY) } : undefined;
let guard = (request, response) => response.writeHead(503).end();
const server = http.createServer((request, response) => {
  const [path, url] = request.url.split('?');
  if (path === '/__keys') {
    guard = middleware(new Verifier({ issuer: 'https://gateway.example.test', audience, binding, secrets, digest: digest === 'digest', keys: new Keys(url) }));
    return response.end();
  }
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    request.rawBody = Buffer.concat(pieces);
    guard(request, response, () => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ claims: request.cloister, fields: request.rawHeaders, bytes: request.rawBody.length }));
    });
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
