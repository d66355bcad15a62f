<?php
// Verifies that a request has come through Cloister, and says who asks. The rules: tests/vectors/README.md.
// PHP 8.1 or later with openssl, and sodium for EdDSA; no other dependency.
declare(strict_types=1);

namespace Cloister;

/** The request is not what it says it is. Answer 401 and log why; do not tell the client. */
final class Refused extends \Exception {}

function need(mixed $so, string $why): void
{
    if (!$so) throw new Refused($why);
}

function unbase64url(mixed $text): string
{
    need(is_string($text) && preg_match('/\A[A-Za-z0-9_-]*\z/', $text), 'not base64url');
    $octets = base64_decode(strtr($text, '-_', '+/'), false);
    need(is_string($octets) && rtrim(strtr(base64_encode($octets), '+/', '-_'), '=') === $text, 'not canonical base64url');
    return $octets;
}

/** The published keys of the gateway, kept for as long as it says, in a file that all workers share. */
final class Keys
{
    public function __construct(private string $url, private string $cache, private int $againAfter = 10) {}

    /** @return array<string, string>|null */
    public function find(string $kid): ?array
    {
        $kept = json_decode((string) @file_get_contents($this->cache), true) ?: ['keys' => [], 'until' => 0, 'asked' => 0];
        $now = time();
        // A name that is not known may be that of a new key; made-up ones must not make us ask all the time.
        if (($now >= $kept['until'] || !isset($kept['keys'][$kid])) && $now - $kept['asked'] >= $this->againAfter) {
            $kept['asked'] = $now;
            $context = stream_context_create(['http' => ['timeout' => 5, 'follow_location' => 0]]);
            $set = json_decode((string) @file_get_contents($this->url, false, $context, 0, 1 << 20), true);
            if (is_array($set['keys'] ?? null)) { // if not, those that are known serve on
                preg_match('/max-age=(\d+)/i', implode("\n", $http_response_header ?? []), $age);
                $kept['keys'] = array_column($set['keys'], null, 'kid');
                $kept['until'] = $now + (int) ($age[1] ?? 60);
            }
            $draft = tempnam(dirname($this->cache), 'keys');
            file_put_contents($draft, json_encode($kept));
            rename($draft, $this->cache);
        }
        return $kept['keys'][$kid] ?? null;
    }
}

/** ASN.1 (X.690): a tag, a length, what is inside. */
function der(int $tag, string $inside): string
{
    $length = strlen($inside);
    $octets = ltrim(pack('N', $length), "\0");
    return chr($tag) . ($length < 128 ? chr($length) : chr(0x80 | strlen($octets)) . $octets) . $inside;
}

function number(string $octets): string
{
    $octets = ltrim($octets, "\0");
    return der(0x02, ($octets === '' || ord($octets[0]) > 127 ? "\0" : '') . $octets);
}

/** @param array<string, mixed>|null $key */
function checkSignature(?array $key, string $algorithm, string $message, string $signature): void
{
    need($key !== null && ($key['alg'] ?? null) === $algorithm, 'the key is not known');
    if ($algorithm === 'EdDSA') {
        need(strlen($signature) === 64, 'not an Ed25519 signature');
        $good = sodium_crypto_sign_verify_detached($signature, $message, unbase64url($key['x']));
        need($good, 'the signature does not verify');
        return;
    }
    if ($algorithm === 'ES256') {
        need(strlen($signature) === 64, 'not r and s');
        $head = hex2bin('3059301306072a8648ce3d020106082a8648ce3d030107034200'); // RFC 5480: id-ecPublicKey, P-256
        $public = $head . "\x04" . str_pad(unbase64url($key['x']), 32, "\0", STR_PAD_LEFT) . unbase64url($key['y']);
        $signature = der(0x30, number(substr($signature, 0, 32)) . number(substr($signature, 32)));
    } else {
        need($algorithm === 'RS256', 'this algorithm is not known');
        $pair = der(0x30, number(unbase64url($key['n'])) . number(unbase64url($key['e'])));
        $public = der(0x30, hex2bin('300d06092a864886f70d0101010500') . der(0x03, "\0" . $pair)); // RFC 3279: rsaEncryption
    }
    $pem = "-----BEGIN PUBLIC KEY-----\n" . chunk_split(base64_encode($public), 64, "\n") . "-----END PUBLIC KEY-----\n";
    need(openssl_verify($message, $signature, $pem, OPENSSL_ALGO_SHA256) === 1, 'the signature does not verify');
}

/** Where nonces are remembered that were seen: one for all workers. */
interface Nonces
{
    /** Remembers it for that many seconds. False if it is known already. Must be atomic. */
    public function add(string $nonce, int $seconds): bool;
}

/** In shared memory of all workers of a server (the extension apcu). */
final class ApcuNonces implements Nonces
{
    public function add(string $nonce, int $seconds): bool
    {
        return apcu_add("cloister:$nonce", 1, $seconds);
    }
}

final class Verifier
{
    /** With `binding: 'reuse'`: `secrets` ([keyid => bytes]) for HMAC, or `signatureKeys` and `signatureAlgorithm`. */
    public function __construct(
        private string $issuer,
        private string $audience,
        private object $keys,
        private string $algorithm = 'ES256',
        private string $binding = 'per_request',
        private ?array $secrets = null,
        private ?object $signatureKeys = null,
        private string $signatureAlgorithm = 'ES256',
        private bool $digest = false,
        private ?Nonces $nonces = null,
    ) {
        $signed = $binding === 'reuse' || $digest;
        if ($signed && (($secrets === null) === ($signatureKeys === null) || $nonces === null)) {
            throw new \LogicException('secrets or signatureKeys, and nonces');
        }
    }

