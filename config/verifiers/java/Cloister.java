// Verifies that a request has come through Cloister, and says who asks. The rules: tests/vectors/README.md.
// Java 17 or later, no dependency. Call Cloister.verify from a servlet filter; README.md shows one.
import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.*;
import java.time.Duration;
import java.util.*;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public final class Cloister {
    /** The request is not what it says it is. Answer 401 and log why; do not tell the client. */
    public static final class Refused extends Exception {
        public Refused(String why) { super(why); }
    }

    /** Finds a published key (RFC 7517) by its name; null if there is none. */
    public interface KeySource { Map<?, ?> find(String kid); }

    /** How requests are signed. With `binding` "reuse": `secrets` by keyid, or `signatureKeys` and `signatureAlgorithm`. */
    public record Settings(String issuer, String audience, KeySource keys, String algorithm, String binding,
                           Map<String, byte[]> secrets, KeySource signatureKeys, String signatureAlgorithm, boolean digest) {}

    private static final Pattern TOKEN = Pattern.compile("([A-Za-z0-9_-]+)\\.([A-Za-z0-9_-]+)\\.([A-Za-z0-9_-]+)");
    private static final Pattern INPUT = Pattern.compile(
        "cloister=(\\(\"@method\" \"@authority\" \"@path\" \"@query\" \"x-cloister-assertion\"( \"content-digest\")?\\)"
        + ";created=([0-9]{1,12});expires=([0-9]{1,12});nonce=\"([0-9a-f]{32})\";keyid=\"([A-Za-z0-9_.:/-]{1,64})\";tag=\"cloister-v1\")");
    private static final Pattern SEALED = Pattern.compile("cloister=:([A-Za-z0-9+/]+={0,2}):");

    private final Settings settings;
    private Set<String> nonces = new HashSet<>(), before = new HashSet<>();
    private long swapAt;

    public Cloister(Settings settings) {
        boolean signed = settings.binding().equals("reuse") || settings.digest();
        if (signed && (settings.secrets() == null) == (settings.signatureKeys() == null))
            throw new IllegalArgumentException("secrets or signatureKeys");
        this.settings = settings;
    }

    /** `target` is path and query as they came, not decoded; names of `headers` are in lower case. Gives the claims. */
    public Map<String, Object> verify(String method, String authority, String target, Map<String, List<String>> headers,
                                      byte[] body, long now) throws Refused {
        try {
            int mark = target.indexOf('?');
            String path = mark < 0 ? target : target.substring(0, mark), query = mark < 0 ? "?" : target.substring(mark);
            String token = one(headers, "x-cloister-assertion");
            Map<String, Object> claims = assertion(token, method, path, now);
            Map<String, Object> told = new HashMap<>();
            List<?> roles = (List<?>) claims.get("roles");
            told.put("x-tenant-id", claims.get("tenant"));
            told.put("x-user-id", claims.get("sub"));
            told.put("x-roles", roles.isEmpty() ? null : String.join(",", roles.toArray(String[]::new)));
            if (claims.get("fields") != null) ((Map<?, ?>) claims.get("fields")).forEach((name, value) -> told.put((String) name, value));
            for (var field : told.entrySet()) {
                List<?> want = field.getValue() == null ? List.of() : List.of(field.getValue());
                need(headers.getOrDefault(field.getKey(), List.of()).equals(want), field.getKey() + " is not what was signed");
            }
            if (settings.binding().equals("reuse") || settings.digest())
                request(headers, token, method, authority, path, query, body, now);
            return claims;
        } catch (GeneralSecurityException | RuntimeException error) {
            throw new Refused("malformed: " + error.getMessage());
        }
    }

    private static void need(boolean so, String why) throws Refused {
        if (!so) throw new Refused(why);
    }

    private static String one(Map<String, List<String>> headers, String name) throws Refused {
        List<String> values = headers.getOrDefault(name, List.of());
        need(values.size() == 1, name + " must stand there once");
        return values.get(0);
    }

    private static byte[] unbase64url(Object text) throws Refused {
        byte[] octets = Base64.getUrlDecoder().decode((String) text);
        need(Base64.getUrlEncoder().withoutPadding().encodeToString(octets).equals(text), "not canonical base64url");
        return octets;
    }

    private Map<String, Object> assertion(String token, String method, String path, long now)
            throws Refused, GeneralSecurityException {
        Matcher parts = TOKEN.matcher(token);
        need(token.length() <= 16384 && parts.matches(), "not three parts");
        Map<String, Object> header = Json.object(unbase64url(parts.group(1)));
        need(settings.algorithm().equals(header.get("alg")) && "cloister+jwt".equals(header.get("typ")), "header");
        need(!header.containsKey("crit") && header.get("kid") instanceof String, "header");
        Map<?, ?> key = settings.keys().find((String) header.get("kid"));
        checkSignature(key, settings.algorithm(), parts.group(1) + "." + parts.group(2), unbase64url(parts.group(3)));
        Map<String, Object> claims = Json.object(unbase64url(parts.group(2)));
        need(settings.issuer().equals(claims.get("iss")) && settings.audience().equals(claims.get("aud")), "not from there, or not for us");
        for (String name : List.of("sub", "idp", "tenant", "jti")) need(claims.get(name) instanceof String, "who");
        need(claims.get("roles") instanceof List<?> roles && roles.stream().allMatch(String.class::isInstance), "roles");
        need(claims.get("iat") instanceof Long && claims.get("exp") instanceof Long, "dates");
        long issued = (Long) claims.get("iat"), expires = (Long) claims.get("exp");
        need(issued < expires && expires - issued <= 60, "too long a life");
        need(issued <= now + 5 && now < expires + 5, "not now");
        boolean each = settings.binding().equals("per_request");
        need(Objects.equals(claims.get("htm"), each ? method : null), "another request");
        need(Objects.equals(claims.get("htu"), each ? path : null), "another request");
        return claims;
    }

    private void request(Map<String, List<String>> headers, String token, String method, String authority, String path,
                         String query, byte[] body, long now) throws Refused, GeneralSecurityException {
        Matcher put = INPUT.matcher(one(headers, "signature-input")), mac = SEALED.matcher(one(headers, "signature"));
        need(put.matches() && mac.matches(), "not the signature that was agreed on");
        byte[] octets = Base64.getDecoder().decode(mac.group(1));
        need(Base64.getEncoder().encodeToString(octets).equals(mac.group(1)), "not canonical base64");
        long created = Long.parseLong(put.group(3)), expires = Long.parseLong(put.group(4));
        need(Math.abs(created - now) <= 30 && now < expires && expires <= created + 60, "not now");
        StringBuilder base = new StringBuilder();
        String[][] lines = {{"@method", method}, {"@authority", authority.toLowerCase(Locale.ROOT)}, {"@path", path},
            {"@query", query}, {"x-cloister-assertion", token}};
        for (String[] line : lines) base.append('"').append(line[0]).append("\": ").append(line[1]).append('\n');
        need(put.group(2) != null || !settings.digest(), "the body is not covered");
        if (put.group(2) != null) {
            byte[] sum = MessageDigest.getInstance("SHA-256").digest(body);
            String digest = one(headers, "content-digest");
            need(digest.equals("sha-256=:" + Base64.getEncoder().encodeToString(sum) + ":"), "another body");
            base.append("\"content-digest\": ").append(digest).append('\n');
        }
        base.append("\"@signature-params\": ").append(put.group(1));
        if (settings.secrets() != null) {
            byte[] secret = settings.secrets().get(put.group(6));
            need(secret != null, "the key is not known");
            Mac want = Mac.getInstance("HmacSHA256");
            want.init(new SecretKeySpec(secret, "HmacSHA256"));
            byte[] sum = want.doFinal(base.toString().getBytes(StandardCharsets.ISO_8859_1));
            need(MessageDigest.isEqual(sum, octets), "the signature does not verify");
        } else {
            checkSignature(settings.signatureKeys().find(put.group(6)), settings.signatureAlgorithm(), base.toString(), octets);
        }
        remember(put.group(5), now);
    }

    private synchronized void remember(String nonce, long now) throws Refused {
        if (now >= swapAt) { // a nonce is remembered for 90 s at least, which no signature outlives
            before = nonces;
            nonces = new HashSet<>();
            swapAt = now + 90;
        }
        need(!before.contains(nonce) && nonces.add(nonce), "seen before");
    }

    private static void checkSignature(Map<?, ?> key, String algorithm, String message, byte[] octets)
            throws Refused, GeneralSecurityException {
        need(key != null && algorithm.equals(key.get("alg")), "the key is not known");
        need(!algorithm.equals("ES256") || octets.length == 64, "not r and s");
        Signature verifier = Signature.getInstance(switch (algorithm) {
            case "ES256" -> "SHA256withECDSAinP1363Format";
            case "RS256" -> "SHA256withRSA";
            case "EdDSA" -> "Ed25519";
            default -> throw new Refused("this algorithm is not known");
        });
        verifier.initVerify(publicKey(key, algorithm));
        verifier.update(message.getBytes(StandardCharsets.ISO_8859_1));
        boolean good;
        try {
            good = verifier.verify(octets);
        } catch (GeneralSecurityException error) {
            good = false;
        }
        need(good, "the signature does not verify");
    }

    private static PublicKey publicKey(Map<?, ?> key, String algorithm) throws Refused, GeneralSecurityException {
        switch (algorithm) {
            case "ES256": {
                AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
                curve.init(new ECGenParameterSpec("secp256r1"));
                ECPoint point = new ECPoint(number(key.get("x")), number(key.get("y")));
                return KeyFactory.getInstance("EC").generatePublic(new ECPublicKeySpec(point, curve.getParameterSpec(ECParameterSpec.class)));
            }
            case "RS256":
                return KeyFactory.getInstance("RSA").generatePublic(new RSAPublicKeySpec(number(key.get("n")), number(key.get("e"))));
            default: {
                byte[] octets = unbase64url(key.get("x")), head = HexFormat.of().parseHex("302a300506032b6570032100"); // RFC 8410
                byte[] whole = Arrays.copyOf(head, head.length + octets.length);
                System.arraycopy(octets, 0, whole, head.length, octets.length);
                return KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(whole));
            }
        }
    }

    private static BigInteger number(Object text) throws Refused {
        return new BigInteger(1, unbase64url(text));
    }

    /** The published keys of the gateway, kept for as long as it says. */
    public static final class Keys implements KeySource {
        private final URI url;
        private final Duration againAfter;
        private final HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
        private Map<String, Map<?, ?>> keys = Map.of();
        private long until = System.nanoTime(), askAgain = System.nanoTime();

        public Keys(String url) { this(url, Duration.ofSeconds(10)); }

        public Keys(String url, Duration againAfter) {
            this.url = URI.create(url);
            this.againAfter = againAfter;
        }

        @Override public synchronized Map<?, ?> find(String kid) {
            long now = System.nanoTime();
            // A name that is not known may be that of a new key; made-up ones must not make us ask all the time.
            if ((now - until >= 0 || !keys.containsKey(kid)) && now - askAgain >= 0) {
                askAgain = now + againAfter.toNanos();
                try {
                    var request = HttpRequest.newBuilder(url).timeout(Duration.ofSeconds(5)).build();
                    var answer = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
                    Map<String, Map<?, ?>> found = new HashMap<>();
                    for (Object key : (List<?>) Json.object(answer.body()).get("keys"))
                        found.put((String) ((Map<?, ?>) key).get("kid"), (Map<?, ?>) key);
                    Matcher age = Pattern.compile("max-age=([0-9]{1,9})").matcher(answer.headers().firstValue("cache-control").orElse(""));
                    keys = found;
                    until = now + Duration.ofSeconds(age.find() ? Long.parseLong(age.group(1)) : 60).toNanos();
                } catch (java.io.IOException | RuntimeException error) {
                    // those that are known serve on
                } catch (InterruptedException error) {
                    Thread.currentThread().interrupt();
                }
            }
            return keys.get(kid);
        }
    }

    /** JSON (RFC 8259), as far as signed documents need it. Whole numbers are Long, others are refused. */
    static final class Json {
        private final String text;
        private int at;

        private Json(String text) { this.text = text; }

        @SuppressWarnings("unchecked")
        static Map<String, Object> object(byte[] octets) {
            Json json = new Json(new String(octets, StandardCharsets.UTF_8));
            Object value = json.value(0);
            json.space();
            if (json.at != json.text.length()) throw json.wrong();
            return (Map<String, Object>) value;
        }

        private Object value(int depth) {
            if (depth > 16) throw wrong();
            space();
            char first = text.charAt(at);
            if (first == '"') return string();
            if (first == '{' || first == '[') {
                Map<String, Object> members = new LinkedHashMap<>();
                List<Object> items = new ArrayList<>();
                char last = first == '{' ? '}' : ']';
                at++;
                for (space(); text.charAt(at) != last; ) {
                    if (first == '{') {
                        String name = string();
                        expect(':');
                        if (members.put(name, value(depth + 1)) != null) throw wrong();
                    } else {
                        items.add(value(depth + 1));
                    }
                    space();
                    if (text.charAt(at) != last) expect(',');
                    space();
                }
                at++;
                return first == '{' ? members : items;
            }
            for (var word : new Object[][] {{"true", true}, {"false", false}, {"null", null}})
                if (text.startsWith((String) word[0], at)) {
                    at += ((String) word[0]).length();
                    return word[1];
                }
            int from = at;
            while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) at++;
            return Long.valueOf(text.substring(from, at));
        }

        private String string() {
            if (text.charAt(at++) != '"') throw wrong();
            StringBuilder out = new StringBuilder();
            for (char c; (c = text.charAt(at++)) != '"'; ) {
                if (c < ' ') throw wrong();
                if (c != '\\') {
                    out.append(c);
                } else if ((c = text.charAt(at++)) == 'u') {
                    out.append((char) Integer.parseInt(text.substring(at, at += 4), 16));
                } else {
                    int known = "\"\\/bfnrt".indexOf(c);
                    if (known < 0) throw wrong();
                    out.append("\"\\/\b\f\n\r\t".charAt(known));
                }
            }
            return out.toString();
        }

        private void expect(char c) {
            space();
            if (text.charAt(at++) != c) throw wrong();
        }

        private void space() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
        }

        private IllegalArgumentException wrong() { return new IllegalArgumentException("not json at " + at); }
    }
}
