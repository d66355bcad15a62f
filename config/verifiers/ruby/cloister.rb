# frozen_string_literal: true

# Verifies that a request has come through Cloister, and says who asks. The rules: tests/vectors/README.md.
# Ruby 3.0 or later; no gem. Rack: `use Cloister::Middleware, verifier`, or call Verifier#verify yourself.
require 'base64'
require 'json'
require 'net/http'
require 'openssl'

module Cloister
  # The request is not what it says it is. Answer 401 and log why; do not tell the client.
  class Refused < StandardError; end

  INPUT = %r{\Acloister=(\("@method" "@authority" "@path" "@query" "x-cloister-assertion"( "content-digest")?\)
    ;created=(\d{1,12});expires=(\d{1,12});nonce="([0-9a-f]{32})";keyid="([A-Za-z0-9_.:/-]{1,64})";tag="cloister-v1")\z}
    .then { |pattern| Regexp.new(pattern.source.gsub(/\n\s+/, '')) }

  def self.need(so, why)
    raise Refused, why unless so
  end

  def self.unbase64url(text)
    need(text.is_a?(String), 'not base64url')
    octets = Base64.urlsafe_decode64(text)
    need(Base64.urlsafe_encode64(octets, padding: false) == text, 'not canonical base64url')
    octets
  end

  # The published keys of the gateway, kept for as long as it says.
  class Keys
    def initialize(url, again_after: 10)
      @url, @again_after, @keys, @until, @asked, @lock = URI(url), again_after, {}, 0, -Float::INFINITY, Mutex.new
    end

    def find(kid)
      @lock.synchronize do
        now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        # A name that is not known may be that of a new key; made-up ones must not make us ask all the time.
        if (now >= @until || !@keys.key?(kid)) && now - @asked >= @again_after
          @asked = now
          fetch(now)
        end
        @keys[kid]
      end
    end

    private

    def fetch(now)
      answer = Net::HTTP.start(@url.host, @url.port, use_ssl: @url.scheme == 'https', open_timeout: 5, read_timeout: 5) do |http|
        http.get(@url.request_uri)
      end
      return unless answer.is_a?(Net::HTTPOK)

      @keys = JSON.parse(answer.body).fetch('keys').to_h { |key| [key.fetch('kid'), key] }
      @until = now + (answer['cache-control'].to_s[/max-age=(\d+)/, 1] || 60).to_i
    rescue StandardError
      nil # those that are known serve on
    end
  end

  def self.public_key(key)
    number = ->(name) { OpenSSL::ASN1::Integer(OpenSSL::BN.new(unbase64url(key[name]), 2)) }
    algorithm, bits = case key['alg']
                      when 'ES256'
                        point = "\x04".b + unbase64url(key['x']).rjust(32, "\0") + unbase64url(key['y']).rjust(32, "\0")
                        [%w[id-ecPublicKey prime256v1].map { |name| OpenSSL::ASN1::ObjectId(name) }, point]
                      when 'RS256'
                        pair = OpenSSL::ASN1::Sequence([number['n'], number['e']]).to_der
                        [[OpenSSL::ASN1::ObjectId('rsaEncryption'), OpenSSL::ASN1::Null(nil)], pair]
                      when 'EdDSA' then [[OpenSSL::ASN1::ObjectId('1.3.101.112')], unbase64url(key['x'])]
                      else raise Refused, 'this algorithm is not known'
                      end
    parts = [OpenSSL::ASN1::Sequence(algorithm), OpenSSL::ASN1::BitString(bits)]
    OpenSSL::PKey.read(OpenSSL::ASN1::Sequence(parts).to_der)
  end

  def self.check_signature(key, algorithm, message, signature)
    need(key && key['alg'] == algorithm, 'the key is not known')
    if algorithm == 'ES256'
      need(signature.bytesize == 64, 'not r and s')
      halves = [signature[0, 32], signature[32, 32]].map { |half| OpenSSL::ASN1::Integer(OpenSSL::BN.new(half, 2)) }
      signature = OpenSSL::ASN1::Sequence(halves).to_der
    end
    good = public_key(key).verify(algorithm == 'EdDSA' ? nil : 'SHA256', signature, message)
    need(good, 'the signature does not verify')
  rescue OpenSSL::PKey::PKeyError
    raise Refused, 'the signature does not verify'
  end

  # With `binding: :reuse`: `secrets` ({ keyid => bytes }) for HMAC, or `signature_keys` and `signature_algorithm`.
  class Verifier
    attr_reader :digest

    def initialize(issuer:, audience:, keys:, algorithm: 'ES256', binding: :per_request, secrets: nil,
                   signature_keys: nil, signature_algorithm: 'ES256', digest: false)
      @issuer, @audience, @keys, @algorithm, @binding = issuer, audience, keys, algorithm, binding
      @secrets, @signature_keys, @signature_algorithm, @digest = secrets, signature_keys, signature_algorithm, digest
      @nonces, @before, @swap_at, @lock = {}, {}, 0, Mutex.new
      signed = binding == :reuse || digest
      raise ArgumentError, 'secrets or signature_keys' if signed && secrets.nil? == signature_keys.nil?
    end

    # `target` is path and query as they came, not decoded; `headers` are pairs. Gives the claims.
    def verify(method:, authority:, target:, headers:, body: '', now: Time.now.to_i)
      fields = Hash.new { |_, _| [] }
      headers.each { |name, value| fields[name.downcase] = fields[name.downcase] + [value] }
      one = lambda do |name|
        Cloister.need(fields[name].size == 1, "#{name} must stand there once")
        fields[name].first
      end
      path, mark, query = target.partition('?')
      token = one['x-cloister-assertion']
      claims = assertion(token, method, path, now)
      roles = claims['roles'].empty? ? nil : claims['roles'].join(',')
      told = { 'x-tenant-id' => claims['tenant'], 'x-user-id' => claims['sub'], 'x-roles' => roles }
      told.merge(claims['fields'] || {}).each do |name, value|
        Cloister.need(fields[name] == [value].compact, "#{name} is not what was signed")
      end
      if @binding == :reuse || @digest
        query = mark.empty? ? '?' : "?#{query}"
        lines = { '@method' => method, '@authority' => authority.downcase, '@path' => path, '@query' => query,
                  'x-cloister-assertion' => token }
        request(one, lines, body, now)
      end
      claims
    rescue ArgumentError, TypeError, NoMethodError, KeyError, JSON::ParserError
      raise Refused, 'malformed'
    end

    private

    def assertion(token, method, path, now)
      Cloister.need(token.bytesize <= 16_384 && token.match?(/\A[\w-]+\.[\w-]+\.[\w-]+\z/), 'not three parts')
      head, payload, signature = token.split('.')
      header = JSON.parse(Cloister.unbase64url(head))
      Cloister.need(header['alg'] == @algorithm && header['typ'] == 'cloister+jwt' && !header.key?('crit'), 'header')
      Cloister.need(header['kid'].is_a?(String), 'kid')
      key = @keys.find(header['kid'])
      Cloister.check_signature(key, @algorithm, "#{head}.#{payload}", Cloister.unbase64url(signature))
      claims = JSON.parse(Cloister.unbase64url(payload))
      Cloister.need(claims['iss'] == @issuer && claims['aud'] == @audience, 'not from there, or not for us')
      Cloister.need(%w[sub idp tenant jti].all? { |name| claims[name].is_a?(String) }, 'who')
      Cloister.need(claims['roles'].is_a?(Array) && claims['roles'].all?(String), 'roles')
      issued, expires = claims.values_at('iat', 'exp')
      Cloister.need([issued, expires].all?(Integer) && (1..60).cover?(expires - issued), 'too long a life')
      Cloister.need(issued <= now + 5 && now < expires + 5, 'not now')
      bound = @binding == :per_request ? [method, path] : [nil, nil]
      Cloister.need(claims.values_at('htm', 'htu') == bound, 'another request')
      claims
    end

    def request(one, lines, body, now)
      put = INPUT.match(one['signature-input'])
      mac = %r{\Acloister=:([A-Za-z0-9+/]+={0,2}):\z}.match(one['signature'])
      Cloister.need(put && mac, 'not the signature that was agreed on')
      parameters, digest, created, expires, nonce, keyid = put.captures
      created, expires, octets = created.to_i, expires.to_i, Base64.strict_decode64(mac[1])
      Cloister.need(Base64.strict_encode64(octets) == mac[1], 'not canonical base64')
      Cloister.need((created - now).abs <= 30 && now < expires && expires <= created + 60, 'not now')
      Cloister.need(digest || !@digest, 'the body is not covered')
      if digest
        sum = Base64.strict_encode64(OpenSSL::Digest::SHA256.digest(body))
        Cloister.need(one['content-digest'] == "sha-256=:#{sum}:", 'another body')
        lines = lines.merge('content-digest' => one['content-digest'])
      end
      base = lines.map { |name, value| "\"#{name}\": #{value}\n" }.join + "\"@signature-params\": #{parameters}"
      if @secrets
        Cloister.need(@secrets.key?(keyid), 'the key is not known')
        want = OpenSSL::HMAC.digest('SHA256', @secrets[keyid], base)
        Cloister.need(OpenSSL.secure_compare(want, octets), 'the signature does not verify')
      else
        Cloister.check_signature(@signature_keys.find(keyid), @signature_algorithm, base, octets)
      end
      remember(nonce, now)
    end

    def remember(nonce, now)
      @lock.synchronize do
        # A nonce is remembered for 90 s at least, which no signature outlives.
        @before, @nonces, @swap_at = @nonces, {}, now + 90 if now >= @swap_at
        Cloister.need(!@nonces.key?(nonce) && !@before.key?(nonce), 'seen before')
        @nonces[nonce] = true
      end
    end
  end

  # Rack: puts the claims into `env['cloister']`. The path must be as it was on the wire, which Puma tells as REQUEST_URI.
  class Middleware
    def initialize(application, verifier)
      @application, @verifier = application, verifier
    end

    def call(env)
      headers = env.filter_map { |name, value| [name[5..].tr('_', '-'), value] if name.start_with?('HTTP_') }
      target = env['REQUEST_URI'].to_s.sub(%r{\Ahttps?://[^/]+}, '')
      body = @verifier.digest ? env['rack.input'].read.tap { env['rack.input'].rewind } : ''
      env['cloister'] = @verifier.verify(method: env['REQUEST_METHOD'], authority: env['HTTP_HOST'].to_s,
                                         target: target, headers: headers, body: body)
      @application.call(env)
    rescue Refused => e
      env['rack.errors']&.puts("refused: #{e.message}")
      [401, { 'content-length' => '0' }, []]
    end
  end
end
