// Verifies that a request has come through Cloister, and says who asks. The rules: tests/vectors/README.md.
// .NET 8 or later, no package. ES256 and RS256; the framework has no Ed25519. NOT RUN against the vectors by this project:
// its runtime is in none of the places that the tests install from. Run them before you rely on it (README.md).
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Cloister;

/// <summary>The request is not what it says it is. Answer 401 and log why; do not tell the client.</summary>
public sealed class RefusedException(string why) : Exception(why);

/// <summary>Finds a published key (RFC 7517) by its name; null if there is none.</summary>
public interface IKeySource { ValueTask<JsonElement?> Find(string kid); }

/// <summary>The published keys of the gateway, kept for as long as it says.</summary>
public sealed class Keys(HttpClient client, Uri url, TimeSpan? againAfter = null) : IKeySource
{
    private readonly SemaphoreSlim alone = new(1);
    private readonly long again = (long)(againAfter ?? TimeSpan.FromSeconds(10)).TotalMilliseconds;
    private Dictionary<string, JsonElement> keys = [];
    private long until = long.MinValue, askAgain = long.MinValue;

    public async ValueTask<JsonElement?> Find(string kid)
    {
        await alone.WaitAsync();
        try
        {
            var now = Environment.TickCount64;
            // A name that is not known may be that of a new key; made-up ones must not make us ask all the time.
            if ((now >= until || !keys.ContainsKey(kid)) && now >= askAgain)
            {
                askAgain = now + again;
                try
                {
                    using var answer = await client.GetAsync(url);
                    answer.EnsureSuccessStatusCode();
                    var set = await answer.Content.ReadFromJsonAsync<JsonElement>();
                    keys = set.GetProperty("keys").EnumerateArray().ToDictionary(key => key.GetProperty("kid").GetString()!);
                    until = now + (long)(answer.Headers.CacheControl?.MaxAge ?? TimeSpan.FromSeconds(60)).TotalMilliseconds;
                }
                catch (Exception error) when (error is HttpRequestException or JsonException or TaskCanceledException or KeyNotFoundException)
                {
                    // those that are known serve on
                }
            }
            return keys.TryGetValue(kid, out var key) ? key : null;
        }
        finally { alone.Release(); }
    }
}

/// <summary>With Binding "reuse": Secrets by keyid for HMAC, or SignatureKeys (ES256).</summary>
public sealed record Settings(string Issuer, string Audience, IKeySource Keys, string Algorithm = "ES256",
    string Binding = "per_request", IReadOnlyDictionary<string, byte[]>? Secrets = null, IKeySource? SignatureKeys = null,
    bool Digest = false);

public sealed partial class Verifier
{
    private readonly Settings settings;
    private readonly object alone = new();
    private HashSet<string> nonces = [], before = [];
    private long swapAt;

    public Verifier(Settings settings)
    {
        if ((settings.Binding == "reuse" || settings.Digest) && settings.Secrets is null == settings.SignatureKeys is null)
            throw new ArgumentException("Secrets or SignatureKeys");
        this.settings = settings;
    }

    /// <summary>`target` is path and query as they came, not decoded; `headers` are pairs. Gives the claims.</summary>
    public async Task<JsonElement> Verify(string method, string authority, string target,
        IEnumerable<KeyValuePair<string, string>> headers, byte[] body, long now)
    {
        var fields = headers.ToLookup(field => field.Key.ToLowerInvariant(), field => field.Value);
        string One(string name) => fields[name].Count() == 1 ? fields[name].First() : throw new RefusedException($"{name} must stand there once");
        try
        {
            var mark = target.IndexOf('?');
            var (path, query) = mark < 0 ? (target, "?") : (target[..mark], target[mark..]);
            var token = One("x-cloister-assertion");
            var claims = await Assertion(token, method, path, now);
            var roles = string.Join(',', claims.GetProperty("roles").EnumerateArray().Select(role => role.GetString()));
            var told = new Dictionary<string, string?>
            {
                ["x-tenant-id"] = claims.GetProperty("tenant").GetString(),
                ["x-user-id"] = claims.GetProperty("sub").GetString(),
                ["x-roles"] = roles == "" ? null : roles,
            };
            if (claims.TryGetProperty("fields", out var more))
                foreach (var field in more.EnumerateObject()) told[field.Name] = field.Value.GetString();
            foreach (var (name, value) in told)
                Need(fields[name].SequenceEqual(value is null ? [] : [value]), $"{name} is not what was signed");
            if (settings.Binding == "reuse" || settings.Digest)
                await Request(One, token, method, authority, path, query, body, now);
            return claims;
        }
        catch (Exception error) when (error is JsonException or FormatException or KeyNotFoundException or InvalidOperationException or CryptographicException)
        {
            throw new RefusedException("malformed");
        }
    }

    private static void Need(bool so, string why)
    {
        if (!so) throw new RefusedException(why);
    }

    private static byte[] Unbase64Url(string? text)
    {
        Need(text is not null && Word().IsMatch(text), "not base64url");
        var octets = Convert.FromBase64String(text!.Replace('-', '+').Replace('_', '/') + new string('=', (4 - text.Length % 4) % 4));
        Need(Convert.ToBase64String(octets).TrimEnd('=').Replace('+', '-').Replace('/', '_') == text, "not canonical base64url");
        return octets;
    }

