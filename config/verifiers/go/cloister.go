// Package cloister verifies that a request has come through Cloister, and says who asks. The rules: tests/vectors/README.md.
// Go 1.19 or later, standard library alone. Use Verifier.Middleware, or call Verifier.Verify yourself.
package cloister

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	input = regexp.MustCompile(`\Acloister=(\("@method" "@authority" "@path" "@query" "x-cloister-assertion"( "content-digest")?\)` +
		`;created=(\d{1,12});expires=(\d{1,12});nonce="([0-9a-f]{32})";keyid="([A-Za-z0-9_.:/-]{1,64})";tag="cloister-v1")\z`)
	sealed  = regexp.MustCompile(`\Acloister=:([A-Za-z0-9+/]+={0,2}):\z`)
	maxAge  = regexp.MustCompile(`max-age=(\d{1,9})`)
	base64u = base64.RawURLEncoding.Strict()
	base64s = base64.StdEncoding.Strict()
)

// Claims say who asks.
type Claims struct {
	Issuer   string            `json:"iss"`
	Audience string            `json:"aud"`
	Subject  *string           `json:"sub"`
	Provider *string           `json:"idp"`
	Tenant   *string           `json:"tenant"`
	ID       *string           `json:"jti"`
	Roles    []string          `json:"roles"`
	IssuedAt *int64            `json:"iat"`
	Expires  *int64            `json:"exp"`
	Method   *string           `json:"htm"`
	Path     *string           `json:"htu"`
	Fields   map[string]string `json:"fields"`
	ACR      string            `json:"acr"`
	AMR      []string          `json:"amr"`
	AuthTime int64             `json:"auth_time"`
}

// Key is a published key (RFC 7517).
type Key struct{ Kid, Alg, Kty, Crv, X, Y, N, E string }

// KeySource finds a published key by its name; nil if there is none.
type KeySource interface{ Find(kid string) *Key }

// Keys are the published keys of the gateway, kept for as long as it says.
type Keys struct {
	URL        string
	AgainAfter time.Duration
	mutex      sync.Mutex
	keys       map[string]Key
	until      time.Time
	asked      time.Time
}

func (k *Keys) Find(kid string) *Key {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	_, known := k.keys[kid]
	again := k.AgainAfter
	if again == 0 {
		again = 10 * time.Second
	}
	// A name that is not known may be that of a new key; made-up ones must not make us ask all the time.
	if (!known || time.Now().After(k.until)) && time.Since(k.asked) >= again {
		k.asked = time.Now()
		if err := k.fetch(); err != nil {
			log.Printf("cloister: the keys cannot be fetched, those that are known serve on: %v", err)
		}
	}
	if key, known := k.keys[kid]; known {
		return &key
	}
	return nil
}

func (k *Keys) fetch() error {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(k.URL)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var set struct{ Keys []Key }
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&set); err != nil || answer.StatusCode != 200 {
		return fmt.Errorf("status %d: %v", answer.StatusCode, err)
	}
	keys, age := map[string]Key{}, 60
	for _, key := range set.Keys {
		keys[key.Kid] = key
	}
	if found := maxAge.FindStringSubmatch(answer.Header.Get("Cache-Control")); found != nil {
		age, _ = strconv.Atoi(found[1])
	}
	k.keys, k.until = keys, time.Now().Add(time.Duration(age)*time.Second)
	return nil
}

// Verifier knows what requests must have. With Binding "reuse": Secrets (by keyid) for HMAC, or SignatureKeys and
// SignatureAlgorithm.
type Verifier struct {
	Issuer, Audience   string
	Keys               KeySource
	Algorithm          string // ES256, RS256, EdDSA
	Binding            string // per_request, reuse
	Secrets            map[string][]byte
	SignatureKeys      KeySource
	SignatureAlgorithm string
	Digest             bool // whether bodies must be covered

	mutex          sync.Mutex
	nonces, before map[string]bool
	swapAt         int64
}

