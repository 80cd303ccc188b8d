#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Opens the records of a log as ofs-audit-format(5) has it, with openssl,
pkcs11-tool and python's cryptography alone: open_log.py LOG.DB KIND SECRET
KIND file, x509, passphrase: SECRET is a file; token: it is not used, the module
is in OFS_MODULE and the PIN in PIN"""
import hashlib, hmac, os, sqlite3, subprocess, sys
import tempfile, urllib.parse
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import (
    aes_key_unwrap_with_padding as unwrap)

def der(p):
    """tag, content and length of the DER value at the beginning"""
    n, at = p[1], 2
    if n & 0x80:
        at += n & 0x7f
        n = int.from_bytes(p[2:at], "big")
    return p[0], p[at:at + n], at + n

def parts(p):
    out = []
    while p:
        tag, inside, n = der(p)
        out.append((tag, inside))
        p = p[n:]
    return out

def ecb(k, block):
    e = Cipher(algorithms.AES(k), modes.ECB()).encryptor()
    return e.update(bytes(block))

def by_token(data, hint):
    """what a token decrypts out of such a wrap"""
    at = dict(part.split("=", 1) for part in hint.decode()[7:].split(";"))
    tool = ["pkcs11-tool", "--module", os.environ["OFS_MODULE"],
            "--token-label", urllib.parse.unquote(at["token"]), "--id",
            urllib.parse.unquote_to_bytes(at["id"]).hex()]
    n = int.from_bytes(data[34:36], "big")
    assert data[0] == 1 and len(data) == 36 + n + 40
    sha = {1: "1", 2: "256"}[data[1]]
    spki = subprocess.run(
        tool + ["--read-object", "--type", "pubkey"],
        stdout=subprocess.PIPE, check=True).stdout
    assert hashlib.sha256(spki).digest() == data[2:34]
    with tempfile.NamedTemporaryFile() as box:
        box.write(data[36:36 + n])
        box.flush()
        kek = subprocess.run(
            tool + ["--login", "--pin", "env:PIN", "--decrypt",
             "--mechanism", "RSA-PKCS-OAEP", "--hash-algorithm", "SHA-" + sha,
             "--mgf", "MGF1-SHA" + sha, "--input-file", box.name],
            stdout=subprocess.PIPE, check=True).stdout
    assert len(kek) == 32
    return kek

db = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True)
how, secret = sys.argv[2], sys.argv[3]
keys = {}
for epoch, seq in db.execute("SELECT epoch, seq FROM epoch"):
    body = db.execute("SELECT body FROM record WHERE seq = ?",
                      (seq,)).fetchone()[0]
    fields = parts(der(body)[1])
    commit = [der(v)[1] for t, v in fields if t == 0xa1][0]
    for _, wrap in parts(fields[-1][1]):
        w = parts(wrap)
        what, kind, data = w[0][1], w[1][1], w[-1][1]
        key = None
        if what == b"data" and kind == how.encode():
            if kind == b"x509":
                key = subprocess.run(
                    ["openssl", "cms", "-decrypt", "-inform", "DER",
                     "-inkey", secret], input=data,
                    stdout=subprocess.PIPE, check=True).stdout
            elif kind == b"file":
                key = unwrap(open(secret, "rb").read(), data)
            elif kind == b"token":
                key = unwrap(by_token(data, der(w[2][1])[1]), data[-40:])
            else:
                r, p = (int.from_bytes(data[i:i + 4], "big") for i in (2, 6))
                kek = hashlib.scrypt(
                    open(secret, "rb").read(), salt=data[10:26],
                    n=1 << data[1], r=r, p=p, dklen=32, maxmem=1 << 30)
                key = unwrap(kek, data[26:])
        if key:
            assert hashlib.sha256(b"ofs-epoch-commit-v1\0" + epoch.to_bytes(
                4, "big") + key).digest() == commit
            keys[epoch] = key
opened = 0
for header, body in db.execute("SELECT header, body FROM record"):
    assert hashlib.sha256(body).digest() == header[148:180]
    if int.from_bytes(header[26:28], "big") == 0:
        continue
    k = keys.get(int.from_bytes(header[84:88], "big"))
    if k is None:
        continue
    nonce = header[92:116]
    l = ecb(k, bytes(16))
    k1 = int.from_bytes(l, "big") << 1
    if l[0] & 0x80:
        k1 ^= 0x87
    k1 = (k1 & (1 << 128) - 1).to_bytes(16, "big")
    kr = b"".join(ecb(k, [a ^ b for a, b in zip(
        bytes([0, i, 0x58, 0]) + nonce[:12], k1)]) for i in (1, 2))
    assert hashlib.sha256(b"ofs-key-commit-v1\0" + kr).digest() == \
        header[116:148]
    text = AESGCM(kr).decrypt(nonce[12:], body, header[:92])
    n = der(text)[2]
    assert len(text) % 256 == 0 and len(text) - n < 256
    assert not any(text[n:])
    opened += b"order-2.xml" in text[:n]
print(opened)
