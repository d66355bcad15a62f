# frozen_string_literal: true

# Runs the verifier against the vectors: vectors.rb FOLDER BASE-URL, where the URL serves the folder's key sets.
require_relative 'cloister'

folder, base = ARGV
file = JSON.parse(File.read("#{folder}/requests.json"))
keys = Cloister::Keys.new("#{base}/jwks.json", again_after: 60)
signature_keys = Cloister::Keys.new("#{base}/signature-keys.json", again_after: 60)
passed = failed = 0
file['cases'].each do |one|
  settings = file['settings'][one['settings']]
  pair = { 'ecdsa-p256-sha256' => 'ES256', 'ed25519' => 'EdDSA' }[settings['signature']]
  verifier = Cloister::Verifier.new(
    issuer: file['issuer'], audience: file['audience'], keys: keys, algorithm: settings['algorithm'],
    binding: settings['binding'].to_sym, secrets: settings['signature'] == 'hmac-sha256' ? file['secrets'] : nil,
    signature_keys: pair && signature_keys, signature_algorithm: pair, digest: settings['digest']
  )
  verdicts = one['requests'].map do |request|
    method, authority, target, headers, body = request.values_at('method', 'authority', 'target', 'headers', 'body')
    verifier.verify(method: method, authority: authority, target: target, headers: headers, body: body, now: file['now'])
    'accept'
  rescue Cloister::Refused
    'refuse'
  end
  last = verdicts.pop
  if last == one['verdict'] && verdicts.all?('accept')
    passed += 1
  else
    failed += 1
    warn "#{one['name']}: it should #{one['verdict']}: #{one['why']}"
  end
end
puts "#{passed} passed, #{failed} failed"
exit failed.zero?
