package cloister

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

type vectors struct {
	Now              int64
	Issuer, Audience string
	Secrets          map[string]string
	Settings         map[string]struct {
		Algorithm, Binding, Signature string
		Digest                        bool
	}
	Cases []struct {
		Name, Verdict, Why, Settings string
		Requests                     []struct {
			Method, Authority, Target, Body string
			Headers                         [][2]string
		}
	}
}

// Runs the verifier against the vectors: VECTORS names their folder, KEYS the URL that serves the folder's key sets.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile(os.Getenv("VECTORS") + "/requests.json")
	if err != nil {
		t.Fatal(err)
	}
	var file vectors
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	base, passed, failed := os.Getenv("KEYS"), 0, 0
	keys := &Keys{URL: base + "/jwks.json", AgainAfter: time.Minute}
	signatureKeys := &Keys{URL: base + "/signature-keys.json", AgainAfter: time.Minute}
	secrets := map[string][]byte{}
	for name, text := range file.Secrets {
		secrets[name] = []byte(text)
	}
	for _, one := range file.Cases {
		s := file.Settings[one.Settings]
		v := Verifier{Issuer: file.Issuer, Audience: file.Audience, Keys: keys, Algorithm: s.Algorithm, Binding: s.Binding, Digest: s.Digest}
		switch s.Signature {
		case "hmac-sha256":
			v.Secrets = secrets
		case "ecdsa-p256-sha256":
			v.SignatureKeys, v.SignatureAlgorithm = signatureKeys, "ES256"
		case "ed25519":
			v.SignatureKeys, v.SignatureAlgorithm = signatureKeys, "EdDSA"
		}
		good := true
		for i, r := range one.Requests {
			request := Request{r.Method, r.Authority, r.Target, map[string][]string{}, []byte(r.Body)}
			for _, field := range r.Headers {
				name := strings.ToLower(field[0])
				request.Header[name] = append(request.Header[name], field[1])
			}
			_, err := v.Verify(request, file.Now)
			expected := i < len(one.Requests)-1 || one.Verdict == "accept"
			good = good && (err == nil) == expected
		}
		if good {
			passed++
		} else {
			failed++
			t.Errorf("%s: it should %s: %s", one.Name, one.Verdict, one.Why)
		}
	}
	t.Logf("%d passed, %d failed", passed, failed)
}
