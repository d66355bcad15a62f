// Verifies that a request has come through Cloister, and says who asks. The rules: tests/vectors/README.md.
// Node 18 or later, no dependency. Express: app.use(middleware(verifier)); or call Verifier.verify yourself.
import { createHash, createHmac, createPublicKey, timingSafeEqual, verify as verifySignature } from 'node:crypto';

const INPUT = new RegExp(
  '^cloister=(\\("@method" "@authority" "@path" "@query" "x-cloister-assertion"( "content-digest")?\\)' +
  ';created=([0-9]{1,12});expires=([0-9]{1,12});nonce="([0-9a-f]{32})";keyid="([A-Za-z0-9_.:/-]{1,64})";tag="cloister-v1")$');

/** The request is not what it says it is. Answer 401 and log why; do not tell the client. */
export class Refused extends Error {}

const need = (so, why) => { if (!so) throw new Refused(why); };

function decode(text, encoding) {
  const octets = Buffer.from(text, encoding);
  need(octets.toString(encoding) === text, `not canonical ${encoding}`);
  return octets;
}

/** The published keys of the gateway, kept for as long as it says. */
export class Keys {
  #keys = new Map(); #until = 0; #asked = -Infinity; #asking = null;

  constructor(url, againAfter = 10_000) { this.url = url; this.againAfter = againAfter; }

  async find(kid) {
    const now = performance.now();
    // A name that is not known may be that of a new key; made-up ones must not make us ask all the time.
    if ((now >= this.#until || !this.#keys.has(kid)) && !this.#asking && now - this.#asked >= this.againAfter) {
      this.#asked = now;
      this.#asking = this.#fetch().catch(() => {}).finally(() => { this.#asking = null; }); // those known serve on
    }
    if (!this.#keys.has(kid)) await this.#asking;
    return this.#keys.get(kid);
  }

  async #fetch() {
    const answer = await fetch(this.url, { signal: AbortSignal.timeout(5000), redirect: 'error' });
    if (!answer.ok) return;
    const { keys } = await answer.json();
    const age = /max-age=([0-9]+)/.exec(answer.headers.get('cache-control') ?? '');
    this.#keys = new Map(keys.map((key) => [key.kid, key]));
    this.#until = performance.now() + (age ? Number(age[1]) : 60) * 1000;
  }
}

function checkSignature(key, algorithm, message, signature) {
  need(key && key.alg === algorithm, 'the key is not known');
  const form = algorithm === 'ES256' ? { dsaEncoding: 'ieee-p1363' } : {};
  const publicKey = { key: createPublicKey({ key, format: 'jwk' }), ...form };
  need(algorithm !== 'ES256' || signature.length === 64, 'not r and s');
  const good = verifySignature(algorithm === 'EdDSA' ? null : 'sha256', Buffer.from(message), publicKey, signature);
  need(good, 'the signature does not verify');
}

/**
 * `keys` find the keys of assertions. With `binding: 'reuse'`: `secrets` ({ keyid: Buffer }) for HMAC, or `signatureKeys` and
 * `signatureAlgorithm` ('ES256', 'EdDSA').
 */
export class Verifier {
  #nonces = new Set(); #before = new Set(); #swapAt = 0;

  constructor({ issuer, audience, keys, algorithm = 'ES256', binding = 'per_request', secrets, signatureKeys,
    signatureAlgorithm, digest = false }) {
    if (binding === 'reuse' && !secrets === !signatureKeys) throw new Error('secrets or signatureKeys');
    Object.assign(this, { issuer, audience, keys, algorithm, binding, secrets, signatureKeys, signatureAlgorithm, digest });
  }

