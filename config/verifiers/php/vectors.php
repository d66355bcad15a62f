<?php
// Runs the verifier against the vectors: vectors.php FOLDER BASE-URL, where the URL serves the folder's key sets.
declare(strict_types=1);

require __DIR__ . '/Cloister.php';

use Cloister\{Keys, Nonces, Refused, Verifier};

final class Seen implements Nonces
{
    private array $seen = [];

    public function add(string $nonce, int $seconds): bool
    {
        if (isset($this->seen[$nonce])) return false;
        return $this->seen[$nonce] = true;
    }
}

[, $folder, $base] = $argv;
$file = json_decode(file_get_contents("$folder/requests.json"), true);
$scratch = sys_get_temp_dir() . '/cloister-vectors-' . getmypid();
mkdir($scratch);
$keys = new Keys("$base/jwks.json", "$scratch/keys", 60);
$signatureKeys = new Keys("$base/signature-keys.json", "$scratch/signature-keys", 60);
$passed = $failed = 0;
foreach ($file['cases'] as $case) {
    $settings = $file['settings'][$case['settings']];
    $pair = ['ecdsa-p256-sha256' => 'ES256', 'ed25519' => 'EdDSA'][$settings['signature']] ?? null;
    $secrets = $settings['signature'] === 'hmac-sha256' ? $file['secrets'] : null;
    $verifier = new Verifier($file['issuer'], $file['audience'], $keys, $settings['algorithm'], $settings['binding'], $secrets,
        $pair === null ? null : $signatureKeys, $pair ?? 'ES256', $settings['digest'], new Seen());
    $verdicts = [];
    foreach ($case['requests'] as $request) {
        try {
            $verifier->verify($request['method'], $request['authority'], $request['target'], $request['headers'], $request['body'], $file['now']);
            $verdicts[] = 'accept';
        } catch (Refused) {
            $verdicts[] = 'refuse';
        }
    }
    $last = array_pop($verdicts);
    if ($last === $case['verdict'] && !in_array('refuse', $verdicts, true)) {
        $passed++;
    } else {
        $failed++;
        fwrite(STDERR, "{$case['name']}: it should {$case['verdict']}: {$case['why']}\n");
    }
}
array_map('unlink', glob("$scratch/*"));
rmdir($scratch);
echo "$passed passed, $failed failed\n";
exit($failed > 0 ? 1 : 0);