// Request is what came: Target is path and query, not decoded.
type Request struct {
	Method, Authority, Target string
	Header                    map[string][]string // names in lower case
	Body                      []byte
}

// Verify gives the claims, or says why the request is not what it says it is: answer 401 then, and log why.
func (v *Verifier) Verify(r Request, now int64) (*Claims, error) {
	token, err := one(r, "x-cloister-assertion")
	if err != nil {
		return nil, err
	}
	path, query, _ := strings.Cut(r.Target, "?")
	claims, err := v.assertion(token, r.Method, path, now)
	if err != nil {
		return nil, err
	}
	told := map[string]string{"x-tenant-id": *claims.Tenant, "x-user-id": *claims.Subject, "x-roles": strings.Join(claims.Roles, ",")}
	for name, value := range claims.Fields {
		told[name] = value
	}
	for name, value := range told {
		absent := name == "x-roles" && value == ""
		if got := r.Header[name]; absent && len(got) != 0 || !absent && (len(got) != 1 || got[0] != value) {
			return nil, fmt.Errorf("%s is not what was signed", name)
		}
	}
	if v.Binding == "reuse" || v.Digest {
		if err := v.request(r, token, path, "?"+query, now); err != nil {
			return nil, err
		}
	}
	return claims, nil
}

func one(r Request, name string) (string, error) {
	if len(r.Header[name]) != 1 {
		return "", fmt.Errorf("%s must stand there once", name)
	}
	return r.Header[name][0], nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *Verifier) assertion(token, method, path string, now int64) (*Claims, error) {
	parts := strings.Split(token, ".")
	if len(token) > 16384 || len(parts) != 3 || strings.ContainsAny(token, "\r\n") {
		return nil, errors.New("not three parts")
	}
	var header map[string]any
	var claims Claims
	head, err1 := base64u.DecodeString(parts[0])
	payload, err2 := base64u.DecodeString(parts[1])
	signature, err3 := base64u.DecodeString(parts[2])
	if err := first(err1, err2, err3, json.Unmarshal(head, &header)); err != nil {
		return nil, err
	}
	kid, named := header["kid"].(string)
	if _, critical := header["crit"]; header["alg"] != v.Algorithm || header["typ"] != "cloister+jwt" || !named || critical {
		return nil, errors.New("header")
	}
	if err := checkSignature(v.Keys.Find(kid), v.Algorithm, parts[0]+"."+parts[1], signature); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, err
	}
	c := claims
	switch {
	case c.Issuer != v.Issuer || c.Audience != v.Audience:
		return nil, errors.New("not from there, or not for us")
	case c.Subject == nil || c.Provider == nil || c.Tenant == nil || c.ID == nil || c.Roles == nil:
		return nil, errors.New("who")
	case c.IssuedAt == nil || c.Expires == nil || *c.Expires <= *c.IssuedAt || *c.Expires-*c.IssuedAt > 60:
		return nil, errors.New("too long a life")
	case *c.IssuedAt > now+5 || now >= *c.Expires+5:
		return nil, errors.New("not now")
	case v.Binding == "per_request" && (c.Method == nil || c.Path == nil || *c.Method != method || *c.Path != path),
		v.Binding != "per_request" && (c.Method != nil || c.Path != nil):
		return nil, errors.New("another request")
	}
	return &claims, nil
}

