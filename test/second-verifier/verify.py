#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks an exported log, written from ofs-audit-format(5) alone.

usage: verify.py VKEY EXPORT-DIR [PROOF]...

Shares no code with the library: hashes are Python's, signatures are left to
openssl(1). Prints "ROOT SIZE"; exit 1 and a reason when anything is wrong.
"""
import base64
import binascii
import hashlib
import os
import struct
import subprocess
import sys
import tempfile

DASH = "\u2014 "
SPACES = " \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B)))
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")


class Wrong(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Wrong(what)


def sha256(b):
    return hashlib.sha256(b).digest()


def unbase64(s):
    try:
        b = base64.b64decode(s, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong("not base64: %r" % s) from None
    need(base64.b64encode(b).decode() == s, "base64 with odd bits")
    return b


def number(s):
    need(s.isascii() and s.isdigit() and str(int(s)) == s, "not a number")
    need(int(s) < 1 << 63, "too large a number")
    return int(s)


class Key:
    def __init__(self, vkey):
        self.name, digits, b64 = vkey.split("+", 2)
        raw = unbase64(b64)
        self.type, self.public = raw[0], raw[1:]
        need(self.name and not set(self.name) & set(SPACES + "+"),
             "name of the key")
        if self.type == 2:
            self.id = sha256(self.public)[:4]
            self.spki = self.public
        else:
            need(self.type in (1, 4) and len(self.public) == 32, "type")
            self.id = sha256(self.name.encode() + b"\n" + raw)[:4]
            self.spki = ED25519_SPKI + self.public
        need(self.id.hex() == digits, "hash of the key")

    def verify(self, text, sig):
        args = ["-rawin"]
        if self.type == 2:
            args += ["-digest", "sha256"]
        if self.type == 4:
            need(len(sig) == 72, "cosignature")
            seconds = struct.unpack(">Q", sig[:8])[0]
            text = b"cosignature/v1\ntime %d\n" % seconds + text
            sig = sig[8:]
        with tempfile.TemporaryDirectory() as d:
            for name, b in (("k", self.spki), ("t", text), ("s", sig)):
                with open(os.path.join(d, name), "wb") as f:
                    f.write(b)
            done = subprocess.run(
                ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform",
                 "DER", "-inkey", d + "/k", "-in", d + "/t", "-sigfile",
                 d + "/s"] + args, capture_output=True, check=False)
        return done.returncode == 0


def checkpoint(note, key):
    """The origin, size and root of a note that the key has signed."""
    text = note.decode("utf-8")
    need(not any(c < " " and c != "\n" for c in text), "control character")
    at = text.rfind("\n\n")
    need(at > 0 and text.endswith("\n"), "no signatures")
    signed, found = text[:at + 1], False
    for line in text[at + 2:].split("\n")[:-1]:
        need(line.startswith(DASH), "line among the signatures")
        name, b64 = line[len(DASH):].split(" ")
        raw = unbase64(b64)
        if name == key.name and raw[:4] == key.id:
            need(key.verify(signed.encode(), raw[4:]), "wrong signature")
            found = True
    need(found, "not signed by the key")
    lines = signed.split("\n")
    need(lines[0], "no origin")
    root = unbase64(lines[2])
    need(len(root) == 32, "root")
    return lines[0], number(lines[1]), root


def leaf(header):
    return sha256(b"\0" + header)


def node(left, right):
    return sha256(b"\1" + left + right)


def tree(hashes):
    """RFC 9162 2.1.1, over hashes of leaves or of equal full subtrees."""
    if not hashes:
        return sha256(b"")
    while len(hashes) > 1:
        up = [node(hashes[i], hashes[i + 1])
              for i in range(0, len(hashes) - 1, 2)]
        if len(hashes) % 2:
            up.append(hashes[-1])
        hashes = up
    return hashes[0]


def tile_path(what, n, width):
    s = "%d" % n
    s = s.zfill(-(-len(s) // 3) * 3)
    parts = [s[i:i + 3] for i in range(0, len(s), 3)]
    path = "/".join(["x" + p for p in parts[:-1]] + parts[-1:])
    return "tile/%s/%s%s" % (what, path,
                             "" if width == 256 else ".p/%d" % width)


def read(base, path):
    with open(os.path.join(base, path), "rb") as f:
        return f.read()


def tiles(n):
    """Index and width of each tile that n hashes fall into."""
    return [(i // 256, min(256, n - i)) for i in range(0, n, 256)]


class Log:
    def __init__(self, base, key):
        self.seen = set(["checkpoint"])
        self.base = base
        self.origin, self.size, self.root = checkpoint(
            read(base, "checkpoint"), key)
        self.headers = []
        self.log_id = None
        self.read_headers()
        self.read_tree()
        for folder, _, names in os.walk(base):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), base)
                need(path in self.seen, "a file that does not belong: " + path)

    def read(self, path):
        self.seen.add(path)
        return read(self.base, path)

    def check_header(self, seq, h):
        need(h[:4] == b"OFSR" and h[4:6] == b"\0\1", "magic or version")
        kind, flags, cipher, n, time = struct.unpack(">HHHQQ", h[22:44])
        epoch, length = struct.unpack(">II", h[84:92])
        need(kind != 0 and flags == 0 and n == seq, "type, flags or number")
        need(time < 1 << 63 and 1 <= length <= 16777216, "time or length")
        need((kind == 1) == (seq == 0), "genesis")
        if seq == 0:
            need(h[6:22] == bytes(16), "log id of the genesis")
            self.log_id = sha256(h)[:16]
        else:
            need(h[6:22] == self.log_id, "log id")
        if cipher == 0:
            need(epoch == 0 and h[92:148] == bytes(56), "plain header")

    def read_headers(self):
        for n, width in tiles(self.size):
            b = self.read(tile_path("entries", n, width))
            need(len(b) == width * 182, "length of entries")
            for i in range(width):
                need(b[i * 182:i * 182 + 2] == b"\0\xb4", "length of a header")
                h = b[i * 182 + 2:(i + 1) * 182]
                self.check_header(len(self.headers), h)
                self.headers.append(h)

    def read_tree(self):
        hashes = [leaf(h) for h in self.headers]
        need(tree(hashes) == self.root, "the root is not that of the headers")
        level = 0
        while hashes:
            for n, width in tiles(len(hashes)):
                want = b"".join(hashes[n * 256:n * 256 + width])
                need(self.read(tile_path(level, n, width)) == want,
                     "tile %d of level %d" % (n, level))
            hashes = [tree(hashes[i:i + 256])
                      for i in range(0, len(hashes) - 255, 256)]
            level += 1


def check_proof(raw, key, log):
    """RFC 9162 2.1.3.2; the header must be the export's."""
    text, _, note = raw.partition(b"\n\n")
    lines = text.decode("ascii").split("\n")
    need(lines[0] == "c2sp.org/tlog-proof@v1", "first line")
    need(lines[1].startswith("extra ") and lines[2].startswith("index "),
         "lines of a proof")
    extra, seq = unbase64(lines[1][6:]), number(lines[2][6:])
    header, body = extra[:180], extra[180:]
    hashes = [unbase64(s) for s in lines[3:]]
    origin, size, root = checkpoint(note, key)
    need(origin == log.origin and seq < size, "another log")
    need(struct.unpack(">Q", header[28:36])[0] == seq, "number of the header")
    if body:
        if header[26:28] != b"\0\0":
            need(sha256(b"ofs-key-commit-v1\0" + body[:32]) ==
                 header[116:148], "key of the record")
            body = body[32:]
        need(len(body) == struct.unpack(">I", header[88:92])[0] and
             sha256(body) == header[148:180], "body")
    fn, sn, r = seq, size - 1, leaf(header)
    for h in hashes:
        need(len(h) == 32 and sn > 0, "hashes of the proof")
        if fn & 1 or fn == sn:
            r = node(h, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, h)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0 and r == root, "the proof does not lead to the root")
    need(seq >= log.size or log.headers[seq] == header, "another header")


def main():
    key = Key(sys.argv[1])
    log = Log(sys.argv[2], key)
    for path in sys.argv[3:]:
        with open(path, "rb") as f:
            check_proof(f.read(), key, log)
    print(log.root.hex(), log.size)


if __name__ == "__main__":
    try:
        main()
    except (Wrong, OSError, ValueError, IndexError, struct.error) as e:
        sys.exit("verify.py: %s: %s" % (type(e).__name__, e))
