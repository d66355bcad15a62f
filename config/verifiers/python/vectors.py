"""Runs the verifier against the vectors: vectors.py FOLDER BASE-URL, where the URL serves the folder's key sets."""
import json, sys

from cloister import Keys, Refused, Verifier

folder, base = sys.argv[1:3]
file = json.load(open(f"{folder}/requests.json", encoding="utf-8"))
keys, signature_keys = Keys(f"{base}/jwks.json", again_after=60), Keys(f"{base}/signature-keys.json", again_after=60)
secrets = {name: text.encode() for name, text in file["secrets"].items()}
passed = failed = 0
for case in file["cases"]:
    settings = file["settings"][case["settings"]]
    how = settings["signature"]
    verifier = Verifier(file["issuer"], file["audience"], keys, settings["algorithm"], settings["binding"],
                        secrets if how == "hmac-sha256" else None, None if how in (None, "hmac-sha256") else signature_keys,
                        {"ecdsa-p256-sha256": "ES256", "ed25519": "EdDSA"}.get(how), settings["digest"])
    verdicts = []
    for request in case["requests"]:
        try:
            verifier.verify(request["method"], request["authority"], request["target"], request["headers"],
                            request["body"].encode(), file["now"])
            verdicts.append("accept")
        except Refused:
            verdicts.append("refuse")
    if verdicts == ["accept"] * (len(verdicts) - 1) + [case["verdict"]]:
        passed += 1
    else:
        failed += 1
        print(f"{case['name']}: {verdicts}, but {case['why']}", file=sys.stderr)
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