  /** `target` is path and query as they came, not decoded; `headers` are pairs. Gives the claims. */
  async verify({ method, authority, target, headers, body = '', now = Math.floor(Date.now() / 1000) }) {
    const fields = new Map();
    for (const [name, value] of headers) {
      const known = fields.get(name.toLowerCase());
      if (known) known.push(value); else fields.set(name.toLowerCase(), [value]);
    }
    const one = (name) => {
      const values = fields.get(name) ?? [];
      need(values.length === 1, `${name} must stand there once`);
      return values[0];
    };
    const query = target.indexOf('?');
    const path = query < 0 ? target : target.slice(0, query);
    const token = one('x-cloister-assertion');
    const claims = await this.#assertion(token, method, path, now).catch((error) => {
      throw error instanceof Refused ? error : new Refused('malformed');
    });
    const told = { 'x-tenant-id': claims.tenant, 'x-user-id': claims.sub, 'x-roles': claims.roles.join(',') || null };
    for (const [name, value] of Object.entries({ ...told, ...claims.fields })) {
      const values = fields.get(name) ?? [];
      need(value === null ? values.length === 0 : values.length === 1 && values[0] === value, `${name} is not what was signed`);
    }
    if (this.binding === 'reuse' || this.digest) {
      const parts = { method, authority, path, query: query < 0 ? '?' : target.slice(query), token, body };
      await this.#request(one, parts, now);
    }
    return claims;
  }

  async #assertion(token, method, path, now) {
    need(token.length <= 16384 && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token), 'not three parts');
    const [head, payload, signature] = token.split('.');
    const header = JSON.parse(decode(head, 'base64url'));
    need(header.alg === this.algorithm && header.typ === 'cloister+jwt' && !('crit' in header), 'header');
    need(typeof header.kid === 'string', 'kid');
    checkSignature(await this.keys.find(header.kid), this.algorithm, `${head}.${payload}`, decode(signature, 'base64url'));
    const claims = JSON.parse(decode(payload, 'base64url'));
    need(claims.iss === this.issuer && claims.aud === this.audience, 'not from there, or not for us');
    need(['sub', 'idp', 'tenant', 'jti'].every((name) => typeof claims[name] === 'string'), 'who');
    need(Array.isArray(claims.roles) && claims.roles.every((role) => typeof role === 'string'), 'roles');
    const { iat, exp } = claims;
    need(Number.isInteger(iat) && Number.isInteger(exp) && iat < exp && exp - iat <= 60, 'too long a life');
    need(iat <= now + 5 && now < exp + 5, 'not now');
    const bound = this.binding === 'per_request' ? [method, path] : [undefined, undefined];
    need(claims.htm === bound[0] && claims.htu === bound[1], 'another request');
    return claims;
  }

  async #request(one, { method, authority, path, query, token, body }, now) {
    const put = INPUT.exec(one('signature-input'));
    const mac = /^cloister=:([A-Za-z0-9+/]+={0,2}):$/.exec(one('signature'));
    need(put && mac, 'not the signature that was agreed on');
    const [, parameters, digest, created, expires, nonce, keyid] = put;
    const octets = decode(mac[1], 'base64');
    need(Math.abs(created - now) <= 30 && now < +expires && +expires <= +created + 60, 'not now');
    need(digest || !this.digest, 'the body is not covered');
    const lines = [['@method', method], ['@authority', authority.toLowerCase()], ['@path', path], ['@query', query],
      ['x-cloister-assertion', token]];
    if (digest) {
      const sum = createHash('sha256').update(body).digest('base64');
      need(one('content-digest') === `sha-256=:${sum}:`, 'another body');
      lines.push(['content-digest', one('content-digest')]);
    }
    const base = `${lines.map(([name, value]) => `"${name}": ${value}\n`).join('')}"@signature-params": ${parameters}`;
    if (this.secrets) {
      need(Object.hasOwn(this.secrets, keyid), 'the key is not known');
      const want = createHmac('sha256', this.secrets[keyid]).update(base).digest();
      need(want.length === octets.length && timingSafeEqual(want, octets), 'the signature does not verify');
    } else {
      need(this.signatureKeys, 'nothing to verify the signature with');
      checkSignature(await this.signatureKeys.find(keyid), this.signatureAlgorithm, base, octets);
    }
    if (now >= this.#swapAt) { // a nonce is remembered for 90 s at least, which no signature outlives
      [this.#before, this.#nonces, this.#swapAt] = [this.#nonces, new Set(), now + 90];
    }
    need(!this.#nonces.has(nonce) && !this.#before.has(nonce), 'seen before');
    this.#nonces.add(nonce);
  }
}

/** Express, Connect, or any (request, response, next): puts the claims into `request.cloister`. Before anything that reads
 *  the body; with `digest`, after one that keeps its bytes in `request.rawBody`. */
export function middleware(verifier) {
  return async (request, response, next) => {
    const pairs = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) pairs.push([request.rawHeaders[i], request.rawHeaders[i + 1]]);
    try {
      request.cloister = await verifier.verify({ method: request.method, authority: request.headers.host ?? '',
        target: request.originalUrl ?? request.url, headers: pairs, body: request.rawBody });
    } catch (error) {
      console.warn(`refused: ${error.message}`);
      return response.writeHead(401).end();
    }
    return next();
  };
}
