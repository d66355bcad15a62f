// Runs the verifier against the vectors: java Vectors FOLDER BASE-URL, where the URL serves the folder's key sets.
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.*;

public final class Vectors {
    public static void main(String[] arguments) throws Exception {
        Map<String, Object> file = Cloister.Json.object(Files.readAllBytes(Path.of(arguments[0], "requests.json")));
        var keys = new Cloister.Keys(arguments[1] + "/jwks.json", Duration.ofMinutes(1));
        var signatureKeys = new Cloister.Keys(arguments[1] + "/signature-keys.json", Duration.ofMinutes(1));
        Map<String, byte[]> secrets = new HashMap<>();
        map(file.get("secrets")).forEach((name, text) -> secrets.put((String) name, bytes(text)));
        int passed = 0, failed = 0;
        for (Object entry : (List<?>) file.get("cases")) {
            Map<?, ?> one = map(entry), how = map(map(file.get("settings")).get(one.get("settings")));
            String signature = (String) how.get("signature");
            boolean hmac = "hmac-sha256".equals(signature);
            var verifier = new Cloister(new Cloister.Settings((String) file.get("issuer"), (String) file.get("audience"), keys,
                (String) how.get("algorithm"), (String) how.get("binding"), hmac ? secrets : null,
                signature == null || hmac ? null : signatureKeys, "ed25519".equals(signature) ? "EdDSA" : "ES256",
                (Boolean) how.get("digest")));
            List<String> verdicts = new ArrayList<>();
            for (Object request : (List<?>) one.get("requests")) verdicts.add(verdict(verifier, map(request), (Long) file.get("now")));
            String last = verdicts.remove(verdicts.size() - 1);
            if (last.equals(one.get("verdict")) && !verdicts.contains("refuse")) {
                passed++;
            } else {
                failed++;
                System.err.println(one.get("name") + ": it should " + one.get("verdict") + ": " + one.get("why"));
            }
        }
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(failed > 0 ? 1 : 0);
    }

    private static String verdict(Cloister verifier, Map<?, ?> request, long now) {
        Map<String, List<String>> headers = new HashMap<>();
        for (Object field : (List<?>) request.get("headers")) {
            String name = ((String) ((List<?>) field).get(0)).toLowerCase(Locale.ROOT);
            headers.computeIfAbsent(name, unused -> new ArrayList<>()).add((String) ((List<?>) field).get(1));
        }
        try {
            verifier.verify((String) request.get("method"), (String) request.get("authority"), (String) request.get("target"),
                headers, bytes(request.get("body")), now);
            return "accept";
        } catch (Cloister.Refused refused) {
            return "refuse";
        }
    }

    private static Map<?, ?> map(Object value) { return (Map<?, ?>) value; }

    private static byte[] bytes(Object text) { return ((String) text).getBytes(StandardCharsets.UTF_8); }
}
