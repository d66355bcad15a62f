// An auditor of its own mind: checks a log in the layout of C2SP tlog-tiles with Go's sumdb/note and sumdb/tlog, which
// share no code with the gateway.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run main.go FOLDER POLICY [RECEIPT RECORD]...
//	GO111MODULE=off GOPATH=/usr/share/gocode go run main.go --pruned FOLDER POLICY [RECEIPT RECORD]...
//	GO111MODULE=off GOPATH=/usr/share/gocode go run main.go --bundle FOLDER POLICY
//	GO111MODULE=off GOPATH=/usr/share/gocode go run main.go --witnesses FOLDER POLICY
//
// FOLDER is that of the log (`tlog`), or of a report with its proofs. POLICY holds `log <public key>`, of any key that the log
// has had: `keys` in FOLDER shows how it came to the one of today. Every entry is hashed, every tile compared, the
// root must be that of the signed checkpoint, and each receipt must show its record. Of a log whose oldest entries are gone, as
// their time was over (`--pruned`), the tiles say what their hashes were.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

func main() {
	if len(os.Args) == 4 && os.Args[1] == "--bundle" {
		checkBundle(os.Args[2], follow(os.Args[2], keysOf(os.Args[3])))
		return
	}
	if len(os.Args) == 4 && os.Args[1] == "--witnesses" {
		checkWitnesses(os.Args[2], os.Args[3], keysOf(os.Args[3]))
		return
	}
	args := os.Args[1:]
	pruned := len(args) > 0 && args[0] == "--pruned"
	if pruned {
		args = args[1:]
	}
	if len(args) < 2 || len(args)%2 == 1 {
		fail("usage: FOLDER POLICY [RECEIPT RECORD]...")
	}
	folder := args[0]
	keys := follow(folder, keysOf(args[1]))
	checkpoint := open(read(filepath.Join(folder, "checkpoint")), keys)
	tree := checkTree(folder, checkpoint, pruned)
	for at := 2; at < len(args); at += 2 {
		checkReceipt(string(read(args[at])), read(args[at+1]), keys)
	}
	fmt.Printf("%d entries, %d tiles, root %s\n", checkpoint.size, tree, checkpoint.root)
}

type head struct {
	size int64
	root tlog.Hash
}

// key is one of a log. If it was retired, it signs for so many entries at most.
type key struct {
	note.Verifier
	text string
	most int64
}

func keyOf(text string) *key {
	verifier, err := note.NewVerifier(text)
	check(err)
	return &key{verifier, text, math.MaxInt64}
}

func keysOf(policy string) (keys []*key) {
	for _, line := range strings.Split(string(read(policy)), "\n") {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "log" {
			keys = append(keys, keyOf(words[1]))
		}
	}
	if keys == nil {
		fail("the policy names no log")
	}
	return keys
}

func listOf(keys []*key) (list []note.Verifier) {
	for _, key := range keys {
		list = append(list, key)
	}
	return list
}

// follow finds the keys that those have vouched for: each receipt in `keys` has a record in its `extra` line.
func follow(folder string, keys []*key) []*key {
	paths, err := filepath.Glob(filepath.Join(folder, "keys", "*.tlog-proof"))
	check(err)
	index := func(path string) int64 {
		number, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(path), ".tlog-proof"), 10, 64)
		check(err)
		return number
	}
	sort.Slice(paths, func(i, j int) bool { return index(paths[i]) < index(paths[j]) })
	for _, path := range paths {
		lines := strings.SplitN(string(read(path)), "\n", 3)
		record, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
		check(err)
		var said struct{ Kind, Old_key, New_key string }
		check(json.Unmarshal(record, &said))
		known := map[string]*key{}
		for _, key := range keys {
			known[key.text] = key
		}
		old, new := known[said.Old_key], known[said.New_key]
		receipt := lines[0] + "\n" + lines[2]
		if said.Kind == "key.rotated" && old != nil && new == nil {
			checkReceipt(receipt, record, []*key{old})
			keys = append(keys, keyOf(said.New_key))
		} else if said.Kind == "key.retired" && old != nil && new != nil {
			checkReceipt(receipt, record, []*key{new})
			old.most = index(path)
		} else if said.Kind != "key.rotated" && said.Kind != "key.retired" {
			fail("%s is not about a key", path)
		}
	}
	return keys
}

// open believes a checkpoint if its log has signed it, with a key that was not retired before.
func open(text []byte, keys []*key) head {
	signed, err := note.Open(text, note.VerifierList(listOf(keys)...))
	check(err)
	lines := strings.Split(signed.Text, "\n")
	if len(lines) < 4 {
		fail("this is no checkpoint")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	believed := false
	for _, signature := range signed.Sigs {
		for _, key := range keys {
			if signature.Name == key.Name() && signature.Hash == key.KeyHash() && lines[0] == key.Name() {
				believed = believed || size <= key.most
			}
		}
	}
	if !believed {
		fail("the checkpoint is of another log, or signed by a key that was retired")
	}
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return head{size, root}
}

// witness verifies a cosignature/v1 (C2SP tlog-cosignature) of one of the policy's witnesses.
type witness struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.id }
func (w witness) Verify(message, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(signature)
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, message)
	return ed25519.Verify(w.key, []byte(signed), signature[8:])
}

