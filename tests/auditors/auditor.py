#!/usr/bin/env python3
"""An auditor of its own mind: checks a log with nothing but the specifications and Python's own library.

    auditor.py FOLDER POLICY [RECEIPT RECORD]...
    auditor.py --bundle FOLDER POLICY
    auditor.py --witnesses FOLDER POLICY

FOLDER is that of the log (`tlog`), or of a report with its proofs; POLICY holds `log <public key>`, of any key that the log has
had: `keys` in FOLDER shows how it came to the one of today. Written from RFC 6962 (tree), RFC 8032 (Ed25519) and C2SP
signed-note, tlog-checkpoint, tlog-cosignature, tlog-tiles, tlog-proof and tlog-policy. It shares no code with the gateway.
"""

import base64
import binascii
import hashlib
import json
import pathlib
import struct
import sys


class Wrong(Exception):
    """Something is not as it must be."""


# RFC 8032, section 5.1: the curve edwards25519, in affine coordinates. Slow, and short enough to be read.
P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(left, right):
    (x1, y1), (x2, y2) = left, right
    product = D * x1 * x2 * y1 * y2 % P
    x3 = (x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P)
    y3 = (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P)
    return x3 % P, y3 % P


def multiply(number, point):
    result = (0, 1)
    while number:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


def decompress(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        raise Wrong("a point is not canonical")
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        raise Wrong("this is no point of the curve")
    return (P - x if x & 1 != sign else x), y


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(public, message, signature):
    if len(signature) != 64:
        return False
    number = int.from_bytes(signature[32:], "little")
    if number >= Q:
        return False
    try:
        key, point = decompress(public), decompress(signature[:32])
    except Wrong:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % Q
    return multiply(number, BASE) == add(point, multiply(challenge, key))


# RFC 6962, section 2.1.
def leaf(entry):
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size):
    return 1 << ((size - 1).bit_length() - 1)