    /**
     * `$target` is path and query as they came, not decoded; `$headers` are pairs. Gives the claims.
     * @param list<array{string, string}> $headers
     */
    public function verify(string $method, string $authority, string $target, array $headers, string $body = '', ?int $now = null): array
    {
        $now ??= time();
        $fields = [];
        foreach ($headers as [$name, $value]) $fields[strtolower($name)][] = $value;
        $one = function (string $name) use ($fields): string {
            need(count($fields[$name] ?? []) === 1, "$name must stand there once");
            return $fields[$name][0];
        };
        [$path, $query] = [strtok($target, '?') ?: '', strstr($target, '?') ?: '?'];
        $token = $one('x-cloister-assertion');
        $claims = $this->assertion($token, $method, $path, $now);
        $roles = implode(',', $claims['roles']);
        $told = ['x-tenant-id' => $claims['tenant'], 'x-user-id' => $claims['sub'], 'x-roles' => $roles === '' ? null : $roles];
        foreach ($told + ($claims['fields'] ?? []) as $name => $value) {
            need(($fields[$name] ?? []) === ($value === null ? [] : [$value]), "$name is not what was signed");
        }
        if ($this->binding === 'reuse' || $this->digest) {
            $this->request($one, $token, $method, $authority, $path, $query, $body, $now);
        }
        return $claims;
    }

    private function assertion(string $token, string $method, string $path, int $now): array
    {
        need(strlen($token) <= 16384 && preg_match('/\A[\w-]+\.[\w-]+\.[\w-]+\z/', $token), 'not three parts');
        [$head, $payload, $signature] = explode('.', $token);
        $header = json_decode(unbase64url($head), true);
        need(is_array($header) && ($header['alg'] ?? null) === $this->algorithm, 'algorithm');
        need(($header['typ'] ?? null) === 'cloister+jwt' && !array_key_exists('crit', $header), 'header');
        $key = is_string($header['kid'] ?? null) ? $this->keys->find($header['kid']) : null;
        checkSignature($key, $this->algorithm, "$head.$payload", unbase64url($signature));
        $claims = json_decode(unbase64url($payload), true);
        need(is_array($claims), 'no claims');
        need(($claims['iss'] ?? null) === $this->issuer && ($claims['aud'] ?? null) === $this->audience, 'not from there, or not for us');
        foreach (['sub', 'idp', 'tenant', 'jti'] as $name) need(is_string($claims[$name] ?? null), 'who');
        need(is_array($claims['roles'] ?? null) && array_is_list($claims['roles']), 'roles');
        foreach ($claims['roles'] as $role) need(is_string($role), 'roles');
        [$issued, $expires] = [$claims['iat'] ?? null, $claims['exp'] ?? null];
        need(is_int($issued) && is_int($expires) && $issued < $expires && $expires - $issued <= 60, 'too long a life');
        need($issued <= $now + 5 && $now < $expires + 5, 'not now');
        $bound = $this->binding === 'per_request' ? [$method, $path] : [null, null];
        need([$claims['htm'] ?? null, $claims['htu'] ?? null] === $bound, 'another request');
        return $claims;
    }

    private function request(callable $one, string $token, string $method, string $authority, string $path, string $query, string $body, int $now): void
    {
        $put = preg_match('~\Acloister=(\("@method" "@authority" "@path" "@query" "x-cloister-assertion"( "content-digest")?\)'
            . ';created=(\d{1,12});expires=(\d{1,12});nonce="([0-9a-f]{32})";keyid="([\w.:/-]{1,64})";tag="cloister-v1")\z~',
            $one('signature-input'), $parts);
        $mac = preg_match('~\Acloister=:([A-Za-z0-9+/]+={0,2}):\z~', $one('signature'), $encoded);
        need($put === 1 && $mac === 1, 'not the signature that was agreed on');
        [, $parameters, $digest, $created, $expires, $nonce, $keyid] = $parts;
        $octets = base64_decode($encoded[1], true);
        need(is_string($octets) && base64_encode($octets) === $encoded[1], 'not canonical base64');
        need(abs($created - $now) <= 30 && $now < $expires && $expires <= $created + 60, 'not now');
        need($digest !== '' || !$this->digest, 'the body is not covered');
        $lines = ['@method' => $method, '@authority' => strtolower($authority), '@path' => $path, '@query' => $query,
            'x-cloister-assertion' => $token];
        if ($digest !== '') {
            $sum = base64_encode(hash('sha256', $body, true));
            need($one('content-digest') === "sha-256=:$sum:", 'another body');
            $lines['content-digest'] = $one('content-digest');
        }
        $base = '';
        foreach ($lines as $name => $value) $base .= "\"$name\": $value\n";
        $base .= "\"@signature-params\": $parameters";
        if ($this->secrets !== null) {
            need(isset($this->secrets[$keyid]), 'the key is not known');
            need(hash_equals(hash_hmac('sha256', $base, $this->secrets[$keyid], true), $octets), 'the signature does not verify');
        } else {
            checkSignature($this->signatureKeys->find($keyid), $this->signatureAlgorithm, $base, $octets);
        }
        need($this->nonces->add($nonce, 90), 'seen before');
    }
}
