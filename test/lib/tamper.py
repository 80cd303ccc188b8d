#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What somebody who can write the files of a log may do to it.

usage: tamper.py CASE LOG [OTHER]

Works from ofs-audit-format(5) alone and prints "FIRST LAST", the records that
are not what they were. OTHER is another log, or a copy of this one that went
on differently.
"""
import base64
import hashlib
import os
import shutil
import sqlite3
import struct
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

OPENED, OUTCOME = 2, 5


def sha256(b):
    return hashlib.sha256(b).digest()


def node(left, right):
    return sha256(b"\1" + left + right)


def root_of(hashes):
    """RFC 9162 2.1.1"""
    if not hashes:
        return sha256(b"")
    while len(hashes) > 1:
        odd = hashes[len(hashes) & ~1:]
        hashes = [node(a, b) for a, b in zip(hashes[::2], hashes[1::2])] + odd
    return hashes[0]


def changed(b, at):
    return b[:at] + bytes([b[at] ^ 1]) + b[at + 1:]


class Log:
    def __init__(self, path):
        self.path = path
        self.db = sqlite3.connect(os.path.join(path, "log.db"))
        self.rows = [list(r) for r in self.db.execute(
            "SELECT header, body, tag FROM record ORDER BY seq")]

    def kind(self, seq):
        return struct.unpack(">H", self.rows[seq][0][22:24])[0]

    def opened(self, nth):
        """The record that opened the nth batch from the end."""
        return [i for i in range(len(self.rows))
                if self.kind(i) == OPENED][-nth]

    def victim(self):
        """An outcome in the batch before the last."""
        return [i for i in range(self.opened(1))
                if self.kind(i) == OUTCOME][-1]

    def write(self):
        """The records, and nothing that goes with them."""
        self.db.execute("DELETE FROM record")
        self.db.executemany(
            "INSERT INTO record (seq, header, body, tag) VALUES (?,?,?,?)",
            [(i, *r) for i, r in enumerate(self.rows)])
        self.db.commit()

    def rebuild(self):
        """All that is computed from the records, the head file too."""
        size, log_id = len(self.rows), bytes(16)
        for i, (h, body, _) in enumerate(self.rows):
            self.rows[i][0] = (h[:6] + log_id + h[22:28] +
                               struct.pack(">Q", i) + h[36:148] + sha256(body))
            log_id = log_id if i else sha256(self.rows[0][0])[:16]
        self.leaves = [sha256(b"\0" + r[0]) for r in self.rows]
        root = root_of(self.leaves)
        self.write()
        self.db.execute("DELETE FROM tile")
        hashes, level = self.leaves, 0
        while len(hashes) >= 256:
            hashes = [root_of(hashes[i:i + 256])
                      for i in range(0, len(hashes) - 255, 256)]
            level += 1
            self.db.executemany("INSERT INTO tile VALUES (?,?,?)", [
                (level, i, h) for i, h in enumerate(hashes)])
        frontier, at = b"", 0
        for bit in reversed(range(size.bit_length())):
            if size >> bit & 1:
                frontier += root_of(self.leaves[at:at + (1 << bit)])
                at += 1 << bit
        self.db.execute("UPDATE state SET log_id = ?, size = ?, frontier = ?, "
                        "root = ?", (log_id, size, frontier, root))
        self.db.execute("DELETE FROM epoch WHERE seq >= ?", (size,))
        self.db.execute("DELETE FROM checkpoint WHERE size > ?", (size,))
        self.db.commit()
        slots = b""
        for n in (size - 1, size):
            slot = struct.pack(">4sH16sQQ", b"OFSH", 1, log_id, n, struct.unpack(
                ">Q", self.rows[n - 1][0][36:44])[0])
            slot += root_of(self.leaves[:n])
            slots += (slot + sha256(slot)).ljust(4096, b"\0")
        with open(os.path.join(self.path, "log.head"), "wb") as f:
            f.write(slots)

    def drop_checkpoints(self, behind):
        self.db.execute("DELETE FROM checkpoint WHERE size > ?", (behind,))
        self.db.commit()


def copy(log, other, *names):
    log.db.close()
    for name in names:
        shutil.copy(os.path.join(other.path, name), log.path)


def swap(log, _):
    k = log.victim()
    log.rows[k:k + 2] = log.rows[k + 1], log.rows[k]
    log.write()
    return k, k + 1


def duplicate(log, _):
    k = log.victim()
    log.rows.insert(k, log.rows[k])
    log.write()
    return k + 1, len(log.rows) - 1


def delete(log, _):
    k = log.victim()
    log.db.execute("DELETE FROM record WHERE seq = ?", (k,))
    log.db.commit()
    return k, k


def close_up(log, _):
    k = log.victim()
    del log.rows[k]
    log.write()
    return k, len(log.rows)


def cut(log, _):
    n = len(log.rows)
    del log.rows[-3:]
    log.write()
    return n - 3, n - 1


def cut_all(log, _):
    n, at = len(log.rows), log.opened(1)
    del log.rows[at:]
    log.rebuild()
    return at, n - 1


def header(log, _):
    k = log.victim()
    log.rows[k][0] = changed(log.rows[k][0], 43)
    log.write()
    return k, k


def body(log, _):
    k = log.victim()
    log.rows[k][1] = changed(log.rows[k][1], len(log.rows[k][1]) // 2)
    log.write()
    return k, k


def rehash(log, _):
    k = log.victim()
    log.rows[k][0] = changed(log.rows[k][0], 43)
    log.rebuild()
    return k, k


def rehash_all(log, other):
    at = rehash(log, other)
    log.drop_checkpoints(at[0])
    return at


def anew(log, _):
    """With an audit key of our own, which the genesis names."""
    key = ed25519.Ed25519PrivateKey.generate()
    pub = b"\1" + key.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    notes = list(log.db.execute("SELECT size, note FROM checkpoint"))
    origin = bytes(notes[0][1]).split(b"\n")[0]
    name = origin.replace(b" ", b"-")
    short = sha256(name + b"\n" + pub)[:4]
    ours = b"+" + short.hex().encode() + b"+" + base64.b64encode(pub)
    genesis = log.rows[0][1]
    at = genesis.index(name + b"+") + len(name)
    log.rows[0][1] = genesis[:at] + ours + genesis[at + len(ours):]
    log.rebuild()
    for size, _ in notes:
        text = b"%s\n%d\n%s\n" % (
            origin, size, base64.b64encode(root_of(log.leaves[:size])))
        note = "%s\n\u2014 %s %s\n" % (text.decode(), name.decode(),
                                       base64.b64encode(
                                           short + key.sign(text)).decode())
        log.db.execute("UPDATE checkpoint SET note = ? WHERE size = ?",
                       (note.encode(), size))
    log.db.commit()
    return 0, len(log.rows) - 1


def older(log, other):
    copy(log, other, "log.db", "log.head")
    return len(other.rows), len(log.rows) - 1


def older_store(log, other):
    copy(log, other, "log.db")
    return len(other.rows), len(log.rows) - 1


def replaced(log, other):
    copy(log, other, "log.db", "log.head")
    return 0, len(log.rows) - 1


def splice(log, other):
    s = log.opened(1)
    log.rows[s:] = other.rows[s:]
    log.write()
    return s, len(log.rows) - 1


def splice_other(log, other):
    """Of a log that is shorter."""
    s, n = len(other.rows) // 2, len(other.rows)
    log.rows[s:n] = other.rows[s:]
    log.write()
    return s, n - 1


def splice_all(log, other):
    s = log.opened(1)
    log.rows[s:] = other.rows[s:]
    log.rebuild()
    log.drop_checkpoints(s)
    return s, len(log.rows) - 1


def head_other(log, other):
    copy(log, other, "log.head")
    return 0, 0


def head_gone(log, _):
    os.unlink(os.path.join(log.path, "log.head"))
    n = len(log.rows)
    return n - 1, n - 1


def notes_other(log, other):
    notes = list(other.db.execute("SELECT size, note FROM checkpoint"))
    log.db.execute("DELETE FROM checkpoint")
    log.db.executemany("INSERT INTO checkpoint VALUES (?,?)", notes)
    log.db.commit()
    return notes[0][0] - 1, notes[0][0] - 1


if __name__ == "__main__":
    print(*globals()[sys.argv[1]](
        Log(sys.argv[2]), Log(sys.argv[3]) if len(sys.argv) > 3 else None))