def root_of(hashes):
    """Hashes of a level are put together in pairs; one that is left over goes up as it is."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        pairs = [node(hashes[at], hashes[at + 1]) for at in range(0, len(hashes) - 1, 2)]
        hashes = pairs + hashes[len(pairs) * 2 :]
    return hashes[0]


def root_by_proof(index, size, hash_, proof):
    """The root that a proof of inclusion leads to, by the definition of PATH."""
    if size == 1:
        if proof:
            raise Wrong("the proof is too long")
        return hash_
    if not proof:
        raise Wrong("the proof is too short")
    left = split(size)
    if index < left:
        return node(root_by_proof(index, left, hash_, proof[:-1]), proof[-1])
    return node(proof[-1], root_by_proof(index - left, size - left, hash_, proof[:-1]))


def decode(text):
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Wrong(f"{text!r} is not base64") from error


class Key:
    """C2SP signed-note: `name+id+base64(0x01 || public key)`."""

    def __init__(self, text):
        self.text, self.most = text, None
        self.name, identifier, encoded = text.split("+", 2)
        data = decode(encoded)
        if data[0] != 1 or len(data) != 33:
            raise Wrong("not an Ed25519 key of a log")
        self.public = data[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n" + data).digest()[:4]
        if self.id.hex() != identifier:
            raise Wrong("the id of the key is not that of its bytes")


def open_checkpoint(note, keys):
    """C2SP tlog-checkpoint: origin, size, root, each in a line, signed. A key that was retired signs up to there."""
    text, _, below = note.rpartition("\n\n")
    text += "\n"
    origin, size, root = text.split("\n")[:3]
    signed = False
    for line in below.splitlines():
        dash, name, encoded = line.split(" ")
        data = decode(encoded)
        if dash != "\u2014":
            raise Wrong("a line under the checkpoint is no signature")
        for key in keys:
            if name == key.name and data[:4] == key.id:
                if not is_signed(key.public, text.encode(), data[4:]):
                    raise Wrong("the signature of the log is forged")
                signed = signed or origin == key.name and (key.most is None or int(size) <= key.most)
    if not signed:
        raise Wrong("the log has not signed the checkpoint, or a key that was retired")
    if size != str(int(size)):
        raise Wrong("the checkpoint is not one of this log")
    return int(size), decode(root)


def path_of(folder, what, index, width):
    """C2SP tlog-tiles: groups of three digits, and `.p/<width>` for what is not full."""
    digits = str(index)
    digits = digits.zfill((len(digits) + 2) // 3 * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    full = folder / "tile" / what / path
    if width == 256 or full.is_file():
        return full
    return pathlib.Path(f"{full}.p/{width}")


def check_tree(folder, size, root, pruned):
    hashes = []
    for index in range((size + 255) // 256):
        width = min(256, size - index * 256)
        path = path_of(folder, "entries", index, width)
        if pruned and width == 256 and not path.is_file():
            # The oldest entries are gone, as their time was over: the tile says what their hashes were.
            tile = path_of(folder, "0", index, width).read_bytes()
            hashes += [tile[at : at + 32] for at in range(0, len(tile), 32)]
            continue
        pruned = False  # from here on each is there
        data = path.read_bytes()
        for _ in range(width):
            if len(data) < 2:
                raise Wrong("a bundle is cut off")
            (length,) = struct.unpack(">H", data[:2])
            hashes.append(leaf(data[2 : 2 + length]))
            data = data[2 + length :]
    if root_of(hashes) != root:
        raise Wrong("the entries do not lead to the root that was signed")
    level, row, tiles = 0, hashes, 0
    while row:
        for index in range((len(row) + 255) // 256):
            part = row[index * 256 : index * 256 + 256]
            if not path_of(folder, str(level), index, len(part)).read_bytes().startswith(b"".join(part)):
                raise Wrong(f"tile {index} of level {level} is not what the entries make of it")
            tiles += 1
        row = [root_of(row[at : at + 256]) for at in range(0, len(row) - 255, 256)]
        level += 1
    return tiles


def follow(folder, keys):
    """Each receipt in `keys` has a record in its `extra` line: that another key signs, or that one does not any more."""
    files = [path for path in (folder / "keys").glob("*.tlog-proof")]
    for path in sorted(files, key=lambda path: int(path.name.partition(".")[0])):
        version, extra, rest = path.read_text().split("\n", 2)
        record = decode(extra.removeprefix("extra "))
        said, known = json.loads(record), {key.text: key for key in keys}
        old, new = known.get(said["old_key"]), known.get(said["new_key"])
        if said["kind"] == "key.rotated" and old and not new:
            check_receipt(f"{version}\n{rest}", record, [old])
            keys.append(Key(said["new_key"]))
        elif said["kind"] == "key.retired" and old and new:
            check_receipt(f"{version}\n{rest}", record, [new])
            old.most = int(path.name.partition(".")[0])
        elif said["kind"] not in ("key.rotated", "key.retired"):
            raise Wrong(f"{path.name} is not about a key")
    return keys


def keys_of(lines):
    return [Key(words[1]) for words in lines if words[:1] == ["log"]]


def check_receipt(text, record, keys):
    above, _, note = text.partition("\n\n")
    version, index, *proof = above.split("\n")
    if version != "c2sp.org/tlog-proof@v1" or not index.startswith("index "):
        raise Wrong("this is no receipt")
    size, root = open_checkpoint(note, keys)
    index = int(index.removeprefix("index "))
    if not 0 <= index < size or root_by_proof(index, size, leaf(record), [decode(line) for line in proof]) != root:
        raise Wrong("the receipt does not show the record")


def check_bundle(folder, keys):
    """The records of one tenant: each holds the number and the hash of the one before, and the last is in the log."""
    before, records = None, (folder / "records.jsonl").read_bytes().removesuffix(b"\n").split(b"\n")
    for record in records:
        said = json.loads(record)
        hash_ = base64.urlsafe_b64encode(leaf(record)).decode().rstrip("=")
        if before and (said["tenant"], said["tseq"], said["tprev"]) != (before[0], before[1] + 1, before[2]):
            raise Wrong(f"record {said['tseq']} does not follow on the one before it")
        before = (said["tenant"], said["tseq"], hash_)
    check_receipt((folder / "head.tlog-proof").read_text(), records[-1], keys)
    print(f"{len(records)} records of {before[0]}, the last is its record {before[1]}")


def check_witnesses(folder, lines, keys):
    """C2SP tlog-cosignature: which of the policy's witnesses have signed the checkpoint, beside its log."""
    note = (folder / "checkpoint.witnessed").read_text()
    open_checkpoint(note, keys)
    text, _, below = note.rpartition("\n\n")
    witnesses = [words[2].split("+", 2) for words in lines if words[:1] == ["witness"]]
    signed = 0
    for name, identifier, encoded in witnesses:
        data = decode(encoded)
        if data[0] != 4 or hashlib.sha256(name.encode() + b"\n" + data).hexdigest()[:8] != identifier:
            raise Wrong("this is not the key of a witness")
        for line in below.splitlines():
            _, who, signature = line.split(" ")
            signature = decode(signature)
            if who == name and signature[:4].hex() == identifier:
                (time,) = struct.unpack(">Q", signature[4:12])
                message = f"cosignature/v1\ntime {time}\n{text}\n".encode()
                if not is_signed(data[1:], message, signature[12:]):
                    raise Wrong("the signature of a witness is forged")
                signed += 1
    print(f"{signed} of {len(witnesses)} witnesses have signed")


def main(folder, policy, *receipts):
    pruned = folder == "--pruned"
    if pruned:
        folder, policy, *receipts = policy, *receipts
    if folder == "--witnesses":
        lines = [line.split() for line in pathlib.Path(receipts[0]).read_text().splitlines()]
        return check_witnesses(pathlib.Path(policy), lines, keys_of(lines))
    if folder == "--bundle":
        folder, policy, receipts = pathlib.Path(policy), *receipts, None
    lines = [line.split() for line in pathlib.Path(policy).read_text().splitlines()]
    folder = pathlib.Path(folder)
    keys = follow(folder, keys_of(lines))
    if receipts is None:
        return check_bundle(folder, keys)
    size, root = open_checkpoint((folder / "checkpoint").read_text(), keys)
    tiles = check_tree(folder, size, root, pruned)
    for receipt, record in zip(receipts[::2], receipts[1::2], strict=True):
        check_receipt(pathlib.Path(receipt).read_text(), pathlib.Path(record).read_bytes(), keys)
    print(f"{size} entries, {tiles} tiles, root {base64.b64encode(root).decode()}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (Wrong, OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