    private async Task<JsonElement> Assertion(string token, string method, string path, long now)
    {
        var parts = token.Split('.');
        Need(token.Length <= 16384 && parts.Length == 3, "not three parts");
        var header = JsonSerializer.Deserialize<JsonElement>(Unbase64Url(parts[0]));
        Need(Text(header, "alg") == settings.Algorithm && Text(header, "typ") == "cloister+jwt", "header");
        Need(!header.TryGetProperty("crit", out _) && Text(header, "kid") is not null, "header");
        var key = await settings.Keys.Find(Text(header, "kid")!);
        CheckSignature(key, settings.Algorithm, $"{parts[0]}.{parts[1]}", Unbase64Url(parts[2]));
        var claims = JsonSerializer.Deserialize<JsonElement>(Unbase64Url(parts[1]));
        Need(Text(claims, "iss") == settings.Issuer && Text(claims, "aud") == settings.Audience, "not from there, or not for us");
        Need(new[] { "sub", "idp", "tenant", "jti" }.All(name => Text(claims, name) is not null), "who");
        Need(claims.GetProperty("roles").EnumerateArray().All(role => role.ValueKind == JsonValueKind.String), "roles");
        Need(claims.GetProperty("iat").TryGetInt64(out var issued) & claims.GetProperty("exp").TryGetInt64(out var expires), "dates");
        Need(issued < expires && expires - issued <= 60, "too long a life");
        Need(issued <= now + 5 && now < expires + 5, "not now");
        var bound = settings.Binding == "per_request" ? (method, path) : ((string?)null, (string?)null);
        Need((Text(claims, "htm"), Text(claims, "htu")) == bound, "another request");
        return claims;
    }

    /// <summary>A member that is a text; null if there is none. Another type is an error.</summary>
    private static string? Text(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value.GetString() : null;

    private async Task Request(Func<string, string> one, string token, string method, string authority, string path,
        string query, byte[] body, long now)
    {
        var (put, mac) = (Input().Match(one("signature-input")), Sealed().Match(one("signature")));
        Need(put.Success && mac.Success, "not the signature that was agreed on");
        var octets = Convert.FromBase64String(mac.Groups[1].Value);
        Need(Convert.ToBase64String(octets) == mac.Groups[1].Value, "not canonical base64");
        var (created, expires) = (long.Parse(put.Groups[3].Value), long.Parse(put.Groups[4].Value));
        Need(Math.Abs(created - now) <= 30 && now < expires && expires <= created + 60, "not now");
        Need(put.Groups[2].Success || !settings.Digest, "the body is not covered");
        var text = $"\"@method\": {method}\n\"@authority\": {authority.ToLowerInvariant()}\n\"@path\": {path}\n\"@query\": {query}\n"
            + $"\"x-cloister-assertion\": {token}\n";
        if (put.Groups[2].Success)
        {
            Need(one("content-digest") == $"sha-256=:{Convert.ToBase64String(SHA256.HashData(body))}:", "another body");
            text += $"\"content-digest\": {one("content-digest")}\n";
        }
        text += $"\"@signature-params\": {put.Groups[1].Value}";
        if (settings.Secrets is not null)
        {
            Need(settings.Secrets.TryGetValue(put.Groups[6].Value, out var secret), "the key is not known");
            var want = HMACSHA256.HashData(secret!, Encoding.Latin1.GetBytes(text));
            Need(CryptographicOperations.FixedTimeEquals(want, octets), "the signature does not verify");
        }
        else
        {
            CheckSignature(await settings.SignatureKeys!.Find(put.Groups[6].Value), "ES256", text, octets);
        }
        lock (alone)
        {
            if (now >= swapAt) (before, nonces, swapAt) = (nonces, [], now + 90); // no signature outlives 90 s
            Need(!before.Contains(put.Groups[5].Value) && nonces.Add(put.Groups[5].Value), "seen before");
        }
    }

    private static void CheckSignature(JsonElement? key, string algorithm, string message, byte[] signature)
    {
        Need(key is not null && Text(key.Value, "alg") == algorithm, "the key is not known");
        byte[] Part(string name) => Unbase64Url(Text(key!.Value, name));
        var octets = Encoding.Latin1.GetBytes(message);
        bool good;
        if (algorithm == "ES256")
        {
            var point = new ECPoint { X = Part("x"), Y = Part("y") };
            using var ec = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = point });
            good = signature.Length == 64 && ec.VerifyData(octets, signature, HashAlgorithmName.SHA256);
        }
        else
        {
            Need(algorithm == "RS256", "this algorithm is not known");
            using var rsa = RSA.Create(new RSAParameters { Modulus = Part("n"), Exponent = Part("e") });
            good = rsa.VerifyData(octets, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        }
        Need(good, "the signature does not verify");
    }

    [GeneratedRegex("""\Acloister=(\("@method" "@authority" "@path" "@query" "x-cloister-assertion"( "content-digest")?\);created=([0-9]{1,12});expires=([0-9]{1,12});nonce="([0-9a-f]{32})";keyid="([A-Za-z0-9_.:/-]{1,64})";tag="cloister-v1")\z""")]
    private static partial Regex Input();

    [GeneratedRegex(@"\Acloister=:([A-Za-z0-9+/]+={0,2}):\z")]
    private static partial Regex Sealed();

    [GeneratedRegex(@"\A[A-Za-z0-9_-]+\z")]
    private static partial Regex Word();
}
