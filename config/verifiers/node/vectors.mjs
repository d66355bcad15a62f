// Runs the verifier against the vectors: vectors.mjs FOLDER BASE-URL, where the URL serves the folder's key sets.
import { readFileSync } from 'node:fs';
import { Keys, Refused, Verifier } from './cloister.mjs';

const [folder, base] = process.argv.slice(2);
const file = JSON.parse(readFileSync(`${folder}/requests.json`));
const keys = new Keys(`${base}/jwks.json`, 60_000);
const signatureKeys = new Keys(`${base}/signature-keys.json`, 60_000);
const secrets = Object.fromEntries(Object.entries(file.secrets).map(([name, text]) => [name, Buffer.from(text)]));
let passed = 0;
let failed = 0;
for (const { name, verdict, why, settings, requests } of file.cases) {
  const { algorithm, binding, signature, digest } = file.settings[settings];
  const pair = { 'ecdsa-p256-sha256': 'ES256', ed25519: 'EdDSA' }[signature];
  const verifier = new Verifier({ issuer: file.issuer, audience: file.audience, keys, algorithm, binding, digest,
    secrets: signature === 'hmac-sha256' ? secrets : undefined, signatureKeys: pair && signatureKeys, signatureAlgorithm: pair });
  const verdicts = [];
  for (const request of requests) {
    try {
      await verifier.verify({ ...request, now: file.now });
      verdicts.push('accept');
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      verdicts.push('refuse');
    }
  }
  if (verdicts.pop() === verdict && verdicts.every((one) => one === 'accept')) passed += 1;
  else { failed += 1; console.error(`${name}: it should ${verdict}: ${why}`); }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