// checkWitnesses counts the policy's witnesses that have signed a checkpoint, beside its log.
func checkWitnesses(folder, policy string, logs []*key) {
	verifiers := listOf(logs)[:1]
	for _, line := range strings.Split(string(read(policy)), "\n") {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "witness" {
			continue
		}
		parts := strings.SplitN(words[2], "+", 3)
		key, err := base64.StdEncoding.DecodeString(parts[2])
		check(err)
		hash := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
		if key[0] != 4 || fmt.Sprintf("%x", hash[:4]) != parts[1] {
			fail("this is not the key of a witness: %s", words[2])
		}
		verifiers = append(verifiers, witness{parts[0], binary.BigEndian.Uint32(hash[:]), key[1:]})
	}
	signed, err := note.Open(read(filepath.Join(folder, "checkpoint.witnessed")), note.VerifierList(verifiers...))
	check(err)
	fmt.Printf("%d of %d witnesses have signed\n", len(signed.Sigs)-1, len(verifiers)-1)
}

// hashes are all that the tree has, by their place in Go's order.
type hashes []tlog.Hash

func (h hashes) ReadHashes(places []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(places))
	for i, place := range places {
		found[i] = h[place]
	}
	return found, nil
}

// checkTree makes the tree again of the entries, and of the tiles where the oldest ones may be gone.
func checkTree(folder string, checkpoint head, pruned bool) int {
	var all hashes
	for index := int64(0); index < checkpoint.size; index++ {
		if path := bundlePath(folder, index/256, checkpoint.size); pruned && index%256 == 0 {
			if _, err := os.Stat(path); err != nil && checkpoint.size-index > 256 {
				tile := read(tilePath(folder, tlog.Tile{H: height, L: 0, N: index / 256, W: 256}))
				for ; len(tile) >= tlog.HashSize; tile = tile[tlog.HashSize:] {
					var hash tlog.Hash
					copy(hash[:], tile)
					more, err := tlog.StoredHashesForRecordHash(index, hash, all)
					check(err)
					all, index = append(all, more...), index+1
				}
				index--
				continue
			}
			pruned = false // from here on each is there
		}
		if index%256 == 0 {
			bundle = read(bundlePath(folder, index/256, checkpoint.size))
		}
		if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
			fail("entry %d is cut off", index)
		}
		length := 2 + int(binary.BigEndian.Uint16(bundle))
		more, err := tlog.StoredHashes(index, bundle[2:length], all)
		check(err)
		all, bundle = append(all, more...), bundle[length:]
	}
	root, err := tlog.TreeHash(checkpoint.size, all)
	check(err)
	if root != checkpoint.root {
		fail("the entries lead to the root %s, and %s was signed", root, checkpoint.root)
	}
	count := 0
	for _, tile := range tlog.NewTiles(height, 0, checkpoint.size) {
		// Go names each width that a tile has had on its way.
		if inLevel := checkpoint.size >> (height * tile.L); int64(tile.W) < 256 && int64(tile.W) != inLevel%256 {
			continue
		}
		count++
		expected, err := tlog.ReadTileData(tile, all)
		check(err)
		if !bytes.HasPrefix(read(tilePath(folder, tile)), expected) {
			fail("%s is not what the entries make of it", tile.Path())
		}
	}
	return count
}

var bundle []byte

// C2SP has the same paths as Go, but for the height, which is always 8, and for partial tiles of which the full one is there.
func tilePath(folder string, tile tlog.Tile) string {
	path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
	return existing(filepath.Join(folder, path))
}

func bundlePath(folder string, index, size int64) string {
	width := size - index*256
	if width > 256 {
		width = 256
	}
	path := tlog.Tile{H: height, L: 0, N: index, W: int(width)}.Path()
	return existing(filepath.Join(folder, strings.Replace(path, "tile/8/0/", "tile/entries/", 1)))
}

func existing(path string) string {
	if _, err := os.Stat(path); err != nil {
		if at := strings.LastIndex(path, ".p/"); at > 0 {
			return path[:at]
		}
	}
	return path
}

// checkReceipt reads `c2sp.org/tlog-proof@v1`.
func checkReceipt(text string, record []byte, keys []*key) {
	above, below, found := strings.Cut(text, "\n\n")
	lines := strings.Split(above, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		fail("this is no receipt")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	check(err)
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := base64.StdEncoding.DecodeString(line)
		check(err)
		proof = append(proof, *(*tlog.Hash)(hash))
	}
	checkpoint := open([]byte(below), keys)
	check(tlog.CheckRecord(proof, checkpoint.size, checkpoint.root, index, tlog.RecordHash(record)))
}

// checkBundle reads the records of one tenant: each holds the number and the hash of the one before it, and the last is in
// the log.
func checkBundle(folder string, keys []*key) {
	type link struct {
		Tenant string
		Tseq   int64
		Tprev  string
	}
	var before link
	records := bytes.Split(bytes.TrimSuffix(read(filepath.Join(folder, "records.jsonl")), []byte("\n")), []byte("\n"))
	for i, record := range records {
		var said link
		check(json.Unmarshal(record, &said))
		if i > 0 && said != (link{before.Tenant, before.Tseq + 1, before.Tprev}) {
			fail("record %d does not follow on the one before it", said.Tseq)
		}
		hash := tlog.RecordHash(record)
		before = link{said.Tenant, said.Tseq, base64.RawURLEncoding.EncodeToString(hash[:])}
	}
	checkReceipt(string(read(filepath.Join(folder, "head.tlog-proof"))), records[len(records)-1], keys)
	fmt.Printf("%d records of %s, the last is its record %d\n", len(records), before.Tenant, before.Tseq)
}

func read(path string) []byte {
	content, err := os.ReadFile(path)
	check(err)
	return content
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}