func (v *Verifier) request(r Request, token, path, query string, now int64) error {
	in, err1 := one(r, "signature-input")
	mac, err2 := one(r, "signature")
	if err := first(err1, err2); err != nil {
		return err
	}
	put, seal := input.FindStringSubmatch(in), sealed.FindStringSubmatch(mac)
	if put == nil || seal == nil {
		return errors.New("not the signature that was agreed on")
	}
	octets, err := base64s.DecodeString(seal[1])
	if err != nil {
		return err
	}
	created, _ := strconv.ParseInt(put[3], 10, 64)
	expires, _ := strconv.ParseInt(put[4], 10, 64)
	if created-now > 30 || now-created > 30 || now >= expires || expires > created+60 {
		return errors.New("not now")
	}
	base := fmt.Sprintf("\"@method\": %s\n\"@authority\": %s\n\"@path\": %s\n\"@query\": %s\n\"x-cloister-assertion\": %s\n",
		r.Method, strings.ToLower(r.Authority), path, query, token)
	if put[2] != "" {
		sum := sha256.Sum256(r.Body)
		digest, err := one(r, "content-digest")
		if err != nil || digest != "sha-256=:"+base64s.EncodeToString(sum[:])+":" {
			return errors.New("another body")
		}
		base += "\"content-digest\": " + digest + "\n"
	} else if v.Digest {
		return errors.New("the body is not covered")
	}
	base += "\"@signature-params\": " + put[1]
	if v.Secrets != nil {
		secret, known := v.Secrets[put[6]]
		want := hmac.New(sha256.New, secret)
		want.Write([]byte(base))
		if !known || !hmac.Equal(want.Sum(nil), octets) {
			return errors.New("the signature does not verify")
		}
	} else if v.SignatureKeys == nil {
		return errors.New("nothing to verify the signature with")
	} else if err := checkSignature(v.SignatureKeys.Find(put[6]), v.SignatureAlgorithm, base, octets); err != nil {
		return err
	}
	v.mutex.Lock()
	defer v.mutex.Unlock()
	if now >= v.swapAt { // a nonce is remembered for 90 s at least, which no signature outlives
		v.before, v.nonces, v.swapAt = v.nonces, map[string]bool{}, now+90
	}
	if v.nonces[put[5]] || v.before[put[5]] {
		return errors.New("seen before")
	}
	v.nonces[put[5]] = true
	return nil
}

func checkSignature(key *Key, algorithm, message string, signature []byte) error {
	if key == nil || key.Alg != algorithm {
		return errors.New("the key is not known")
	}
	number := func(text string) *big.Int {
		octets, _ := base64u.DecodeString(text)
		return new(big.Int).SetBytes(octets)
	}
	sum, good := sha256.Sum256([]byte(message)), false
	switch algorithm {
	case "ES256":
		if len(signature) == 64 {
			public := ecdsa.PublicKey{Curve: elliptic.P256(), X: number(key.X), Y: number(key.Y)}
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			good = public.Curve.IsOnCurve(public.X, public.Y) && ecdsa.Verify(&public, sum[:], r, s)
		}
	case "RS256":
		public := rsa.PublicKey{N: number(key.N), E: int(number(key.E).Int64())}
		good = rsa.VerifyPKCS1v15(&public, crypto.SHA256, sum[:], signature) == nil
	case "EdDSA":
		if public, err := base64u.DecodeString(key.X); err == nil && len(public) == ed25519.PublicKeySize {
			good = ed25519.Verify(public, []byte(message), signature)
		}
	}
	if !good {
		return errors.New("the signature does not verify")
	}
	return nil
}

type claimsKey struct{}

// From gives the claims of a request that has come through the middleware.
func From(ctx context.Context) *Claims { claims, _ := ctx.Value(claimsKey{}).(*Claims); return claims }

// Middleware lets requests pass that verify, with their claims in the context.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := Request{Method: r.Method, Authority: r.Host, Target: r.RequestURI, Header: map[string][]string{}}
		for name, values := range r.Header {
			request.Header[strings.ToLower(name)] = values
		}
		if v.Digest {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
			if err != nil {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				return
			}
			request.Body, r.Body = body, io.NopCloser(bytes.NewReader(body))
		}
		claims, err := v.Verify(request, time.Now().Unix())
		if err != nil {
			log.Printf("cloister: refused: %v", err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims)))
	})
}
